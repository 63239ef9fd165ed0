"""Habits: how often an item is bought again, by whom, and after how long.

One row an item that was ever bought, made of all shoppers' own state in one statement. They
move slowly, so they are no projection: each ranker has those of the log that it learned from,
and nothing changes them but an erasure, which counts its person's items anew.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Final

from sqlalchemy import Column, Connection, Float, Index, Integer, Table, Text, text

from recsite import db
from recsite.db import METADATA

item_habit = Table(
    "item_habit",
    METADATA,
    Column("ranker", Text, primary_key=True),
    Column("item", Integer, primary_key=True, autoincrement=False),
    Column("buyers", Integer, nullable=False),
    Column("rebuyers", Integer, nullable=False),
    Column("gap", Float, nullable=False),
    Index("item_habit_item_idx", "item"),
)
"""Shoppers who bought it, who did so in two hours or more; the mean gap between, in days."""

# Of `known` (ranker, until_hour): what was bought until that hour. Means are taken of exact
# numbers, so the order of rows does not matter.
_COUNTED: Final = """
SELECT known.ranker, item, count(*) AS buyers, count(*) FILTER (WHERE newest > oldest) AS rebuyers,
       coalesce(avg((newest - oldest) / 24.0 / (times - 1)) FILTER (WHERE newest > oldest), 0) AS gap
FROM ({known}) AS known(ranker, until_hour), user_item, LATERAL (
    SELECT max(hour) AS newest, min(hour) AS oldest, count(DISTINCT hour) AS times
    FROM unnest(bought) AS hour WHERE hour BETWEEN 0 AND until_hour) AS own
WHERE bought IS NOT NULL AND times > 0 {chosen}
GROUP BY known.ranker, item
"""

_ONE: Final = "SELECT CAST(:ranker AS text), CAST(:until_hour AS int)"
FILL: Final = f"""
INSERT INTO item_habit (ranker, item, buyers, rebuyers, gap)
SELECT * FROM ({_COUNTED.format(known=_ONE, chosen="")}) AS counted
WHERE NOT EXISTS (SELECT FROM item_habit WHERE ranker = :ranker)
"""

KNOWING: Final = "SELECT DISTINCT ranker FROM item_habit WHERE item = ANY (:items)"

_THOSE: Final = """
SELECT name, floor(extract(epoch FROM until) / 3600)::int FROM ranker WHERE name = ANY (:rankers)
"""
# What nobody who is left had bought is gone; what a ranker did not know it does not learn.
RECOUNT: Final = f"""
WITH counted AS MATERIALIZED (
    {_COUNTED.format(known=_THOSE, chosen="AND item = ANY (:items)")}
), recounted AS (
    UPDATE item_habit AS habit
    SET buyers = counted.buyers, rebuyers = counted.rebuyers, gap = counted.gap
    FROM counted WHERE (habit.ranker, habit.item) = (counted.ranker, counted.item)
      AND (habit.buyers, habit.rebuyers, habit.gap)
          <> (counted.buyers, counted.rebuyers, CAST(counted.gap AS float8))
    RETURNING habit.ranker
), gone AS (
    DELETE FROM item_habit AS habit WHERE item = ANY (:items) AND NOT EXISTS (
        SELECT FROM counted WHERE (counted.ranker, counted.item) = (habit.ranker, habit.item))
    RETURNING ranker
)
UPDATE ranker SET recounted_xid = pg_current_xact_id()
WHERE name IN (SELECT ranker FROM recounted UNION SELECT ranker FROM gone)
"""


def fill(inside: Connection, ranker: str, until: datetime) -> None:
    """What was known until then, for this ranker; it keeps what it has."""
    until_hour = int(until.timestamp() // 3600)
    inside.execute(text(FILL), {"ranker": ranker, "until_hour": until_hour})


def recount(inside: Connection, items: Sequence[int]) -> None:
    """Count what the rankers know of these items anew, of everybody whose state is left.

    Costs a look at all shoppers' dealings where a ranker knows one of them.
    """
    rankers = list(inside.scalars(text(KNOWING), {"items": items}))
    if rankers:
        inside.execute(text(RECOUNT), {"items": items, "rankers": rankers})


def alone() -> AbstractContextManager[None]:
    """Let nobody else write habits: those of a snapshot from before an erasure would bring its
    person back."""
    return db.alone("habits")
