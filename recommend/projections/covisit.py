"""Co-visitation: which items the same people engage with, near each other in time.

Each event pairs with those just before it (see pairs), weighted by kind and by gap^-1/2. Three
channels: `viewed` (any two but two purchases, backwards at half weight), `bought` (both
purchased, in one order) and `led` (something done earlier, then a purchase). All sums are
integers in units of 2^-16, so the tables are a function of the set of events: any batching or
order gives the same rows as a rebuild. What changes a history afterwards (a late event, a refund,
a name that is joined) takes away what was counted and adds what counts now.

The score C[i,j] / (n_i^a n_j^b) is Aiolli's asymmetric cosine (RecSys 2013); it is taken at
serving, because n_j changes with every event of j and would touch every row that j is in.
"""

from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    DDL,
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    SmallInteger,
    Table,
    event,
    text,
)

from behavior.counted import signed
from behavior.events import Kind, by_signal
from behavior.position import NOTHING
from catalog.countings import Counting
from recommend.projections import pairs
from recommend.projections.pairs import LOOKS, UNDOES, UNIT
from recommend.sources import BOUGHT, LED, VIEWED
from recsite.db import METADATA

NAME: Final = "covisit"
VERSION: Final = 2

NEIGHBOURS: Final = 50

SEED_POWER: Final = 0.5
POPULAR_POWER: Final = 0.1
"""a and b of the score: how far an item's own fame, and its neighbour's, is discounted."""

covisit = Table(
    "covisit",
    METADATA,
    Column("lo", Integer, primary_key=True, autoincrement=False),
    Column("hi", Integer, primary_key=True, autoincrement=False),
    Column("viewed_up", BigInteger, nullable=False),
    Column("viewed_down", BigInteger, nullable=False),
    Column("bought", BigInteger, nullable=False),
    Column("led_up", BigInteger, nullable=False),
    Column("led_down", BigInteger, nullable=False),
    Index("covisit_hi_idx", "hi"),
    # Counts change, keys do not: room in the page keeps an update off the two indexes.
    postgresql_with={"fillfactor": 85},
)
"""A row a pair (lo < hi). `up` is the weight of hi for a shopper at lo, `down` the reverse."""

item_count = Table(
    "item_count",
    METADATA,
    Column("item", Integer, primary_key=True, autoincrement=False),
    Column("seen", BigInteger, nullable=False),
    Column("bought", BigInteger, nullable=False),
)
"""n_i: weighted engagements, and purchases, in units of 2^-16."""

neighbours = Table(
    "neighbours",
    METADATA,
    Column("item", Integer, primary_key=True, autoincrement=False),
    Column("channel", SmallInteger, primary_key=True, autoincrement=False),
    Column("items", ARRAY(Integer), nullable=False),
    Column("weights", ARRAY(BigInteger), nullable=False),
)
"""The 50 heaviest pairs of an item in a channel, heaviest first: what serving reads."""

# As the migration has it, for the tables of a rebuild: whole arrays are read, twenty at a
# request, and must be neither compressed nor out of line.
event.listen(
    neighbours,
    "after_create",
    DDL(  # type: ignore[no-untyped-call]
        "ALTER TABLE neighbours ALTER items SET STORAGE PLAIN, ALTER weights SET STORAGE PLAIN"
    ),
)

TABLES: Final = (covisit, item_count, neighbours)

# Backwards counts half. Division truncates towards zero, so a pair that is subtracted takes
# away exactly what it had added.
SUMS: Final = """
SELECT lo, hi,
       coalesce(sum(CASE WHEN up THEN weight ELSE weight / 2 END) FILTER (WHERE is_viewed), 0) AS viewed_up,
       coalesce(sum(CASE WHEN up THEN weight / 2 ELSE weight END) FILTER (WHERE is_viewed), 0) AS viewed_down,
       coalesce(sum(weight) FILTER (WHERE is_bought), 0) AS bought,
       coalesce(sum(weight) FILTER (WHERE is_led AND up), 0) AS led_up,
       coalesce(sum(weight) FILTER (WHERE is_led AND NOT up), 0) AS led_down
FROM ({pairs}) AS pairs
GROUP BY lo, hi
"""

