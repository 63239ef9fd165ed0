"""The shopper's own state: what they did last, and their dealings with each item.

Two tables, both functions of the *set* of a person's events, so order, retries and batches
do not matter: the newest 50 events, and per item the kinds seen and the hours of purchase.
They move in the transaction that appends the event, so the next request sees the click. A
person is all the names that were joined (behavior.people); of who is hidden there is nothing.
"""

from typing import Final

from sqlalchemy import ARRAY, Column, Connection, Index, Integer, SmallInteger, Table, Uuid, text

from behavior.events import Kind
from recsite.db import METADATA

RECENT: Final = 50
"""Events kept in user_state; also how far back covisit may look without reading the log."""

PURCHASES: Final = 24
"""Purchases and refunds of one item kept in user_item: enough for a cadence."""

KINDS: Final = (
    Kind.VIEW_ITEM, Kind.SELECT_ITEM, Kind.ADD_TO_CART, Kind.REMOVE_FROM_CART, Kind.PURCHASE,
    Kind.REFUND, Kind.ADD_TO_WISHLIST, Kind.REMOVE_FROM_WISHLIST, Kind.RATE, Kind.DISMISS,
    Kind.SHARE, Kind.FOLLOW,
)  # fmt: skip
"""What a shopper did with an item. What was merely shown (view_item_list) is not among it:
fifty impressions would push every click out of the state."""

KIND_LIST: Final = ", ".join(str(kind.value) for kind in KINDS)

user_state = Table(
    "user_state",
    METADATA,
    Column("person", Integer, primary_key=True, autoincrement=False),
    Column("ids", ARRAY(Uuid), nullable=False),
    Column("items", ARRAY(Integer), nullable=False),
    Column("signals", ARRAY(SmallInteger), nullable=False),
)
"""The newest events, newest first: event ids (which hold the time), items, signals."""

user_item = Table(
    "user_item",
    METADATA,
    Column("person", Integer, primary_key=True, autoincrement=False),
    Column("item", Integer, primary_key=True, autoincrement=False),
    Column("kinds", Integer, nullable=False),
    Column("last", Uuid, nullable=False),
    Column("bought", ARRAY(Integer)),
    # Who dealt with an item last (recommend.shoppers).
    Index("user_item_newest_idx", "item", "last", postgresql_include=["person"]),
    # Few of a shopper's items are habits; buying again reads only those (recommend.again).
    Index("user_item_habit_idx", "person", postgresql_where=text("bought[2] IS NOT NULL")),
    # Fewer still were dismissed; every list leaves those out.
    Index("user_item_dismissed_idx", "person", "item",
          postgresql_where=text(f"(kinds & {1 << Kind.DISMISS}) <> 0")),
)  # fmt: skip
"""kinds: a bit for each Kind seen; last: the newest event; bought: hours since 1970 of each
purchase, and negative of each refund, newest first."""

TABLES: Final = (user_state, user_item)

_HOURS: Final = f"""
(array_agg(CASE kind WHEN {Kind.REFUND.value} THEN -hour_of(id) ELSE hour_of(id) END
           ORDER BY hour_of(id) DESC, kind DESC)
     FILTER (WHERE kind IN ({Kind.PURCHASE.value}, {Kind.REFUND.value})))[1:{PURCHASES}]"""

# Whether all that is new is newer than all that is there, as live traffic is: then it goes in
# front, and nothing is sorted.
_NEWER: Final = "excluded.ids[cardinality(excluded.ids)] > old.ids[1]"

# The statements that bring both tables up to date from a relation `appended` of new rows.
# The upsert takes row locks in the order of persons, so two batches cannot dead-lock. Within
# an hour a refund comes after the purchase that it takes back.
FROM_APPENDED: Final = f"""
dealing AS (
    SELECT id, kind, signal(kind, detail) AS signal, item,
           CASE WHEN person.subject IS NULL THEN appended.subject ELSE person.person END AS person
    FROM appended LEFT JOIN person USING (subject)
    WHERE kind IN ({KIND_LIST}) AND subject IS NOT NULL AND item IS NOT NULL
), state AS (
    INSERT INTO user_state AS old (person, ids, items, signals)
    SELECT person, array_agg(id ORDER BY id DESC), array_agg(item ORDER BY id DESC),
           array_agg(signal ORDER BY id DESC)
    FROM (SELECT *, row_number() OVER (PARTITION BY person ORDER BY id DESC) AS age
          FROM dealing WHERE person IS NOT NULL) AS aged
    WHERE age <= {RECENT}
    GROUP BY person
    ORDER BY person
    ON CONFLICT (person) DO UPDATE SET (ids, items, signals) = (
        SELECT (excluded.ids || old.ids)[1:{RECENT}], (excluded.items || old.items)[1:{RECENT}],
               (excluded.signals || old.signals)[1:{RECENT}] WHERE {_NEWER}
        UNION ALL
        SELECT array_agg(id ORDER BY id DESC), array_agg(item ORDER BY id DESC),
               array_agg(signal ORDER BY id DESC)
        FROM (SELECT * FROM unnest(old.ids || excluded.ids, old.items || excluded.items,
                                   old.signals || excluded.signals) AS both_of(id, item, signal)
              WHERE NOT {_NEWER} ORDER BY id DESC LIMIT {RECENT}) AS newest
        HAVING count(*) > 0)
), per_item AS (
    INSERT INTO user_item AS old (person, item, kinds, last, bought)
    SELECT person, item, bit_or(1 << kind), (array_agg(id ORDER BY id DESC))[1], {_HOURS}
    FROM dealing WHERE person IS NOT NULL
    GROUP BY person, item
    ORDER BY person, item
    ON CONFLICT (person, item) DO UPDATE SET
        kinds = old.kinds | excluded.kinds,
        last = greatest(old.last, excluded.last),
        bought = CASE WHEN excluded.bought IS NULL THEN old.bought ELSE (
            SELECT array_agg(hour ORDER BY abs(hour) DESC, hour)
            FROM (SELECT hour FROM unnest(old.bought || excluded.bought) AS hour
                  ORDER BY abs(hour) DESC, hour LIMIT {PURCHASES}) AS newest) END
)
"""

FILL: Final = f"""
WITH appended AS MATERIALIZED (
    SELECT id, kind, subject, item, detail FROM event
), {FROM_APPENDED}
SELECT count(*) FROM appended
"""

# The state of some persons, of whom there is none, from the histories of all who are them.
FILL_SOME: Final = f"""
WITH member AS MATERIALIZED ({{members}}), appended AS MATERIALIZED (
    SELECT id, kind, subject, item, detail FROM member JOIN event USING (subject)
), {FROM_APPENDED}
SELECT count(*) FROM appended
"""


def fill(connection: Connection) -> None:
    """Fill both tables, which must be empty, from the whole log that is visible."""
    connection.execute(text(FILL))
