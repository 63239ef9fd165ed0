"""Segment's spec (track, identify, alias), which RudderStack speaks too.

Pure. The list of names is https://segment.com/docs/connections/spec/ecommerce/v2/, with the
older names of its first version.
"""

from collections.abc import Mapping
from typing import Any, Final

from behavior.dialects import places
from behavior.events import Kind

NAME: Final = "Segment"

NAMES: Final[Mapping[str, Kind]] = {
    "Products Searched": Kind.SEARCH,
    "Product List Viewed": Kind.VIEW_ITEM_LIST,
    "Product List Filtered": Kind.VIEW_ITEM_LIST,
    "Product Clicked": Kind.SELECT_ITEM,
    "Product Viewed": Kind.VIEW_ITEM,
    "Product Added": Kind.ADD_TO_CART,
    "Product Removed": Kind.REMOVE_FROM_CART,
    "Cart Viewed": Kind.VIEW_CART,
    "Checkout Started": Kind.BEGIN_CHECKOUT,
    "Order Completed": Kind.PURCHASE,
    "Order Refunded": Kind.REFUND,
    "Order Cancelled": Kind.REFUND,
    "Product Added to Wishlist": Kind.ADD_TO_WISHLIST,
    "Product Removed from Wishlist": Kind.REMOVE_FROM_WISHLIST,
    "Wishlist Product Added to Cart": Kind.ADD_TO_CART,
    "Product Shared": Kind.SHARE,
    "Cart Shared": Kind.SHARE,
    "Product Reviewed": Kind.RATE,
    "Viewed Product": Kind.VIEW_ITEM,
    "Added Product": Kind.ADD_TO_CART,
    "Removed Product": Kind.REMOVE_FROM_CART,
    "Completed Order": Kind.PURCHASE,
    "identify": Kind.IDENTIFY,
    "alias": Kind.IDENTIFY,
}

FOREIGN: Final = frozenset(
    {
        "page", "screen", "group", "Promotion Viewed", "Promotion Clicked",
        "Checkout Step Viewed", "Checkout Step Completed", "Payment Info Entered",
        "Order Updated", "Coupon Entered", "Coupon Applied", "Coupon Denied", "Coupon Removed",
        "Viewed Product Category",
    }
)  # fmt: skip

FIELDS: Final = places.fields(
    event_id="messageId",
    occurred_at="timestamp originalTimestamp",
    user_id="userId",
    anonymous_id="anonymousId",
    previous_user_id="previousId",
    order_id="properties.order_id properties.orderId",
    query="properties.query",
    value="properties.value properties.revenue properties.total",
    currency="properties.currency",
    rating="properties.rating",
    session_id="properties.session_id",
    recommendation_id="properties.recommendation_id",
)

LINE: Final = places.fields(
    item_id="product_id productId sku id", quantity="quantity", price="price", index="position"
)

CALLS: Final = ("track", "identify", "alias", "page", "screen", "group")
ITS_OWN: Final = ("userId", "anonymousId", "properties")


def speaks(raw: Mapping[str, Any]) -> bool:
    """By `type`; in a call's own address (/v1/track) by the fields that only Segment has."""
    if raw.get("type") in CALLS or ("previousId" in raw and "event" not in raw):
        return True
    return "event" in raw and any(field in raw for field in ITS_OWN)


def translate(raw: Mapping[str, Any]) -> list[Any]:
    """One call, one event."""
    name = _call(raw)
    if isinstance(name, str) and name in FOREIGN:
        return [places.foreign(name)]
    said = {"event": places.event(name, NAMES), **places.read(raw, FIELDS)}
    if name == "alias":
        return [_alias(said)]
    return [said | places.items(raw.get("properties"), "products", LINE)]


def _call(raw: Mapping[str, Any]) -> object:
    """The name of a track call, and of any other call the call itself."""
    kind = raw.get("type", "track" if "event" in raw else "alias")
    return raw.get("event") if kind == "track" else kind


def _alias(said: dict[str, Any]) -> dict[str, Any]:
    """Every call of a browser names the browser, but an alias means it only where the
    previous id is the browser's."""
    previous = said.get("previous_user_id")
    other = "previous_user_id" if previous == said.get("anonymous_id") else "anonymous_id"
    return {field: value for field, value in said.items() if field != other}


def batch(body: Mapping[str, Any]) -> object:
    """The calls of a batch; None where the body is none."""
    return body.get("batch")