# Everything, counted into an empty table; sorted, so that equal keys lie together.
COUNT_ALL: Final = f"""
INSERT INTO covisit (lo, hi, viewed_up, viewed_down, bought, led_up, led_down)
SELECT * FROM ({SUMS.format(pairs=pairs.ALL)}) AS sums
WHERE (viewed_up, viewed_down, bought, led_up, led_down) <> (0, 0, 0, 0, 0)
ORDER BY lo, hi
"""

COUNT_FRESH: Final = f"""
{pairs.CHANGED}, delta AS (
    {SUMS.format(pairs=pairs.NOW + " UNION ALL " + pairs.BEFORE)}
), counted AS (
    INSERT INTO covisit (lo, hi, viewed_up, viewed_down, bought, led_up, led_down)
    SELECT * FROM delta
    WHERE (viewed_up, viewed_down, bought, led_up, led_down) <> (0, 0, 0, 0, 0)
    ORDER BY lo, hi
    ON CONFLICT (lo, hi) DO UPDATE SET
        viewed_up = covisit.viewed_up + excluded.viewed_up,
        viewed_down = covisit.viewed_down + excluded.viewed_down,
        bought = covisit.bought + excluded.bought,
        led_up = covisit.led_up + excluded.led_up,
        led_down = covisit.led_down + excluded.led_down
    RETURNING new.*, old.viewed_up AS old_viewed_up, old.viewed_down AS old_viewed_down,
              old.bought AS old_bought, old.led_up AS old_led_up, old.led_down AS old_led_down
)
INSERT INTO changed_pair (item, neighbour, channel, weight, shrunk)
SELECT item, neighbour, channel, weight, weight < was
FROM counted, LATERAL (VALUES
    (lo, hi, {VIEWED}, viewed_up, coalesce(old_viewed_up, 0)),
    (hi, lo, {VIEWED}, viewed_down, coalesce(old_viewed_down, 0)),
    (lo, hi, {BOUGHT}, bought, coalesce(old_bought, 0)),
    (hi, lo, {BOUGHT}, bought, coalesce(old_bought, 0)),
    (lo, hi, {LED}, led_up, coalesce(old_led_up, 0)),
    (hi, lo, {LED}, led_down, coalesce(old_led_down, 0))
) AS changed(item, neighbour, channel, weight, was)
WHERE weight <> was
"""

CREATE_CHANGED: Final = """
CREATE TEMP TABLE IF NOT EXISTS changed_pair (
    item int, neighbour int, channel smallint, weight bigint, shrunk boolean
) ON COMMIT DELETE ROWS
"""

# n_i and n_j: sums over events, so late ones and shuffles need no care.
COUNT_ITEMS: Final = f"""
WITH counted AS (
INSERT INTO item_count AS old (item, seen, bought)
SELECT item, sum(sign * ({UNIT} * (CAST(:seen AS float8[]))[signal])::int),
       sum(sign * ({UNIT} * (CAST(:orders AS float8[]))[signal])::int)
FROM ({{signed}}) AS signed
GROUP BY item
ORDER BY item
ON CONFLICT (item) DO UPDATE SET
    seen = old.seen + excluded.seen, bought = old.bought + excluded.bought
RETURNING item, seen, bought
) SELECT item FROM counted WHERE (seen, bought) = (0, 0)
"""
DROP_UNCOUNTED: Final = "DELETE FROM item_count WHERE item = ANY (:items)"

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

# An item's row sinks where a pair that is in it shrank: then one from outside may come in, and
# the row is ranked afresh. A pair that shrinks outside the fifty changes nothing.
_SUNK: Final = """
SELECT DISTINCT item, channel FROM changed_pair JOIN neighbours AS known USING (item, channel)
WHERE shrunk AND neighbour = ANY (known.items)
"""

# Everywhere else the new fifty heaviest are among the old fifty and the pairs that grew, and
# only those that reach the old fiftieth matter. That is a look-up each: joined, the planner
# would read every row of neighbours.
_GROWN_AND_KEPT: Final = """(
    SELECT item, neighbour, channel, weight FROM grown UNION ALL
    SELECT item, neighbour, channel, weight FROM kept)"""
