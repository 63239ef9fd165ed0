"""Silent: which sources have nothing to say in this shop, and why.

A list is made of those that can speak. Which cannot, nobody sees in a list; `refresh` says it.
"""

from collections.abc import Mapping
from typing import Final

from recommend.ranker import links, store
from recommend.sources import (
    AGAIN,
    BOUGHT,
    CONTENT,
    FACTORS,
    LED,
    LINKED,
    NAMES,
    POPULAR,
    SEQUENCE,
    SHOPPERS,
    TRENDING,
    VIEWED,
    name_of,
)
from recsite.db import ask

_NEIGHBOURS: Final = "EXISTS (SELECT FROM neighbours WHERE channel = {})"
_SPACE: Final = "EXISTS (SELECT FROM space WHERE kind = '{}' AND is_live)"
_FAMOUS: Final = "EXISTS (SELECT FROM popularity)"

SPEAKS: Final[Mapping[int, tuple[str, str]]] = {
    VIEWED: (_NEIGHBOURS.format(VIEWED), "no shopper looked at two items"),
    BOUGHT: (_NEIGHBOURS.format(BOUGHT), "no order held two items"),
    LED: (_NEIGHBOURS.format(LED), "nobody dealt with one item and ordered another later"),
    CONTENT: (
        "EXISTS (SELECT FROM item_passage JOIN embedding USING (passage))",
        "no item has a text or an image with a vector",
    ),
    POPULAR: (_FAMOUS, "nobody has dealt with an item of the catalogue"),
    TRENDING: (_FAMOUS, "nobody has dealt with an item of the catalogue"),
    AGAIN: (
        "EXISTS (SELECT FROM user_item WHERE bought[2] IS NOT NULL)",
        "nobody purchased an item twice",
    ),
    SHOPPERS: (
        "(SELECT count(*) FROM (SELECT FROM user_state LIMIT 2) AS two) = 2",
        "there are no two shoppers",
    ),
    LINKED: (
        f"EXISTS (SELECT FROM item_link WHERE ranker = {store.LIVE})",
        "it goes with a ranker, of which none with links is live",
    ),
    FACTORS: (_SPACE.format("factors"), "no such space is live"),
    SEQUENCE: (_SPACE.format("sequence"), "no such space is live"),
}
"""By source: what it needs, as an SQL expression that ends at the first row, and what is said
where that is absent."""

SPEAK: Final = f"SELECT {', '.join(SPEAKS[source][0] for source in sorted(SPEAKS))}"
LINKS: Final = f"SELECT count(*) FROM item_link WHERE ranker = {store.LIVE}"


def silent() -> dict[str, str]:
    """Why, by the names of sources that have nothing to say; {} where all can speak."""
    (speak,) = ask(SPEAK, {})
    return {
        name_of(source): SPEAKS[source][1]
        for source, speaks in zip(sorted(SPEAKS), speak, strict=True)
        if not speaks
    }


def sentence() -> str:
    """For example: 10 of 11 can speak; not again (nobody purchased an item twice)."""
    why = silent()
    said = f"{len(NAMES) - len(why)} of {len(NAMES)} can speak"
    if why:
        said += "; not " + ", ".join(f"{name} ({each})" for name, each in why.items())
    if "linked" not in why and _are_bounded():
        said += f"; linked speaks of the {links.ITEMS:,} best known items alone"
    return said


def _are_bounded() -> bool:
    ((linked,),) = ask(LINKS, {})
    return int(linked) >= links.ITEMS
