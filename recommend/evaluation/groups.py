"""Whose purchases are judged together: repeat and new, warm and cold items, by history.

Pure. An item is *new* to a shopper who never dealt with it, and *cold* where hardly anybody
did. A shopper's history is as long as they dealt with different items.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

COLD: Final = 5
"""Shoppers that make an item warm."""

LENGTHS: Final = (1, 5, 20, 100, 500)
"""Where each group of histories begins."""

ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Group:
    """`relevant` has, of each shopper who bought any, the items by which they are judged."""

    name: str
    relevant: Mapping[int, frozenset[int]]


def by_item(
    bought: Mapping[int, frozenset[int]],
    dealt: Mapping[int, frozenset[int]],
    shoppers_of: Mapping[int, int],
) -> list[Group]:
    """All, and the same purchases parted twice by what was known of the item."""

    def only(name: str, is_meant: Callable[[int, int], bool]) -> Group:
        some = {
            who: frozenset(i for i in items if is_meant(who, i)) for who, items in bought.items()
        }
        return Group(name, {who: items for who, items in some.items() if items})

    return [
        Group(ALL, bought),
        only("repeat", lambda who, item: item in dealt[who]),
        only("new", lambda who, item: item not in dealt[who]),
        only("warm", lambda _, item: shoppers_of.get(item, 0) >= COLD),
        only("cold", lambda _, item: shoppers_of.get(item, 0) < COLD),
    ]


def by_history(
    bought: Mapping[int, frozenset[int]], dealt: Mapping[int, frozenset[int]]
) -> list[Group]:
    """All purchases, by the length of who made them; lengths that nobody has are left out."""
    groups = [
        Group(
            _length(least, beyond),
            {who: items for who, items in bought.items() if least <= len(dealt[who]) < beyond},
        )
        for least, beyond in pairwise((*LENGTHS, math.inf))
    ]
    return [group for group in groups if group.relevant]


def _length(least: float, beyond: float) -> str:
    return f"{least}+ items" if beyond == math.inf else f"{least}–{beyond - 1} items"
