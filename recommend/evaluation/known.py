"""What was known in a split of the log: who dealt with what, and what is on sale.

It reads the tables that recommend.split has folded, and today's catalogue; it writes nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from recommend.candidates import Candidate

DEALT: Final = (
    "SELECT person, array_agg(item) AS items FROM user_item WHERE person = ANY(:persons) GROUP BY 1"
)
SHOPPERS_OF: Final = "SELECT item, count(*) AS shoppers FROM user_item GROUP BY 1"
SHOPPERS: Final = "SELECT count(*) FROM user_state"
ON_SALE: Final = "SELECT id FROM catalog_item WHERE available AND (stock IS NULL OR stock > 0)"

TRAITS: Final = """
SELECT catalog_item.id, item_id, lineage, brand, passage FROM catalog_item
LEFT JOIN catalog_category ON catalog_category.id = category_id
LEFT JOIN item_passage ON item_passage.item = catalog_item.id
WHERE catalog_item.id = ANY(:items)
"""


@dataclass(frozen=True, slots=True)
class Known:
    """`dealt` has each asked shopper's items, `shoppers_of` how many of all `shoppers` dealt
    with an item, `on_sale` what may be shown."""

    dealt: Mapping[int, frozenset[int]]
    shoppers_of: Mapping[int, int]
    shoppers: int
    on_sale: frozenset[int]


def read(inside: Connection, persons: Collection[int]) -> Known:
    """All of it, in the split's own transaction."""
    dealt = inside.execute(text(DEALT), {"persons": list(persons)})
    shoppers_of = inside.execute(text(SHOPPERS_OF))
    return Known(
        dealt={row.person: frozenset(row.items) for row in dealt},
        shoppers_of={row.item: row.shoppers for row in shoppers_of},
        shoppers=int(inside.scalar(text(SHOPPERS)) or 0),
        on_sale=frozenset(inside.scalars(text(ON_SALE))),
    )


def traits(inside: Connection, items: Collection[int]) -> dict[int, Candidate]:
    """What re-ranking compares items by."""
    rows = inside.execute(text(TRAITS), {"items": list(items)})
    return {
        row.id: Candidate(
            row.id, row.item_id, 0.0, (), tuple(row.lineage or ()), row.brand, row.passage, {}
        )
        for row in rows
    }
