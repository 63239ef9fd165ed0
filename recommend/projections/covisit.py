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

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, Table, text

from behavior.counted import signed
from behavior.events import Kind, by_signal
from behavior.position import NOTHING
from behavior.standing import LOOKS, UNDOES, UNDOING_KINDS
from catalog.countings import Counting
from recommend.familiar import IS_STRANGE
from recommend.projections import pairs
from recommend.projections.neighbours import (
    NEIGHBOURS,
    RANK_ALL,
    clear_changed,
    neighbours,
    rank_changed,
)
from recommend.projections.pairs import UNIT
from recommend.sources import BOUGHT, LED, VIEWED
from recsite.db import METADATA

NAME: Final = "covisit"
VERSION: Final = 3

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

DROP_EMPTY: Final = """
DELETE FROM covisit USING (SELECT DISTINCT least(item, neighbour) AS lo, greatest(item, neighbour) AS hi
                           FROM changed_pair WHERE weight = 0) AS gone
WHERE covisit.lo = gone.lo AND covisit.hi = gone.hi
  AND (viewed_up, viewed_down, bought, led_up, led_down) = (0, 0, 0, 0, 0)
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


def fold(connection: Connection, since: str, counting: Counting) -> None:
    """Count what came since the snapshot `since`, and rank what it changed."""
    clear_changed(connection)
    connection.execute(text(COUNT_FRESH), _told(counting) | {"since": since})
    connection.execute(text(DROP_EMPTY))
    _count_items(connection, since, counting)
    rank_changed(connection)


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
    return {k: max(w, 0.0) for k, w in counting.weights.items() if k not in UNDOING_KINDS}


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
# would cost more than the sum itself. unnest() stands in the SELECT list, where its rows flow; in FROM
# each call would lay them down first, which cost a twentieth of the statement.
_CHANNEL: Final = """(
SELECT {channel} AS source, item, score / max(score) OVER () AS share, because
FROM (
    SELECT item, because,
           weight * power(greatest({theirs}, {unit})::float8, -{power}::float8) AS score
    FROM (
        SELECT item, sum({own} * said) AS weight, (max(voice) & 4294967295)::int AS because
        FROM (SELECT voice, {own}, unnest(items[:reach]) AS item, unnest(weights[:reach]) AS said
              FROM heard
              JOIN neighbours AS known ON known.item = heard.item AND known.channel = {channel}
              WHERE (%(weights)s::float8[])[{channel}] > 0) AS proposed
        WHERE {is_strange}
        GROUP BY item ORDER BY weight DESC, item LIMIT %(each)s
    ) AS proposal JOIN item_count USING (item)
) AS scored)"""

SOURCE: Final = " UNION ALL ".join(
    _CHANNEL.format(
        channel=channel,
        own=own,
        theirs=theirs,
        unit=UNIT,
        power=POPULAR_POWER,
        is_strange=IS_STRANGE,
    )
    for channel, own, theirs in (
        (VIEWED, "seen", "seen"),
        (BOUGHT, "bought", "bought"),
        (LED, "seen", "bought"),
    )
)
