"""Google Analytics 4, as its Measurement Protocol sends it.

Pure. Our own names are GA4's; the rest of the list is
https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference/events.
"""

from collections.abc import Mapping
from typing import Any, Final

from behavior.dialects import places
from behavior.events import Kind

NAME: Final = "GA4"

NAMES: Final[Mapping[str, Kind]] = {
    "view_item": Kind.VIEW_ITEM,
    "view_item_list": Kind.VIEW_ITEM_LIST,
    "select_item": Kind.SELECT_ITEM,
    "add_to_cart": Kind.ADD_TO_CART,
    "remove_from_cart": Kind.REMOVE_FROM_CART,
    "view_cart": Kind.VIEW_CART,
    "begin_checkout": Kind.BEGIN_CHECKOUT,
    "purchase": Kind.PURCHASE,
    "refund": Kind.REFUND,
    "add_to_wishlist": Kind.ADD_TO_WISHLIST,
    "search": Kind.SEARCH,
    "view_search_results": Kind.SEARCH,
    "share": Kind.SHARE,
    "login": Kind.IDENTIFY,
    "sign_up": Kind.IDENTIFY,
}

FOREIGN: Final = frozenset(
    {
        "add_payment_info", "add_shipping_info", "view_promotion", "select_promotion",
        "select_content", "generate_lead", "join_group", "page_view", "screen_view", "scroll",
        "click", "file_download", "first_visit", "session_start", "user_engagement",
        "form_start", "form_submit", "video_start", "video_progress", "video_complete",
        "ad_impression", "campaign_details", "exception", "in_app_purchase",
        "earn_virtual_currency", "spend_virtual_currency", "level_start", "level_end",
        "level_up", "post_score", "tutorial_begin", "tutorial_complete", "unlock_achievement",
        "qualify_lead", "disqualify_lead", "working_lead", "close_convert_lead",
        "close_unconvert_lead",
    }
)  # fmt: skip

FIELDS: Final = places.fields(
    occurred_at="timestamp_micros",
    user_id="user_id",
    anonymous_id="client_id app_instance_id",
    session_id="params.session_id",
    order_id="params.transaction_id",
    query="params.search_term",
    value="params.value",
    currency="params.currency",
    rating="params.rating",
    recommendation_id="params.recommendation_id",
)

LINE: Final = places.fields(item_id="item_id", quantity="quantity", price="price", index="index")

DEVICES: Final = ("client_id", "app_instance_id")
SHARED: Final = (*DEVICES, "user_id", "timestamp_micros")
"""What all the events of a request have in common."""
OF_AN_EVENT: Final = ("name", "params", "timestamp_micros")
MOST_MICROS: Final = 2**63


def speaks(raw: Mapping[str, Any]) -> bool:
    """A device, and a list of events that have GA4's `name`."""
    events = raw.get("events")
    if not isinstance(events, list) or not any(device in raw for device in DEVICES):
        return False
    return not (events and isinstance(events[0], dict) and "event" in events[0])


def translate(raw: Mapping[str, Any]) -> list[Any]:
    """A request, event by event."""
    shared = {field: raw[field] for field in SHARED if field in raw}
    return [_event(shared, each) for each in raw["events"]]


def split(body: Mapping[str, Any]) -> list[Any] | None:
    """A request as one request an event, so that each can be pointed at; None where the body
    is no request of GA4's."""
    if not speaks(body):
        return None
    shared = {field: body[field] for field in SHARED if field in body}
    return [{**shared, "events": [each]} for each in body["events"]]


def _event(shared: Mapping[str, Any], event: object) -> object:
    if not isinstance(event, dict):
        return event
    name = event.get("name")
    if isinstance(name, str) and name in FOREIGN:
        return places.foreign(name)
    raw = {**shared, **{field: event[field] for field in OF_AN_EVENT if field in event}}
    said = {"event": places.event(name, NAMES), **places.read(raw, FIELDS)}
    if "occurred_at" in said:
        said["occurred_at"] = _seconds(said["occurred_at"])
    return said | places.items(raw.get("params"), "items", LINE)


def _seconds(micros: object) -> object:
    """Microseconds, a number or its digits, as Unix seconds; anything else as it is."""
    if isinstance(micros, str) and len(micros) < 20 and micros.isascii() and micros.isdigit():
        micros = int(micros)
    if isinstance(micros, int) and not isinstance(micros, bool) and abs(micros) < MOST_MICROS:
        return micros / 1e6
    return micros / 1e6 if isinstance(micros, float) else micros
