"""Popularity and trend, per category and over the whole shop.

Every event adds its kind's weight to its item's day, in integers; an item's score is its
days' sum under forward decay (Cormode et al., ICDE 2009): log2 of the sum of w * 2^(day/half
life). Relative to any present the order of two scores is the same, so time passing changes
no row and only items with new events are written. `trend` is the same with a short half life.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, Table, text

from behavior.counted import signed
from behavior.events import Kind, by_signal
from behavior.position import FRESH, NOTHING
from catalog.countings import Counting
from recommend.familiar import IS_STRANGE
from recommend.sources import POPULAR, TRENDING
from recsite.db import METADATA

NAME: Final = "popularity"
VERSION: Final = 4

UNIT: Final = 65_536
HALF_LIFE: Final = 30.0
TREND_HALF_LIFE: Final = 3.0
"""Days."""

REACH: Final = 180
"""Days before an item's newest that count: six half lives, of which the rest is 1.6%. They bound
what a fold reads, however long the log is."""

LEAST: Final = -1_000
"""The least power of two that is taken: Postgres raises where 2^x would be too small a float."""

EVERYTHING: Final = 0
"""The category that stands for the whole shop."""

popularity_day = Table(
    "popularity_day",
    METADATA,
    Column("item", Integer, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("weight", BigInteger, nullable=False),
)
"""day: days since 1970; weight in units of 2^-16."""

popularity = Table(
    "popularity",
    METADATA,
    Column("category", Integer, primary_key=True, autoincrement=False),
    Column("item", Integer, primary_key=True, autoincrement=False),
    Column("score", BigInteger, nullable=False),
    Column("trend", BigInteger, nullable=False),
    Index("popularity_item_idx", "item"),
    # The item settles ties: without it, which of equals come in depends on where rows lie.
    Index("popularity_score_idx", "category", "score", "item"),
    Index("popularity_trend_idx", "category", "trend", "item"),
)
"""log2 of the decayed sum, in units of 2^-16, in the item's category and all above it."""

TABLES: Final = (popularity_day, popularity)

_CATALOGUE: Final = f"{Kind.ITEM_CHANGED.value}, {Kind.ITEM_REMOVED.value}"

# Items whose sums may change, or whose place in the catalogue did.
TOUCHED: Final = f"""
SELECT item FROM ({{signed}}) AS signed WHERE (CAST(:weights AS float8[]))[signal] <> 0
UNION SELECT item FROM ({FRESH}) AS fresh WHERE kind IN ({_CATALOGUE}) AND item IS NOT NULL
"""
THESE: Final = "SELECT unnest(CAST(:items AS int[])) AS item"
EVERY_ITEM: Final = "SELECT DISTINCT item FROM popularity_day"

# Each item's day gains its events' weights.
COUNT: Final = f"""
WITH counted AS (
INSERT INTO popularity_day AS old (item, day, weight)
SELECT item, hour_of(id) / 24, sum(sign * ({UNIT} * (CAST(:weights AS float8[]))[signal])::int)
FROM ({{signed}}) AS signed
WHERE (CAST(:weights AS float8[]))[signal] <> 0
GROUP BY 1, 2
ORDER BY 1, 2
ON CONFLICT (item, day) DO UPDATE SET weight = old.weight + excluded.weight
RETURNING item, day, weight
) SELECT item, day FROM counted WHERE weight = 0
"""
# A day on which as much was taken back as done is no day.
DROP_EMPTY: Final = """
DELETE FROM popularity_day USING unnest(CAST(:items AS int[]), CAST(:days AS int[])) AS empty(item, day)
WHERE popularity_day.item = empty.item AND popularity_day.day = empty.day
"""

