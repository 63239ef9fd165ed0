"""GET or POST /v1/recommend/{scenario}: the list, with a reason for each item.

It promises one slate an answer. With `min_position` it waits, a second at most, until the
projections hold that place of the log, and otherwise says how far behind they are.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from behavior.events import subject_key
from behavior.fields import LONGEST_ID, LONGEST_TEXT, digits
from recommend import arrival
from recommend.pipeline import SEEN, Ask, Composed, Refused, serve
from recsite.api import Problem
from recsite.keys import PublishableKey

MOST_ITEMS: Final = 100
MOST_COUNT: Final = 100
LONGEST_COUNT: Final = 9
"""Digits, whatever zeros it begins with: Python reads no number of thousands of them."""

FIELDS: Final = {
    "user_id", "anonymous_id", "item_id", "items", "category", "count", "exclude_seen", "min_position",
}  # fmt: skip


class RecommendView(APIView):
    """A list for a scenario, recorded under its recommendation_id."""

    permission_classes = (PublishableKey,)

    def get(self, request: Request, scenario: str) -> Response:
        return _answer(scenario, _from_query(request))

    def post(self, request: Request, scenario: str) -> Response:
        if not isinstance(request.data, dict):
            raise Problem(400, "not_an_object", "Send a JSON object.")
        return _answer(scenario, request.data)


def _answer(scenario: str, given: Mapping[str, Any]) -> Response:
    ask, position = _ask(scenario, given), _position(given)
    try:
        behind = arrival.wait_for(position) if position is not None else {}
        recommendation_id, composed = serve(ask, datetime.now(UTC))
    except Refused as refused:
        raise Problem(refused.status, refused.code, refused.message) from None
    body = _body(recommendation_id, composed)
    return Response(body | {"behind": behind} if behind else body)


def _body(recommendation_id: str, composed: Composed) -> dict[str, Any]:
    body = {
        "recommendation_id": recommendation_id,
        "items": [
            {"item_id": shown.item_id, "score": shown.score,
             "reasons": [reason.said() for reason in shown.reasons]}
            for shown in composed.items
        ],
        "shortfall": composed.shortfall,
        "position": composed.position,
    }  # fmt: skip
    return {**body, "unknown_items": composed.unknown} if composed.unknown else body


def _from_query(request: Request) -> dict[str, Any]:
    """`items` may be repeated, or one value with commas."""
    query = request.query_params
    given: dict[str, Any] = {name: query[name] for name in query if name in FIELDS}
    if "items" in query:
        given["items"] = [i for value in query.getlist("items") for i in value.split(",") if i]
    return given


def _ask(scenario: str, given: Mapping[str, Any]) -> Ask:
    user, anonymous = _name(given, "user_id"), _name(given, "anonymous_id")
    return Ask(
        scenario=scenario,
        shopper=None if user is None and anonymous is None else subject_key(user, anonymous),
        items=_items(given),
        category=_text(given, "category", LONGEST_TEXT),
        count=_count(given),
        exclude_seen=_exclude_seen(given),
    )


def _name(given: Mapping[str, Any], field: str) -> str | None:
    return _text(given, field, LONGEST_ID)


def _text(given: Mapping[str, Any], field: str, longest: int) -> str | None:
    value = given.get(field)
    if value is None or value == "":
        return None
    value = digits(value)
    if not isinstance(value, str) or len(value) > longest or "\x00" in value or _broken(value):
        raise Problem(400, f"bad_{field}", f"{field} must be text of 1 to {longest} characters.")
    return value


def _broken(text: str) -> bool:
    """A lone surrogate, which JSON can escape but no database stores."""
    return any("\ud800" <= c <= "\udfff" for c in text)


def _items(given: Mapping[str, Any]) -> tuple[str, ...]:
    items = given.get("items")
    items = [] if items is None or items == "" else items
    if given.get("item_id") not in (None, ""):
        items = [given["item_id"], *items] if isinstance(items, list) else items
    if not isinstance(items, list) or len(items) > MOST_ITEMS:
        raise Problem(400, "bad_items", f"items must be a list of at most {MOST_ITEMS} item ids.")
    names = (_name({"items": item}, "items") for item in items)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def _count(given: Mapping[str, Any]) -> int | None:
    value = given.get("count")
    if value is None or value == "":
        return None
    text = str(value)
    if (
        isinstance(value, bool)
        or not text.isascii()
        or not text.isdigit()
        or len(text) > LONGEST_COUNT
        or not 1 <= int(text) <= MOST_COUNT
    ):
        raise Problem(400, "bad_count", f"count must be a whole number from 1 to {MOST_COUNT}.")
    return int(text)


def _position(given: Mapping[str, Any]) -> int | None:
    value = given.get("min_position")
    if value is None or value == "":
        return None
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > 19:
        raise Problem(
            400, "bad_min_position", "min_position must be the position that an answer carried."
        )
    return int(text)


def _exclude_seen(given: Mapping[str, Any]) -> str | None:
    value = given.get("exclude_seen")
    if value is None or value == "":
        return None
    if not isinstance(value, str) or value not in SEEN:
        raise Problem(400, "bad_exclude_seen", f"exclude_seen must be one of {', '.join(SEEN)}.")
    return value
