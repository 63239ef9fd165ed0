"""The shelf: what the catalogue says of items right now, read for whoever wants to show it.

It promises content in the very form that the feed makes, so that writing back what was read
changes nothing. It never writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from catalog.feed import ItemContent
from recsite.db import cursor

READ: Final = """
SELECT i.changed_at, i.item_id, i.title, i.description, coalesce(c.path, ''), i.brand, i.seller,
       i.price, i.currency, i.stock, i.available, i.image, i.attributes::text
FROM catalog_item i
LEFT JOIN catalog_category c ON c.id = i.category_id
WHERE i.item_id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Shelved:
    """An item's content and when it last really changed."""

    content: ItemContent
    changed_at: datetime


def read(item_ids: Sequence[str]) -> dict[str, Shelved]:
    """The items among these that the catalogue has."""
    with cursor() as hot:
        rows = hot.execute(READ, [list(item_ids)]).fetchall()
    return {row[1]: _shelved(*row) for row in rows}


def _shelved(changed_at: datetime, *row: Any) -> Shelved:
    *fields, attributes = row
    fields.append(orjson.loads(attributes))
    return Shelved(ItemContent(*fields), changed_at)
