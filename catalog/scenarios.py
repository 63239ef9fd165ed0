"""The scenarios that ship: four places where a shop shows lists, with sensible weights.

Pure data. A weight says how much a source counts in the blend: `viewed` and `bought` are
neighbours in shoppers' histories, `led` is what other events led to a purchase, `content`
is likeness of text and image, `popular` and `trending` are counts, `again` is the shopper's own repeats,
`shoppers` is what similar shoppers did, `linked` what all of a shopper's choices speak for,
`factors` what lies near them all in the space of tastes, `sequence` what comes next.
What came later than facts is off as shipped, and off wherever a fact does not name it.
"""

from typing import Any, Final

SOURCES: Final = (
    "viewed", "bought", "led", "content", "popular", "trending", "again", "shoppers", "linked",
    "factors", "sequence",
)  # fmt: skip
"""The weights of a scenario, one per source."""

LATER: Final[dict[str, Any]] = {
    "shoppers": 0.0, "linked": 0.0, "factors": 0.0, "sequence": 0.0,
    "serendipity": 0.0, "most_per_category": None, "most_per_brand": None, "most_per_seller": None,
    "explore_slot": None,
}  # fmt: skip
"""Settings that came later, off. Facts and receipts from before do not name them."""

SHIPPED: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "home",
        "title": "Home page",
        "recipe": "personal",
        "viewed": 1.0,
        "led": 0.1,
        "bought": 0.3,
        "content": 0.1,
        "popular": 0.05,
        "trending": 0.05,
        "again": 2.0,
        "shoppers": 0.1,
        "linked": 1.0,
        "factors": 0.1,
        "sequence": 0.3,
    },
    {
        "name": "similar",
        "title": "Item page",
        "recipe": "similar",
        "viewed": 1.0,
        "content": 0.5,
        "led": 0.3,
        "bought": 0.2,
        "popular": 0.02,
    },
    {
        "name": "cart",
        "title": "Basket",
        "recipe": "basket",
        "bought": 1.0,
        "led": 0.6,
        "viewed": 0.3,
        "content": 0.1,
        "popular": 0.02,
    },
    {
        "name": "popular",
        "title": "Popular now",
        "recipe": "popular",
        "popular": 1.0,
        "trending": 0.2,
        "diversity": 0.0,
    },
)

HOME: Final = SHIPPED[0]
