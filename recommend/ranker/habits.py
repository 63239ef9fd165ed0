"""Habits: how often an item is bought again, by whom, and after how long.

One row an item that was ever bought, made of all shoppers' own state in one statement. They
move slowly, so they are no projection: each ranker has those that it learned with.
"""

from typing import Final

from sqlalchemy import Column, Connection, Float, Integer, Table, Text, text

from recsite.db import METADATA

item_habit = Table(
    "item_habit",
    METADATA,
    Column("ranker", Text, primary_key=True),
    Column("item", Integer, primary_key=True, autoincrement=False),
    Column("buyers", Integer, nullable=False),
    Column("rebuyers", Integer, nullable=False),
    Column("gap", Float, nullable=False),
)
"""Shoppers who bought it, who did so in two hours or more; the mean gap between, in days."""

FILL: Final = """
INSERT INTO item_habit (ranker, item, buyers, rebuyers, gap)
SELECT :ranker, item, count(*), count(*) FILTER (WHERE newest > oldest),
       coalesce(avg((newest - oldest) / 24.0 / (times - 1)) FILTER (WHERE newest > oldest), 0)
FROM user_item, LATERAL (
    SELECT max(hour) AS newest, min(hour) AS oldest, count(DISTINCT hour) AS times
    FROM unnest(bought) AS hour WHERE hour >= 0) AS own
WHERE bought IS NOT NULL AND times > 0
GROUP BY item
ON CONFLICT (ranker, item) DO NOTHING
"""


def fill(inside: Connection, ranker: str) -> None:
    """What is known now, for this ranker."""
    inside.execute(text(FILL), {"ranker": ranker})
