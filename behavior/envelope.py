"""The envelope: how a raw record becomes an Event, or a Rejection that says why not.

Pure: no database, no clock (now is an argument). It promises that whatever comes from
outside, from HTTP or a file, becomes one of the two and never an exception, and that one bad
record says nothing about its neighbours.
"""

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import orjson

from behavior.events import BY_NAME, WITHOUT_ITEM, Event, Kind, Line, Rejection, subject_key

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
CURRENCY: Final = re.compile("[A-Za-z]{3}")
LATEST_AHEAD: Final = timedelta(hours=24)
LONGEST_ID: Final = 128
LONGEST_TEXT: Final = 1_000
MOST_LINES: Final = 1_000
MOST_QUANTITY: Final = 1_000_000
MOST_MONEY: Final = Decimal(10) ** 12
MOST_DIGITS: Final = 10**LONGEST_ID


class _Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.rejection = Rejection(code, message)


def parse(raw: object, *, now: datetime) -> Event | Rejection:
    """Read one record of the envelope (design: event, user_id, items …)."""
    try:
        if not isinstance(raw, dict):
            raise _Refused("not_an_object", "An event must be a JSON object.")
        return _event(raw, now)
    except _Refused as refused:
        return refused.rejection


def _event(raw: Mapping[str, Any], now: datetime) -> Event:
    kind = _kind(raw.get("event"))
    when = raw.get("occurred_at")
    return Event(
        kind=kind,
        occurred_at=now if when is None else _time(when, now),
        subject=_subject(raw),
        lines=_lines(raw, kind),
        key=_name(raw.get("event_id"), "event_id"),
        slate=_slate(raw.get("recommendation_id")),
        detail=_detail(raw),
        timed=when is not None,
    )


def _kind(name: object) -> Kind:
    kind = BY_NAME.get(name) if isinstance(name, str) else None
    if kind is None:
        raise _Refused(
            "unknown_event", f"Unknown event {_shown(name)}. Known: {', '.join(BY_NAME)}."
        )
    return kind


def _time(value: object, now: datetime) -> datetime:
    when = _datetime(value)
    if when is None:
        raise _Refused("bad_time", f"occurred_at {_shown(value)} is not an ISO 8601 time.")
    if when > now + LATEST_AHEAD:
        raise _Refused("time_in_future", "occurred_at is more than 24 hours ahead of the server.")
    if when < EARLIEST:
        raise _Refused("time_too_old", "occurred_at is before the year 2000.")
    return when


