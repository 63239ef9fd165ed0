"""The fifty heaviest neighbours of each item, kept as its pairs change.

Serving reads one array an item instead of sorting its pairs. A fold leaves the pairs it changed in
`changed_pair`; from them and from the rows that are there follow the new rows, without reading
the other pairs. Only where something that was among the fifty sank to the fiftieth or below can
a pair from outside come in: these rows are ranked from all their pairs.
"""

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Connection,
    Integer,
    SmallInteger,
    Table,
    text,
)

from recommend.sources import BOUGHT, LED, VIEWED
from recsite.db import METADATA, keep_in_line

NEIGHBOURS: Final = 50

neighbours = Table(
    "neighbours",
    METADATA,
    Column("item", Integer, primary_key=True, autoincrement=False),
    Column("channel", SmallInteger, primary_key=True, autoincrement=False),
    Column("items", ARRAY(Integer), nullable=False),
    Column("weights", ARRAY(BigInteger), nullable=False),
)
"""The 50 heaviest pairs of an item in a channel, heaviest first: what serving reads."""

keep_in_line(neighbours, "items", "weights")

CREATE_CHANGED: Final = """
CREATE TEMP TABLE IF NOT EXISTS changed_pair (
    item int, neighbour int, channel smallint, weight bigint, shrunk boolean
) ON COMMIT DELETE ROWS
"""
"""A row a pair and channel whose weight a fold changed, with its weight now."""

_TOP: Final = f"""
INSERT INTO neighbours (item, channel, items, weights)
SELECT item, channel, array_agg(neighbour ORDER BY weight DESC, neighbour),
       array_agg(weight ORDER BY weight DESC, neighbour)
FROM (SELECT *, row_number() OVER (PARTITION BY item, channel ORDER BY weight DESC, neighbour) AS place
      FROM {{pool}} AS pool) AS ranked
WHERE place <= {NEIGHBOURS}
GROUP BY item, channel
ON CONFLICT (item, channel) DO UPDATE SET items = excluded.items, weights = excluded.weights
"""

_EVERY_PAIR: Final = f"""
SELECT pair.* FROM {{covisit}}, LATERAL (VALUES
    (lo, hi, {VIEWED}::smallint, viewed_up), (hi, lo, {VIEWED}::smallint, viewed_down),
    (lo, hi, {BOUGHT}::smallint, bought), (hi, lo, {BOUGHT}::smallint, bought),
    (lo, hi, {LED}::smallint, led_up), (hi, lo, {LED}::smallint, led_down)
) AS pair(item, neighbour, channel, weight)
WHERE weight > 0
"""

RANK_ALL: Final = _TOP.format(pool=f"({_EVERY_PAIR.format(covisit='covisit')})")

CREATE_SUNK: Final = """
CREATE TEMP TABLE IF NOT EXISTS sunk (item int, channel smallint) ON COMMIT DELETE ROWS
"""
"""The rows that are to be ranked from all their pairs."""

# A row of fewer than fifty holds every pair of its item, so nothing can come in from outside.
# OFFSET 0, for a look-up each: joined, the planner would read every row of neighbours.
NOTE_SUNK: Final = f"""
INSERT INTO sunk
SELECT DISTINCT item, channel FROM changed_pair
WHERE shrunk AND EXISTS (
    SELECT FROM neighbours AS known
    WHERE known.item = changed_pair.item AND known.channel = changed_pair.channel
      AND changed_pair.weight <= known.weights[{NEIGHBOURS}]
      AND changed_pair.neighbour = ANY (known.items) OFFSET 0)
"""
DROP_SUNK: Final = """
DELETE FROM neighbours USING sunk WHERE neighbours.item = sunk.item AND neighbours.channel = sunk.channel
"""
# Rows of which nothing is left; RANK_MOVED makes those anew that something has come to.
DROP_EMPTIED: Final = """
DELETE FROM neighbours USING (SELECT item, channel, array_agg(neighbour) AS items
                              FROM changed_pair WHERE weight = 0 GROUP BY item, channel) AS gone
WHERE neighbours.item = gone.item AND neighbours.channel = gone.channel
  AND neighbours.items <@ gone.items
"""

# Everywhere else the new fifty heaviest are among the old fifty and the pairs that changed, and
# only what is in the row or reaches its fiftieth matters. That is a look-up each: joined, the
# planner would read every row of neighbours.
_MOVED_AND_KEPT: Final = """(
    SELECT item, neighbour, channel, weight FROM moved WHERE weight > 0 UNION ALL
    SELECT item, neighbour, channel, weight FROM kept)"""
RANK_MOVED: Final = f"""
WITH touched AS MATERIALIZED (
    SELECT item, channel, (SELECT weights[{NEIGHBOURS}] FROM neighbours AS known
                           WHERE known.item = pair.item AND known.channel = pair.channel) AS fiftieth
    FROM (SELECT DISTINCT item, channel FROM changed_pair) AS pair
    WHERE (item, channel) NOT IN (SELECT item, channel FROM sunk)
), moved AS MATERIALIZED (
    SELECT item, channel, neighbour, weight FROM changed_pair JOIN touched USING (item, channel)
    WHERE CASE WHEN NOT shrunk THEN weight >= coalesce(fiftieth, 0)
               ELSE EXISTS (SELECT FROM neighbours AS known
                            WHERE known.item = changed_pair.item AND known.channel = changed_pair.channel
                              AND changed_pair.neighbour = ANY (known.items)) END
), kept AS (
    SELECT known.item, known.channel, kept.neighbour, kept.weight
    FROM (SELECT DISTINCT item, channel FROM moved) AS row
    JOIN neighbours AS known USING (item, channel),
         unnest(known.items, known.weights) AS kept(neighbour, weight)
    WHERE NOT EXISTS (SELECT FROM moved WHERE moved.item = known.item
                      AND moved.channel = known.channel AND moved.neighbour = kept.neighbour)
)
{_TOP.format(pool=_MOVED_AND_KEPT)}
"""

# A row at a time, through the two indexes of the pairs: its best fifty need no sort of them all.
_OF_SUNK: Final = f"""(SELECT sunk.item, channel, top.neighbour, top.weight
FROM sunk, LATERAL (
    SELECT neighbour, weight FROM (
        SELECT hi, CASE channel WHEN {VIEWED} THEN viewed_up WHEN {BOUGHT} THEN bought ELSE led_up END
        FROM covisit WHERE lo = sunk.item
        UNION ALL
        SELECT lo, CASE channel WHEN {VIEWED} THEN viewed_down WHEN {BOUGHT} THEN bought ELSE led_down END
        FROM covisit WHERE hi = sunk.item
    ) AS pair(neighbour, weight)
    WHERE weight > 0 ORDER BY weight DESC, neighbour LIMIT {NEIGHBOURS}) AS top)"""
RANK_SUNK: Final = _TOP.format(pool=_OF_SUNK)


def clear_changed(connection: Connection) -> None:
    """Make room for the pairs that a fold is about to change."""
    for statement in (CREATE_CHANGED, CREATE_SUNK, "TRUNCATE changed_pair, sunk"):
        connection.execute(text(statement))


def rank_changed(connection: Connection) -> None:
    """Bring `neighbours` up to date with the pairs in `changed_pair`."""
    if connection.scalar(text("SELECT exists(SELECT FROM changed_pair WHERE shrunk)")):
        for statement in (NOTE_SUNK, DROP_SUNK, DROP_EMPTIED, RANK_MOVED, RANK_SUNK):
            connection.execute(text(statement))
    else:
        connection.execute(text(RANK_MOVED))
