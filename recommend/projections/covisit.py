"""Co-visitation: which items the same shoppers engage with, near each other in time.

A shopper's events in order of time; each pairs with the WINDOW events before it, weighted by
kind and by gap^-1/2. Three channels: `viewed` (any two but two purchases, backwards at half
weight), `bought` (both purchased, in one order) and `led` (something done earlier, then a
purchase). All sums are integers in units of 2^-16, so the tables are a function of the set of
events: any batching or order gives the same rows as a rebuild. A late event changes the gaps
of its neighbours; the fold subtracts what they counted and adds what they count now.

The score C[i,j] / (n_i^a n_j^b) is Aiolli's asymmetric cosine (RecSys 2013); it is taken at
serving, because n_j changes with every event of j and would touch every row that j is in.
"""

from typing import Final

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

from behavior.events import Kind
from behavior.position import FRESH, NOTHING
from behavior.user_state import RECENT
from recommend.sources import BOUGHT, LED, VIEWED
from recsite.db import METADATA

NAME: Final = "covisit"
VERSION: Final = 1

WINDOW: Final = 10
NEIGHBOURS: Final = 50
UNIT: Final = 65_536

WEIGHTS: Final = {
    Kind.VIEW_ITEM: 1.0, Kind.SELECT_ITEM: 1.0, Kind.ADD_TO_CART: 0.5, Kind.PURCHASE: 0.5,
    Kind.ADD_TO_WISHLIST: 0.5, Kind.RATE: 1.0, Kind.SHARE: 1.0, Kind.FOLLOW: 1.0,
}  # fmt: skip
"""How much an event of a kind counts; kinds that are not here do not pair at all."""

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

PAIRING: Final = ", ".join(str(kind.value) for kind in WEIGHTS)
_BY_KIND: Final = [
    WEIGHTS.get(Kind(n), 0.0) if n in set(Kind) else 0.0 for n in range(1, max(Kind) + 1)
]
WEIGHT_OF: Final = f"(ARRAY{_BY_KIND}::float8[])"
PURCHASE: Final = Kind.PURCHASE.value

VISIT: Final = "interval '30 minutes'"
"""Purchases this near each other are one order; further apart, one led to the other."""

_LAGS: Final = ", ".join(
    f"lag({column}, {gap}) OVER w AS {column}_{gap}"
    for gap in range(1, WINDOW + 1) for column in ("at", "item", "kind")
)  # fmt: skip
_GAPS: Final = ", ".join(
    f"(at_{gap}, item_{gap}, kind_{gap}, {UNIT * gap**-0.5})" for gap in range(1, WINDOW + 1)
)

# One sort for all gaps: ten lags over one window are fourteen times faster than an array
# aggregated over a moving frame, and as fast as a self-join without its memory.
PAIRS: Final = f"""
SELECT least(earlier.item, later.item) AS lo, greatest(earlier.item, later.item) AS hi,
       earlier.item < later.item AS up,
       earlier.kind <> {PURCHASE} OR later.kind <> {PURCHASE} AS is_viewed,
       earlier.kind = {PURCHASE} AND later.kind = {PURCHASE}
           AND later.at - earlier.at < {VISIT} AS is_bought,
       later.kind = {PURCHASE}
           AND (earlier.kind <> {PURCHASE} OR later.at - earlier.at >= {VISIT}) AS is_led,
       {{sign}} (earlier.gap_weight * {WEIGHT_OF}[earlier.kind] * {WEIGHT_OF}[later.kind])::int
           AS weight
FROM (SELECT at, item, kind, counts, {_LAGS}
      FROM {{history}} AS history
      WINDOW w AS (PARTITION BY subject ORDER BY id)) AS later,
     LATERAL (VALUES {_GAPS}) AS earlier(at, item, kind, gap_weight)
WHERE later.counts AND earlier.item <> later.item
"""

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

_ALL: Final = f"""(
    SELECT subject, id, occurred_at AS at, item, kind, true AS counts FROM event
    WHERE kind IN ({PAIRING}) AND subject IS NOT NULL AND item IS NOT NULL)"""

# Everything, counted into an empty table; sorted, so that equal keys lie together.
COUNT_ALL: Final = f"""
INSERT INTO covisit (lo, hi, viewed_up, viewed_down, bought, led_up, led_down)
{SUMS.format(pairs=PAIRS.format(sign="", history=_ALL))}
ORDER BY lo, hi
"""

