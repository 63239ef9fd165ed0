"""Recombee: its interactions, as its clients name them or as its addresses do.

Pure. The list is https://docs.recombee.com/api/interactions. Two things differ in meaning: a
rating there goes from -1 to 1, and a price is that of all the pieces together. To delete an
interaction there is to correct a record, not something that a shopper did.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from behavior.dialects import places
from behavior.events import Kind
from behavior.fields import Refused, number

NAME: Final = "Recombee"

NAMES: Final[Mapping[str, Kind]] = {
    "AddDetailView": Kind.VIEW_ITEM,
    "detail-views": Kind.VIEW_ITEM,
    "detailviews": Kind.VIEW_ITEM,
    "SetViewPortion": Kind.VIEW_ITEM,
    "view-portions": Kind.VIEW_ITEM,
    "viewportions": Kind.VIEW_ITEM,
    "AddPurchase": Kind.PURCHASE,
    "purchases": Kind.PURCHASE,
    "AddCartAddition": Kind.ADD_TO_CART,
    "cart-additions": Kind.ADD_TO_CART,
    "cartadditions": Kind.ADD_TO_CART,
    "AddBookmark": Kind.ADD_TO_WISHLIST,
    "bookmarks": Kind.ADD_TO_WISHLIST,
    "AddRating": Kind.RATE,
    "ratings": Kind.RATE,
    "MergeUsers": Kind.IDENTIFY,
}

FOREIGN: Final = frozenset(
    {
        "DeleteDetailView", "DeletePurchase", "DeleteCartAddition", "DeleteBookmark",
        "DeleteRating", "DeleteViewPortion", "AddUser", "DeleteUser", "SetUserValues",
        "AddItem", "DeleteItem", "SetItemValues",
    }
)  # fmt: skip

FIELDS: Final = places.fields(
    occurred_at="timestamp",
    user_id="userId user_id targetUserId",
    previous_user_id="sourceUserId",
    session_id="sessionId",
    rating="rating",
    recommendation_id="recommId",
)

LINE: Final = places.fields(item_id="itemId item_id", quantity="amount", price="price")

MIDDLE: Final = Decimal("2.5")
"""No opinion, in stars; Recombee's 0."""


def speaks(raw: Mapping[str, Any]) -> bool:
    """By the name of a client's class or list as `type`, or by the `path` of a request."""
    if "event" in raw:
        return False
    name = raw.get("type")
    return isinstance(raw.get("path"), str) or (
        isinstance(name, str) and (name in NAMES or name in FOREIGN)
    )


def translate(raw: Mapping[str, Any]) -> list[Any]:
    """One interaction, one event."""
    name = _name(raw)
    if name not in NAMES or raw.get("method", "POST") != "POST":
        return [places.foreign(raw.get("path", name))]
    params = raw.get("params", raw)
    said = {"event": NAMES[name].label, **places.served(places.read(params, FIELDS))}
    if "rating" in said:
        said["rating"] = _in_stars(said["rating"])
    line = places.read(params, LINE)
    if "price" in line and "quantity" in line:
        line["price"] = _of_one(line["price"], line["quantity"])
    return [said | ({"items": [line]} if "item_id" in line else {})]


def _name(raw: Mapping[str, Any]) -> str:
    """The type, or the path of a request: /detailviews/ is detailviews."""
    path = raw.get("path")
    return path.strip("/") if isinstance(path, str) else str(raw.get("type"))


def _in_stars(rating: object) -> object:
    """From -1..1 to 0..5; what is no number as it is, for the envelope to refuse."""
    try:
        return MIDDLE + MIDDLE * number(rating, "rating")
    except (Refused, ArithmeticError):
        return rating


def _of_one(price: object, amount: object) -> object:
    """The price of one piece; what cannot be divided as it is."""
    try:
        pieces = number(amount, "amount")
        return number(price, "price") / pieces if pieces > 0 else price
    except (Refused, ArithmeticError):
        return price


def batch(body: Mapping[str, Any]) -> object:
    """The requests of a batch; None where the body is none."""
    return body.get("requests")
