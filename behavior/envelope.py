"""The envelope: how a raw record becomes an Event, or a Rejection that says why not.

Pure: no database, no clock (now is an argument). It promises that whatever comes from
outside, from HTTP or a file, becomes one of the two and never an exception, and that one bad
record says nothing about its neighbours. Other vendors' records are behavior.dialects'.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from behavior import fields
from behavior.events import BY_NAME, WITHOUT_ITEM, Event, Kind, Line, Rejection, subject_key
from behavior.fields import Refused, absent

EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""Old enough for any history; a clock that was never set says 1970 or 1980."""

LATEST_AHEAD: Final = timedelta(hours=24)
MOST_LINES: Final = 1_000

DETAILS: Final[Mapping[str, Callable[[object, str], Any]]] = {
    "session_id": fields.text,
    "order_id": fields.text,
    "query": fields.text,
    "currency": fields.currency,
    "value": fields.amount,
    "rating": fields.stars,
    "context": fields.context,
}
"""Fields that are kept as they came, beside the columns that projections read."""

NEEDS: Final = {Kind.SEARCH: "query", Kind.RATE: "rating"}
"""The field without which an event of the kind says nothing."""


def parse(raw: object, *, now: datetime) -> Event | Rejection:
    """Read one record of the envelope (design: event, user_id, items …)."""
    try:
        if not isinstance(raw, dict):
            raise Refused("not_an_object", "An event must be a JSON object.")
        kind = _kind(raw.get("event"))
        return _identify(raw, now) if kind is Kind.IDENTIFY else _event(raw, kind, now)
    except Refused as refused:
        return refused.rejection


def _event(raw: Mapping[str, Any], kind: Kind, now: datetime) -> Event:
    when = raw.get("occurred_at")
    return Event(
        kind=kind,
        occurred_at=now if when is None else _time(when, now),
        subject=_subject(raw),
        lines=_lines(raw, kind),
        key=fields.name(raw.get("event_id"), "event_id"),
        slate=fields.slate(raw.get("recommendation_id")),
        detail=_detail(raw, kind),
    )


def _identify(raw: Mapping[str, Any], now: datetime) -> Event:
    """That two names are one person: the subject is the old name, `person` the one it joins."""
    person, joined = _joined(raw)
    undone = {"undo": True} if fields.flag(raw.get("undo"), "undo") else {}
    when = raw.get("occurred_at")
    return Event(
        kind=Kind.IDENTIFY,
        occurred_at=now if when is None else _time(when, now),
        subject=joined,
        lines=(Line(None),),
        key=fields.name(raw.get("event_id"), "event_id"),
        detail={"person": person, **undone},
    )


def _joined(raw: Mapping[str, Any]) -> tuple[str, str]:
    user = fields.name(raw.get("user_id"), "user_id")
    anonymous = fields.name(raw.get("anonymous_id"), "anonymous_id")
    previous = fields.name(raw.get("previous_user_id"), "previous_user_id")
    if user is None or (anonymous is None) is (previous is None):
        raise Refused(
            "bad_identify",
            "An identify event needs a user_id, and either an anonymous_id or a previous_user_id.",
        )
    if user == previous:
        raise Refused("bad_identify", "user_id and previous_user_id are the same.")
    return subject_key(user, None), subject_key(previous, anonymous)


def _kind(name: object) -> Kind:
    kind = BY_NAME.get(name) if isinstance(name, str) else None
    if kind is None:
        raise Refused(
            "unknown_event", f"Unknown event {fields.shown(name)}. Known: {', '.join(BY_NAME)}."
        )
    return kind


def _time(value: object, now: datetime) -> datetime:
    when = fields.moment(value)
    if when is None:
        raise Refused("bad_time", f"occurred_at {fields.shown(value)} is not an ISO 8601 time.")
    if when > now + LATEST_AHEAD:
        raise Refused("time_in_future", "occurred_at is more than 24 hours ahead of the server.")
    if when < EARLIEST:
        raise Refused("time_too_old", "occurred_at is before the year 1990.")
    return when


def _subject(raw: Mapping[str, Any]) -> str:
    user = fields.name(raw.get("user_id"), "user_id")
    anonymous = fields.name(raw.get("anonymous_id"), "anonymous_id")
    if user is None and anonymous is None:
        raise Refused("no_subject", "An event needs a user_id or an anonymous_id.")
    return subject_key(user, anonymous)


def subject_of(raw: object) -> str | None:
    """Whose record this is, however little of the rest can be read, in our words or a vendor's;
    None where it is nobody's."""
    if not isinstance(raw, Mapping):
        return None
    for kind, names in NAMES_OF_PEOPLE.items():
        for field in names:
            try:
                name = fields.name(raw.get(field), field)
            except Refused:
                continue
            if name is not None:
                return f"{kind}:{name}"
    return subject_of(raw.get("userInfo"))


NAMES_OF_PEOPLE: Final = {
    "user": ("user_id", "userId", "customer_id"),
    "anonymous": ("anonymous_id", "anonymousId", "client_id", "clientId", "visitorId"),
}


def _lines(raw: Mapping[str, Any], kind: Kind) -> tuple[Line, ...]:
    items = raw.get("items")
    if items is None:
        items = [raw] if raw.get("item_id") not in (None, "") else []
    if not isinstance(items, list) or len(items) > MOST_LINES:
        raise Refused("bad_items", f"items must be a list of at most {MOST_LINES} objects.")
    lines = tuple(_line(item) for item in items)
    if lines:
        return lines
    if kind not in WITHOUT_ITEM:
        raise Refused("no_item", f"A {kind.label} event needs an item_id or items.")
    return (Line(item=None),)


def _line(raw: object) -> Line:
    if not isinstance(raw, dict):
        raise Refused("bad_items", "Each of items must be an object with an item_id.")
    item = fields.name(raw.get("item_id"), "item_id")
    if item is None:
        raise Refused("no_item", "Each of items needs an item_id.")
    quantity = raw.get("quantity")
    price = raw.get("price")
    index = raw.get("index")
    return Line(
        item=item,
        quantity=None if absent(quantity) else fields.quantity(quantity),
        price=None if absent(price) else fields.money(price, "price"),
        place=None if absent(index) else fields.place(index),
    )


def _detail(raw: Mapping[str, Any], kind: Kind) -> dict[str, Any] | None:
    kept = {f: DETAILS[f](raw[f], f) for f in raw if f in DETAILS and not absent(raw[f])}
    needed = NEEDS.get(kind)
    if needed is not None and needed not in kept:
        raise Refused(f"no_{needed}", f"A {kind.label} event needs a {needed}.")
    return kept or None