def _datetime(value: object) -> datetime | None:
    """ISO 8601, a datetime from a Parquet file, or Unix seconds; UTC where no zone is given."""
    try:
        if isinstance(value, datetime):
            when = value
        elif isinstance(value, str):
            when = datetime.fromisoformat(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            when = datetime.fromtimestamp(value, UTC)
        else:
            return None
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _subject(raw: Mapping[str, Any]) -> str:
    user = _name(raw.get("user_id"), "user_id")
    anonymous = _name(raw.get("anonymous_id"), "anonymous_id")
    if user is None and anonymous is None:
        raise _Refused("no_subject", "An event needs a user_id or an anonymous_id.")
    return subject_key(user, anonymous)


def subject_of(raw: object) -> str | None:
    """Whose record this is, however little of the rest can be read; None where it is nobody's."""
    for field in ("user_id", "anonymous_id"):
        try:
            name = _name(raw.get(field), field) if isinstance(raw, Mapping) else None
        except _Refused:
            continue
        if name is not None:
            return f"{field.removesuffix('_id')}:{name}"
    return None


def _lines(raw: Mapping[str, Any], kind: Kind) -> tuple[Line, ...]:
    items = raw.get("items")
    if items is None:
        items = [raw] if raw.get("item_id") not in (None, "") else []
    if not isinstance(items, list) or len(items) > MOST_LINES:
        raise _Refused("bad_items", f"items must be a list of at most {MOST_LINES} objects.")
    lines = tuple(_line(item) for item in items)
    if lines:
        return lines
    if kind not in WITHOUT_ITEM:
        raise _Refused("no_item", f"A {kind.label} event needs an item_id or items.")
    return (Line(item=None),)


def _line(raw: object) -> Line:
    if not isinstance(raw, dict):
        raise _Refused("bad_items", "Each of items must be an object with an item_id.")
    item = _name(raw.get("item_id"), "item_id")
    if item is None:
        raise _Refused("no_item", "Each of items needs an item_id.")
    quantity = raw.get("quantity")
    price = raw.get("price")
    return Line(
        item=item,
        quantity=None if _absent(quantity) else _quantity(quantity),
        price=None if _absent(price) else _money(price, "price"),
    )


def _absent(value: object) -> bool:
    """Nothing was given: missing, null, or an empty cell of a file."""
    return value is None or value == ""


def _quantity(value: object) -> int:
    number = value if type(value) is int else _number(value, "quantity")
    # The bounds first: int() of 1e999999999 takes all the memory there is.
    if not 0 <= number <= MOST_QUANTITY or number != int(number):
        raise _Refused(
            "bad_quantity", f"quantity must be a whole number from 0 to {MOST_QUANTITY}."
        )
    return int(number)


def _money(value: object, field: str) -> Decimal:
    number = _number(value, field)
    if not 0 <= number < MOST_MONEY:
        raise _Refused(f"bad_{field}", f"{field} must not be negative, and below 10^12.")
    return round(number, 4)


def _number(value: object, field: str) -> Decimal:
    """A finite number; NaN, infinity, booleans and words are refused."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise _Refused(f"bad_{field}", f"{field} must be a number.")
    if isinstance(value, str) and len(value) > LONGEST_ID:
        raise _Refused(f"bad_{field}", f"{field} must be a number.")
    try:
        number = Decimal(str(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise _Refused(f"bad_{field}", f"{field} must be a number.") from None
    if not number.is_finite():
        raise _Refused(f"bad_{field}", f"{field} must be a finite number.")
    return number


def _name(value: object, field: str) -> str | None:
    """An id of the shop's own: 1 to 128 characters; a number is taken as its digits."""
    if _absent(value):
        return None
    value = digits(value)
    if not isinstance(value, str) or len(value) > LONGEST_ID or not _storable(value):
        raise _Refused(f"bad_{field}", f"{field} must be text of 1 to {LONGEST_ID} characters.")
    return value


def digits(value: object) -> object:
    """A whole number as its digits (5.0, as files write 5 beside empty cells, is 5); anything
    else, and what Python will not write, as it is."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < MOST_DIGITS:
        return str(value)
    return value


def _storable(text: str) -> bool:
    """Postgres text holds neither NUL nor a lone surrogate."""
    if text.isascii():
        return "\x00" not in text
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False


def _slate(value: object) -> uuid.UUID | None:
    if _absent(value):
        return None
    try:
        return value if isinstance(value, uuid.UUID) else uuid.UUID(_text(value, "id"))
    except (ValueError, _Refused):
        raise _Refused(
            "bad_recommendation_id", "recommendation_id must be the UUID that a list carried."
        ) from None


def _text(value: object, field: str) -> str:
    text = digits(value)
    if not isinstance(text, str):
        raise _Refused(f"bad_{field}", f"{field} must be text.")
    if len(text) > LONGEST_TEXT or not _storable(text):
        raise _Refused(f"bad_{field}", f"{field} must be at most {LONGEST_TEXT} characters.")
    return text


def _currency(value: object, field: str) -> str:
    if not isinstance(value, str) or not CURRENCY.fullmatch(value.strip()):
        raise _Refused(f"bad_{field}", f"{field} must be three letters, as EUR.")
    return value.strip().upper()


def _amount(value: object, field: str) -> float:
    return float(_money(value, field))


def _context(value: object, field: str) -> dict[str, Any]:
    """Any object that can be written as JSON, and that Postgres can read."""
    try:
        written = orjson.dumps(value)
    except TypeError:  # more than 254 levels, half a character, a number of twenty digits
        raise _Refused("bad_context", "context cannot be written as JSON.") from None
    if not isinstance(value, dict) or len(written) > 4 * LONGEST_TEXT:
        raise _Refused("bad_context", "context must be an object of at most 4,000 bytes.")
    if b"\\u0000" in written:
        raise _Refused("bad_context", "context holds characters that cannot be stored.")
    return value


DETAILS: Final[Mapping[str, Callable[[object, str], Any]]] = {
    "session_id": _text,
    "order_id": _text,
    "query": _text,
    "currency": _currency,
    "value": _amount,
    "rating": _amount,
    "context": _context,
}
"""Fields that are kept as they came, beside the columns that projections read."""


def _detail(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    kept = {f: DETAILS[f](raw[f], f) for f in raw if f in DETAILS and not _absent(raw[f])}
    return kept or None


def _shown(value: object) -> str:
    """The start of a value; of one that may be huge or deep, only what it is."""
    if isinstance(value, str):
        return repr(value[:40])
    if value is None or isinstance(value, bool | float):
        return repr(value)
    written = digits(value)
    return f"({type(value).__name__})" if written is value else str(written)[:40]
