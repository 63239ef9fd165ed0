"""Names: the shop's own strings for items and shoppers, and the integers that stand for them.

A name is interned once and for ever: whoever meets it first gives it its number, and nobody
takes it away but who erases a person. It never knows what bears the name.
"""

from collections.abc import Collection
from typing import Any, Final

import psycopg
from sqlalchemy import Column, Identity, Integer, Table, Text

from recsite.db import METADATA, cursor

item_key = Table(
    "item_key",
    METADATA,
    Column("item", Integer, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
)

subject_key = Table(
    "subject_key",
    METADATA,
    Column("subject", Integer, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
)

# Without the anti-join every attempt would burn a number of the 31-bit sequence. The order
# keeps two writers that meet new names in opposite order from dead-locking.
INTERN: Final = """
INSERT INTO {table} (key)
SELECT DISTINCT name FROM unnest(%s::text[]) AS given(name)
WHERE NOT EXISTS (SELECT FROM {table} known WHERE known.key = name)
ORDER BY name
ON CONFLICT (key) DO NOTHING
"""


def intern_items(keys: Collection[str]) -> dict[str, int]:
    """Give each new item id its integer, once and for ever; all of them come back."""
    names = list(keys)
    with cursor() as hot:
        intern(hot, "item_key", names)
        hot.execute("SELECT key, item FROM item_key WHERE key = ANY(%s)", [names], prepare=True)
        return dict(hot.fetchall())


def intern(hot: psycopg.Cursor[tuple[Any, ...]], table: str, keys: Collection[str]) -> None:
    """Give each new key of `item_key` or `subject_key` its integer."""
    if keys:
        hot.execute(INTERN.format(table=table), [list(keys)], prepare=True)