# The neighbourhood of each shopper's new events: from user_state where that reaches back
# WINDOW events before the first new one (the usual case, whose cost does not grow with the
# log), else the whole history from the log (a late event, or very many at once). Then what
# the pairs that end at or after the first new event count now, less what they counted before.
_NOW: Final = PAIRS.format(sign="", history="history")
_BEFORE: Final = PAIRS.format(
    sign="-",
    history="""(
    SELECT * FROM history
    WHERE subject IN (SELECT subject FROM overtaken)
      AND NOT EXISTS (SELECT FROM fresh WHERE fresh.id = history.id))""",
)
COUNT_FRESH: Final = f"""
WITH fresh AS MATERIALIZED (
    SELECT id, subject FROM ({FRESH}) AS f
    WHERE kind IN ({PAIRING}) AND subject IS NOT NULL AND item IS NOT NULL
), first AS (
    SELECT DISTINCT ON (subject) subject, id FROM fresh ORDER BY subject, id
), reach AS MATERIALIZED (
    SELECT subject, first.id AS first_id, ids, items, kinds, coalesce(older.cut, {RECENT}) AS cut,
           cardinality(ids) < {RECENT} OR older.count = {WINDOW} AS near
    FROM first JOIN user_state USING (subject),
         LATERAL (SELECT count(*), max(age)::int AS cut FROM (
             SELECT age FROM unnest(ids, kinds) WITH ORDINALITY AS recent(id, kind, age)
             WHERE recent.id < first.id AND kind IN ({PAIRING})
             ORDER BY age LIMIT {WINDOW}) AS nearest) AS older
), history AS MATERIALIZED (
    SELECT subject, id, uuid_extract_timestamp(id) AS at, item, kind, id >= first_id AS counts
    FROM reach, unnest(ids[1:cut], items[1:cut], kinds[1:cut]) AS recent(id, item, kind)
    WHERE near AND kind IN ({PAIRING})
    UNION ALL
    SELECT subject, event.id, occurred_at, item, kind, event.id >= first_id
    FROM reach JOIN event USING (subject)
    WHERE NOT near AND kind IN ({PAIRING}) AND item IS NOT NULL
), overtaken AS MATERIALIZED (
    -- Only where an older fact follows a new one had pairs been counted that now are not.
    SELECT DISTINCT subject FROM history
    WHERE counts AND NOT EXISTS (SELECT FROM fresh WHERE fresh.id = history.id)
), delta AS (
    {SUMS.format(pairs=_NOW + " UNION ALL " + _BEFORE)}
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
INSERT INTO item_count AS old (item, seen, bought)
SELECT item, sum(({UNIT} * {WEIGHT_OF}[kind])::int), {UNIT} * count(*) FILTER (WHERE kind = {PURCHASE})
FROM ({FRESH}) AS fresh
WHERE kind IN ({PAIRING}) AND subject IS NOT NULL AND item IS NOT NULL
GROUP BY item
ORDER BY item
ON CONFLICT (item) DO UPDATE SET
    seen = old.seen + excluded.seen, bought = old.bought + excluded.bought
"""

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


def fold(connection: Connection, since: str) -> None:
    """Count the events that came since the snapshot `since`, and rank what they changed."""
    for statement in (CREATE_CHANGED, CREATE_SUNK, "TRUNCATE changed_pair, sunk"):
        connection.execute(text(statement))
    connection.execute(text(COUNT_FRESH), {"since": since})
    connection.execute(text(COUNT_ITEMS), {"since": since})
    connection.execute(text(RANK_GROWN))
    if connection.scalar(text("SELECT exists(SELECT FROM changed_pair WHERE shrunk)")):
        for statement in (DROP_EMPTY, NOTE_SUNK, DROP_SUNK, RANK_SUNK):
            connection.execute(text(statement))


def fill(connection: Connection) -> None:
    """Count the whole log into empty tables; the indexes are made afterwards, three times faster."""
    connection.execute(text("ALTER TABLE covisit DROP CONSTRAINT covisit_pkey"))
    connection.execute(text("DROP INDEX covisit_hi_idx"))
    connection.execute(text(COUNT_ALL))
    connection.execute(text("ALTER TABLE covisit ADD CONSTRAINT covisit_pkey PRIMARY KEY (lo, hi)"))
    connection.execute(text("CREATE INDEX covisit_hi_idx ON covisit (hi)"))
    connection.execute(text(COUNT_ITEMS), {"since": NOTHING})
    connection.execute(text(RANK_ALL))


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
