"""Google's Retail API (Vertex AI Search for commerce): its user events.

Pure. The list of types is https://cloud.google.com/retail/docs/user-events, with those of
its forerunner, Recommendations AI. An attribution token is taken where it is the id of one
of our lists.
"""

from collections.abc import Mapping
from typing import Any, Final

from behavior.dialects import places
from behavior.events import Kind

NAME: Final = "Google Retail"

NAMES: Final[Mapping[str, Kind]] = {
    "detail-page-view": Kind.VIEW_ITEM,
    "category-page-view": Kind.VIEW_ITEM_LIST,
    "impression": Kind.VIEW_ITEM_LIST,
    "search": Kind.SEARCH,
    "add-to-cart": Kind.ADD_TO_CART,
    "remove-from-cart": Kind.REMOVE_FROM_CART,
    "shopping-cart-page-view": Kind.VIEW_CART,
    "checkout-start": Kind.BEGIN_CHECKOUT,
    "purchase-complete": Kind.PURCHASE,
    "refund": Kind.REFUND,
    "add-to-list": Kind.ADD_TO_WISHLIST,
    "remove-from-list": Kind.REMOVE_FROM_WISHLIST,
}

FOREIGN: Final = frozenset(
    {"home-page-view", "page-visit", "promotion-offered", "promotion-not-offered"}
)

FIELDS: Final = places.fields(
    occurred_at="eventTime",
    user_id="userInfo.userId",
    anonymous_id="visitorId",
    session_id="sessionId",
    order_id="purchaseTransaction.id",
    value="purchaseTransaction.revenue",
    currency="purchaseTransaction.currencyCode",
    query="searchQuery",
    recommendation_id="attributionToken",
)

LINE: Final = places.fields(
    item_id="product.id", quantity="quantity", price="product.priceInfo.price"
)

INLINE: Final = ("userEventInlineSource", "userEvents")


def speaks(raw: Mapping[str, Any]) -> bool:
    """Only Google calls it `eventType`."""
    return "eventType" in raw and "event" not in raw


def translate(raw: Mapping[str, Any]) -> list[Any]:
    """One event is one event; a search without words is browsing: a list of items."""
    name = raw.get("eventType")
    if isinstance(name, str) and name in FOREIGN:
        return [places.foreign(name)]
    said = {"event": places.event(name, NAMES), **places.served(places.read(raw, FIELDS))}
    if said["event"] == Kind.SEARCH.label and "query" not in said:
        said["event"] = Kind.VIEW_ITEM_LIST.label
    shown = raw.get("productDetails")
    listed = {} if shown is None else {"items": places.lines(shown, LINE)}
    return [said | listed]


def inline(body: Mapping[str, Any]) -> object:
    """The events of an import that holds them; None where the body is none."""
    return places.at(body, ("inputConfig", *INLINE))
