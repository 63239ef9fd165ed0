"""The shopper's own state: what they did last, and their dealings with each item.

Two tables, both functions of the *set* of a shopper's events, so order, retries and batches
do not matter: the newest 50 events, and per item the kinds seen and the hours of purchase.
They move in the transaction that appends the event, so the next request sees the click.
"""

from typing import Final

from sqlalchemy import ARRAY, Column, Connection, Index, Integer, SmallInteger, Table, Uuid, text

from behavior.events import Kind
from recsite.db import METADATA

RECENT: Final = 50
"""Events kept in user_state; also how far back covisit may look without reading the log."""

PURCHASES: Final = 24
"""Purchases of one item kept in user_item: enough for a cadence."""

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
    Column("subject", Integer, primary_key=True, autoincrement=False),
    Column("ids", ARRAY(Uuid), nullable=False),
    Column("items", ARRAY(Integer), nullable=False),
    Column("kinds", ARRAY(SmallInteger), nullable=False),
)
"""The newest events, newest first: event ids (which hold the time), items, kinds."""

user_item = Table(
    "user_item",
    METADATA,
    Column("subject", Integer, primary_key=True, autoincrement=False),
    Column("item", Integer, primary_key=True, autoincrement=False),
    Column("kinds", Integer, nullable=False),
    Column("last", Uuid, nullable=False),
    Column("bought", ARRAY(Integer)),
    # Few of a shopper's items are habits; buying again reads only those (recommend.again).
    Index("user_item_habit_idx", "subject", postgresql_where=text("bought[2] IS NOT NULL")),
)
"""kinds: a bit for each Kind seen; last: the newest event; bought: hours since 1970, newest first."""

TABLES: Final = (user_state, user_item)

# The statements that bring both tables up to date from a relation `appended` of new rows.
# The upsert takes row locks in the order of subjects, so two batches cannot dead-lock.
FROM_APPENDED: Final = f"""
dealing AS (
    SELECT id, kind, subject, item FROM appended
    WHERE kind IN ({KIND_LIST}) AND subject IS NOT NULL AND item IS NOT NULL
), state AS (
    INSERT INTO user_state AS old (subject, ids, items, kinds)
    SELECT subject, array_agg(id ORDER BY id DESC), array_agg(item ORDER BY id DESC),
           array_agg(kind ORDER BY id DESC)
    FROM (SELECT *, row_number() OVER (PARTITION BY subject ORDER BY id DESC) AS age
          FROM dealing) AS aged
    WHERE age <= {RECENT}
    GROUP BY subject
    ORDER BY subject
    ON CONFLICT (subject) DO UPDATE SET (ids, items, kinds) = (
        SELECT array_agg(id ORDER BY id DESC), array_agg(item ORDER BY id DESC),
               array_agg(kind ORDER BY id DESC)
        FROM (SELECT * FROM unnest(old.ids || excluded.ids, old.items || excluded.items,
                                   old.kinds || excluded.kinds) AS both_of(id, item, kind)
              ORDER BY id DESC LIMIT {RECENT}) AS newest)
), per_item AS (
    INSERT INTO user_item AS old (subject, item, kinds, last, bought)
    SELECT subject, item, bit_or(1 << kind), (array_agg(id ORDER BY id DESC))[1],
           (array_agg(hour_of(id) ORDER BY id DESC)
               FILTER (WHERE kind = {Kind.PURCHASE.value}))[1:{PURCHASES}]
    FROM dealing
    GROUP BY subject, item
    ORDER BY subject, item
    ON CONFLICT (subject, item) DO UPDATE SET
        kinds = old.kinds | excluded.kinds,
        last = greatest(old.last, excluded.last),
        bought = CASE WHEN excluded.bought IS NULL THEN old.bought ELSE (
            SELECT array_agg(hour ORDER BY hour DESC)
            FROM (SELECT unnest(old.bought || excluded.bought) AS hour
                  ORDER BY hour DESC LIMIT {PURCHASES}) AS newest) END
)
"""

FILL: Final = f"""
WITH appended AS MATERIALIZED (SELECT id, kind, subject, item FROM event), {FROM_APPENDED}
SELECT count(*) FROM appended
"""


def fill(connection: Connection) -> None:
    """Fill both tables, which must be empty, from the whole log that is visible."""
    connection.execute(text(FILL))