# 2^x is summed relative to the item's newest day, so it neither overflows nor vanishes; floats
# are summed in the order of days, so they are the same bits each time. Casts matter here, too:
# log(2, x) exists for numerics only, and takes a hundred times longer than ln.
_LOG_SUM: Final = """
round({unit} * (max(day) / {half_life}::float8 + ln(nullif(greatest(
    sum(weight / {unit}::float8
        * power(2::float8, (day - newest) / {half_life}::float8) ORDER BY day),
    0), 0)) / ln(2::float8)))::bigint
"""
_SCORES: Final = f"""
SELECT item, {_LOG_SUM.format(half_life=HALF_LIFE, unit=UNIT)} AS score,
       coalesce({_LOG_SUM.format(half_life=TREND_HALF_LIFE, unit=UNIT)}, 0) AS trend
FROM touched,
     LATERAL (SELECT max(day) AS newest FROM popularity_day WHERE item = touched.item) AS head,
     LATERAL (SELECT day, weight FROM popularity_day
              WHERE item = touched.item AND day > newest - {REACH}) AS days
GROUP BY item
"""

_PLACES: Final = f"""
SELECT place.category, scores.item, score, trend
FROM ({_SCORES}) AS scores
JOIN catalog_item ON catalog_item.id = scores.item
LEFT JOIN catalog_category ON catalog_category.id = catalog_item.category_id,
     LATERAL unnest({EVERYTHING} || coalesce(catalog_category.lineage, ARRAY[]::int[])) AS place(category)
WHERE score IS NOT NULL
"""

PLACE: Final = f"""
WITH touched AS MATERIALIZED ({{touched}}), placed AS MATERIALIZED ({_PLACES}), left_behind AS (
    DELETE FROM popularity AS old USING touched
    WHERE old.item = touched.item
      AND NOT EXISTS (SELECT FROM placed WHERE placed.item = old.item AND placed.category = old.category)
)
INSERT INTO popularity AS old (category, item, score, trend)
SELECT category, item, score, trend FROM placed
ORDER BY category, item
ON CONFLICT (category, item) DO UPDATE SET score = excluded.score, trend = excluded.trend
WHERE (old.score, old.trend) IS DISTINCT FROM (excluded.score, excluded.trend)
"""


def fold(connection: Connection, since: str, counting: Counting) -> None:
    """Count what came since the snapshot `since`; place what it touched."""
    rows = signed(double_click=counting.double_click, everything=False)
    told = _told(counting) | {"since": since}
    items = list(connection.scalars(text(TOUCHED.format(signed=rows)), told))
    _count(connection, rows, told)
    connection.execute(text(PLACE.format(touched=THESE)), {"items": items})


def fill(connection: Connection, counting: Counting) -> None:
    """The same from the whole log, into empty tables."""
    rows = signed(double_click=counting.double_click, everything=True)
    _count(connection, rows, _told(counting) | {"since": NOTHING})
    connection.execute(text(PLACE.format(touched=EVERY_ITEM)))


def _count(connection: Connection, rows: str, told: dict[str, Any]) -> None:
    empty = connection.execute(text(COUNT.format(signed=rows)), told).all()
    if empty:
        emptied = {"items": [row.item for row in empty], "days": [row.day for row in empty]}
        connection.execute(text(DROP_EMPTY), emptied)


def _told(counting: Counting) -> dict[str, Any]:
    return {"weights": by_signal(counting.weights), "double_click": counting.double_click}


# The heads of two index ranges: what sells, and what has begun to. Scores are logarithms
# with another half life each, so they come back as shares of the head's.
_HEAD: Final = """
SELECT {source} AS source, item,
       power(2::float8, greatest((height - max(height) OVER ()) / {unit}::float8, {least})) AS share,
       NULL::int AS because
FROM (SELECT item, {column} AS height FROM popularity WHERE category = %(category)s
        AND {is_strange}
      ORDER BY {column} DESC, item DESC LIMIT %(each)s) AS head
"""
SOURCE: Final = f"""
({_HEAD.format(source=POPULAR, column="score", unit=UNIT, least=LEAST, is_strange=IS_STRANGE)})
UNION ALL
({_HEAD.format(source=TRENDING, column="trend", unit=UNIT, least=LEAST, is_strange=IS_STRANGE)})
"""