RANK_GROWN: Final = f"""
WITH sunk AS MATERIALIZED ({_SUNK}), touched AS MATERIALIZED (
    SELECT item, channel, (SELECT weights[{NEIGHBOURS}] FROM neighbours AS known
                           WHERE known.item = pair.item AND known.channel = pair.channel) AS fiftieth
    FROM (SELECT DISTINCT item, channel FROM changed_pair WHERE NOT shrunk) AS pair
    WHERE (item, channel) NOT IN (SELECT item, channel FROM sunk)
), grown AS MATERIALIZED (
    SELECT item, channel, neighbour, weight FROM changed_pair JOIN touched USING (item, channel)
    WHERE NOT shrunk AND weight >= coalesce(fiftieth, 0)
), kept AS (
    SELECT known.item, known.channel, kept.neighbour, kept.weight
    FROM (SELECT DISTINCT item, channel FROM grown) AS touched
    JOIN neighbours AS known USING (item, channel),
         unnest(known.items, known.weights) AS kept(neighbour, weight)
    WHERE NOT EXISTS (SELECT FROM grown WHERE grown.item = known.item
                      AND grown.channel = known.channel AND grown.neighbour = kept.neighbour)
)
{_TOP.format(pool=_GROWN_AND_KEPT)}
"""

DROP_EMPTY: Final = """
DELETE FROM covisit USING (SELECT DISTINCT least(item, neighbour) AS lo, greatest(item, neighbour) AS hi
                           FROM changed_pair WHERE weight = 0) AS gone
WHERE covisit.lo = gone.lo AND covisit.hi = gone.hi
  AND (viewed_up, viewed_down, bought, led_up, led_down) = (0, 0, 0, 0, 0)
"""
CREATE_SUNK: Final = """
CREATE TEMP TABLE IF NOT EXISTS sunk (item int, channel smallint) ON COMMIT DELETE ROWS
"""
NOTE_SUNK: Final = f"INSERT INTO sunk {_SUNK}"
DROP_SUNK: Final = """
DELETE FROM neighbours USING sunk WHERE neighbours.item = sunk.item AND neighbours.channel = sunk.channel
"""

# LATERAL, for the pairs of a few items must come through the two indexes, not by reading all.
_OF_SUNK: Final = """(SELECT DISTINCT item AS sinking FROM sunk) AS of, LATERAL (
    SELECT * FROM covisit WHERE lo = sinking UNION ALL SELECT * FROM covisit WHERE hi = sinking) AS covisit"""
RANK_SUNK: Final = _TOP.format(
    pool=f"""(
    SELECT pair.* FROM ({_EVERY_PAIR.format(covisit=_OF_SUNK)} AND pair.item = sinking) AS pair
    JOIN sunk USING (item, channel))"""
)


def fold(connection: Connection, since: str, counting: Counting) -> None:
    """Count what came since the snapshot `since`, and rank what it changed."""
    for statement in (CREATE_CHANGED, CREATE_SUNK, "TRUNCATE changed_pair, sunk"):
        connection.execute(text(statement))
    connection.execute(text(COUNT_FRESH), _told(counting) | {"since": since})
    _count_items(connection, since, counting)
    connection.execute(text(RANK_GROWN))
    if connection.scalar(text("SELECT exists(SELECT FROM changed_pair WHERE shrunk)")):
        for statement in (DROP_EMPTY, NOTE_SUNK, DROP_SUNK, RANK_SUNK):
            connection.execute(text(statement))


def fill(connection: Connection, counting: Counting) -> None:
    """Count the whole log into empty tables; the indexes are made afterwards, three times faster."""
    connection.execute(text("ALTER TABLE covisit DROP CONSTRAINT covisit_pkey"))
    connection.execute(text("DROP INDEX covisit_hi_idx"))
    connection.execute(text(COUNT_ALL), _told(counting))
    connection.execute(text("ALTER TABLE covisit ADD CONSTRAINT covisit_pkey PRIMARY KEY (lo, hi)"))
    connection.execute(text("CREATE INDEX covisit_hi_idx ON covisit (hi)"))
    _count_items(connection, NOTHING, counting)
    connection.execute(text(RANK_ALL))


