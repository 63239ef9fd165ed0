"""Shopify: its web pixels' standard events, and its webhooks' orders and refunds.

Pure. An item is a product, not its variant. The list of events is
https://shopify.dev/docs/api/web-pixels-api/standard-events. An order has one key however it
comes, from the pixel or the webhook, so that it counts once.
"""

from collections.abc import Mapping
from typing import Any, Final

from behavior.dialects import places
from behavior.events import Kind
from behavior.fields import digits

NAME: Final = "Shopify"

NAMES: Final[Mapping[str, Kind]] = {
    "product_viewed": Kind.VIEW_ITEM,
    "collection_viewed": Kind.VIEW_ITEM_LIST,
    "search_submitted": Kind.SEARCH,
    "product_added_to_cart": Kind.ADD_TO_CART,
    "product_removed_from_cart": Kind.REMOVE_FROM_CART,
    "cart_viewed": Kind.VIEW_CART,
    "checkout_started": Kind.BEGIN_CHECKOUT,
    "checkout_completed": Kind.PURCHASE,
}

FOREIGN: Final = frozenset(
    {
        "page_viewed", "checkout_address_info_submitted", "checkout_contact_info_submitted",
        "checkout_shipping_info_submitted", "payment_info_submitted", "alert_displayed",
        "ui_extension_errored", "clicked", "form_submitted", "input_blurred", "input_changed",
        "input_focused",
    }
)  # fmt: skip

FIELDS: Final = places.fields(
    event_id="id",
    occurred_at="timestamp",
    anonymous_id="clientId",
    user_id="user_id customer.id data.checkout.order.customer.id",
    session_id="session_id",
    recommendation_id="recommendation_id",
    order_id="data.checkout.order.id",
    query="data.searchResult.query",
    value="data.checkout.totalPrice.amount data.cart.cost.totalAmount.amount",
    currency="data.checkout.currencyCode data.cart.cost.totalAmount.currencyCode"
    " data.cartLine.merchandise.price.currencyCode data.productVariant.price.currencyCode",
)

LINE: Final = places.fields(
    item_id="product.id merchandise.product.id variant.product.id",
    quantity="quantity",
    price="price.amount merchandise.price.amount variant.price.amount",
)

LISTS: Final = (
    ("data", "checkout", "lineItems"),
    ("data", "cart", "lines"),
    ("data", "collection", "productVariants"),
    ("data", "searchResult", "productVariants"),
)
SINGLE: Final = (("data", "productVariant"), ("data", "cartLine"))

ORDER: Final = places.fields(
    user_id="customer.id",
    order_id="id",
    occurred_at="processed_at created_at",
    currency="currency",
    value="total_price",
)
ORDER_LINE: Final = places.fields(item_id="product_id", quantity="quantity", price="price")

# The user_id of these two bodies is the shop's own employee.
REFUND: Final = places.fields(
    user_id="customer.id",
    order_id="order_id",
    occurred_at="processed_at created_at",
    currency="currency",
)
REFUND_LINE: Final = places.fields(
    item_id="line_item.product_id", quantity="quantity", price="line_item.price"
)

GLOBAL: Final = "gid://shopify/"
IDS: Final = ("event_id", "user_id", "order_id")


def speaks(raw: Mapping[str, Any]) -> bool:
    """A pixel's event has a `clientId`; webhooks' bodies are known by their lines."""
    if "line_items" in raw or "refund_line_items" in raw:
        return True
    return "clientId" in raw and isinstance(raw.get("name"), str) and "event" not in raw


def translate(raw: Mapping[str, Any]) -> list[Any]:
    """A pixel's event is one event; an order is a purchase and each refund in it."""
    if "refund_line_items" in raw:
        return [_refund(raw)]
    return _order(raw) if "line_items" in raw else [_pixel(raw)]


def _pixel(raw: Mapping[str, Any]) -> object:
    name = raw.get("name")
    if name in FOREIGN or str(name).startswith("advanced_dom_"):
        return places.foreign(name)
    said = {"event": places.event(name, NAMES), **places.read(raw, FIELDS), **_shown(raw)}
    if said["event"] == Kind.PURCHASE.label and "order_id" in said:
        said["event_id"] = _key("order", said["order_id"])
    return _plain(said)


def _shown(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The products of the event, wherever this kind of event has them."""
    for place in LISTS:
        if (several := places.at(raw, place)) is not None:
            return {"items": places.lines(several, LINE)}
    single = next((s for p in SINGLE if (s := places.at(raw, p)) is not None), None)
    return {} if single is None else {"items": places.lines([single], LINE)}


def _order(raw: Mapping[str, Any]) -> list[Any]:
    order = places.read(raw, ORDER)
    key = _key("order", order.get("order_id"))
    lines = places.lines(raw["line_items"], ORDER_LINE)
    bought = {"event": Kind.PURCHASE.label, "event_id": key, **order, "items": lines}
    common = {field: order[field] for field in ("user_id", "currency") if field in order}
    refunds = raw.get("refunds")
    returned = refunds if isinstance(refunds, list) else []
    return [_plain(bought), *(common | _refund(r) if isinstance(r, dict) else r for r in returned)]


def _refund(raw: Mapping[str, Any]) -> dict[str, Any]:
    lines = places.lines(raw.get("refund_line_items"), REFUND_LINE)
    key = _key("refund", raw.get("id"))
    refund = {"event": Kind.REFUND.label, "event_id": key, **places.read(raw, REFUND)}
    return _plain(refund | {"items": lines})


def _key(what: str, number: object) -> object:
    """The key of an order or a refund; of what is no number, what the envelope refuses."""
    written = digits(_bare(number))
    return f"shopify-{what}-{written}" if isinstance(written, str) else written


def _plain(said: dict[str, Any]) -> dict[str, Any]:
    """With bare ids, and without lines that are no product (a tip, a gift wrap): an order may
    hold some beside its products."""
    said |= {field: _bare(said[field]) for field in IDS if field in said}
    if isinstance(said.get("items"), list):
        said["items"] = [_product(line) for line in said["items"] if _sold(line)]
    return said


def _sold(line: object) -> bool:
    return not isinstance(line, dict) or "item_id" in line


def _product(line: object) -> object:
    return {**line, "item_id": _bare(line["item_id"])} if isinstance(line, dict) else line


def _bare(value: object) -> object:
    """gid://shopify/Product/7 is 7."""
    if isinstance(value, str) and value.startswith(GLOBAL):
        return value.rsplit("/", 1)[-1].split("?", 1)[0]
    return value