def _count_items(connection: Connection, since: str, counting: Counting) -> None:
    rows = signed(double_click=counting.double_click, everything=since == NOTHING)
    seen = by_signal(dict(_paired(counting)) | _taken_back(counting))
    orders = by_signal({Kind.PURCHASE: 1, Kind.REFUND: -1})
    told = {"since": since, "seen": seen, "orders": orders, "double_click": counting.double_click}
    empty = list(connection.scalars(text(COUNT_ITEMS.format(signed=rows)), told))
    if empty:
        connection.execute(text(DROP_UNCOUNTED), {"items": empty})


def _told(counting: Counting) -> dict[str, Any]:
    return {"weights": by_signal(_paired(counting)), "double_click": counting.double_click}


def _paired(counting: Counting) -> dict[Kind, float]:
    """What pairs at all: nothing that takes back."""
    undoing = (*UNDOES, Kind.DISMISS)
    return {k: max(w, 0.0) for k, w in counting.weights.items() if k not in undoing}


def _taken_back(counting: Counting) -> dict[Kind, float]:
    """In a count of events what takes back weighs as much as the deed, less."""
    looks = max((counting.weights.get(kind, 0.0) for kind in LOOKS), default=0.0)
    return {k: -counting.weights.get(done, 0.0) for k, done in UNDOES.items()} | {
        Kind.DISMISS: -looks
    }


HEARD_IN_FULL: Final = 10
FIRST_FEW: Final = 10

# The seeds with their weight over n_i^a, once for both ways in which an item is famous.
# `voice` is the seed's rank above its id: the greatest voice names the heaviest seed. The
# heaviest seeds are heard in full, the rest with their first few neighbours: measured, that
# costs 0.4% of NDCG and saves a seventh of the statement.
HEARD: Final = f"""
SELECT item, (row_number() OVER (ORDER BY weight, item) << 32) + item AS voice,
       CASE WHEN row_number() OVER (ORDER BY weight DESC, item) <= {HEARD_IN_FULL}
            THEN {NEIGHBOURS} ELSE {FIRST_FEW} END AS reach,
       weight * power(greatest(seen, {UNIT})::float8, -{SEED_POWER}::float8) AS seen,
       weight * power(greatest(bought, {UNIT})::float8, -{SEED_POWER}::float8) AS bought
FROM seed JOIN item_count USING (item)
"""

# What the seeds' neighbours propose in one channel. Each seed's fifty arrive in one array, so
# thirty seeds are thirty index look-ups; n_j^b costs a look-up per proposal, hence only for the
# heaviest (looking up twice as many and sorting again moved NDCG by less than 0.4% and cost a
# quarter of the statement). The casts matter: power() of numerics is a hundred
# times slower. `because` is the heaviest seed that proposes the item: to weigh what each seed gave
# would cost more than the sum itself.
_CHANNEL: Final = """(
SELECT {channel} AS source, item, score / max(score) OVER () AS share, because
FROM (
    SELECT item, because,
           weight * power(greatest({theirs}, {unit})::float8, -{power}::float8) AS score
    FROM (
        SELECT proposed.item, sum(heard.{own} * proposed.weight) AS weight,
               (max(heard.voice) & 4294967295)::int AS because
        FROM heard
        JOIN neighbours AS known ON known.item = heard.item AND known.channel = {channel},
        LATERAL unnest(known.items[:heard.reach], known.weights[:heard.reach])
            AS proposed(item, weight)
        WHERE (%(weights)s::float8[])[{channel}] > 0
        GROUP BY proposed.item ORDER BY weight DESC, proposed.item LIMIT %(pool)s
    ) AS proposal JOIN item_count USING (item)
) AS scored)"""

SOURCE: Final = " UNION ALL ".join(
    _CHANNEL.format(channel=channel, own=own, theirs=theirs, unit=UNIT, power=POPULAR_POWER)
    for channel, own, theirs in (
        (VIEWED, "seen", "seen"),
        (BOUGHT, "bought", "bought"),
        (LED, "seen", "bought"),
    )
)
