"""One field of a record: read, or refused with a code and a sentence.

Pure. It knows the limits of each field and the ways in which files and clients write it. It
promises that a value of any type, size or depth is either read or refused.
"""

import functools
import re
import uuid
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import orjson

from behavior.events import Rejection

CURRENCY: Final = re.compile("[A-Za-z]{3}")
LONGEST_ID: Final = 128
LONGEST_TEXT: Final = 1_000
MOST_QUANTITY: Final = 1_000_000
MOST_MONEY: Final = Decimal(10) ** 12
MOST_DIGITS: Final = 10**LONGEST_ID
MOST_STARS: Final = 5
LAST_PLACE: Final = 10_000
FLAGS: Final[dict[object, bool]] = {True: True, False: False, "true": True, "false": False}


class Refused(Exception):
    """A record, or a field of it, that cannot be taken."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.rejection = Rejection(code, message)


def absent(value: object) -> bool:
    """Nothing was given: missing, null, or an empty cell of a file."""
    return value is None or value == ""


def moment(value: object) -> datetime | None:
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


def name(value: object, field: str) -> str | None:
    """An id of the shop's own: 1 to 128 characters; a number is taken as its digits."""
    if absent(value):
        return None
    if value.__class__ is not str:
        value = digits(value)
    if not isinstance(value, str) or len(value) > LONGEST_ID or not _storable(value):
        raise Refused(f"bad_{field}", f"{field} must be text of 1 to {LONGEST_ID} characters.")
    return value


def digits(value: object) -> object:
    """A whole number as its digits (5.0, as files write 5 beside empty cells, is 5); anything
    else, and what Python will not write, as it is."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < MOST_DIGITS:
        return str(value)
    return value


def quantity(value: object) -> int:
    """How many."""
    return _whole(value, "quantity", MOST_QUANTITY)


def place(value: object) -> int:
    """Where an item stood in its list."""
    return _whole(value, "index", LAST_PLACE)


def _whole(value: object, field: str, most: int) -> int:
    read = value if type(value) is int else number(value, field)
    # The bounds first: int() of 1e999999999 takes all the memory there is.
    if not 0 <= read <= most or read != int(read):
        raise Refused(f"bad_{field}", f"{field} must be a whole number from 0 to {most}.")
    return int(read)


def money(value: object, field: str) -> Decimal:
    """Not negative, four digits after the point. A shop has few prices, and a history many rows."""
    written = str(value) if value.__class__ is float else value
    return _price(written, field) if written.__class__ is str else _money(written, field)


def _money(value: object, field: str) -> Decimal:
    read = number(value, field)
    if not 0 <= read < MOST_MONEY:
        raise Refused(f"bad_{field}", f"{field} must not be negative, and below 10^12.")
    return round(read, 4)


_price: Final = functools.lru_cache(10_000)(_money)


def amount(value: object, field: str) -> float:
    """Money that is only kept, not counted."""
    return float(money(value, field))


def stars(value: object, field: str) -> float:
    """A rating: projections read half stars, and what was sent is kept."""
    read = number(value, field)
    if not 0 <= read <= MOST_STARS:
        raise Refused(f"bad_{field}", f"{field} must be a number from 0 to {MOST_STARS}.")
    return float(round(read, 4))


def number(value: object, field: str) -> Decimal:
    """A finite number; NaN, infinity, booleans and words are refused."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise Refused(f"bad_{field}", f"{field} must be a number.")
    if isinstance(value, str) and len(value) > LONGEST_ID:
        raise Refused(f"bad_{field}", f"{field} must be a number.")
    try:
        read = Decimal(str(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise Refused(f"bad_{field}", f"{field} must be a number.") from None
    if not read.is_finite():
        raise Refused(f"bad_{field}", f"{field} must be a finite number.")
    return read


def flag(value: object, field: str) -> bool:
    """Yes or no, as JSON or a file writes it; not given is no."""
    if absent(value):
        return False
    said = value.lower() if isinstance(value, str) else value
    if not isinstance(said, bool | str) or said not in FLAGS:
        raise Refused(f"bad_{field}", f"{field} must be true or false.")
    return FLAGS[said]


def text(value: object, field: str) -> str:
    """At most 1,000 characters; a whole number is taken as its digits."""
    read = digits(value)
    if not isinstance(read, str):
        raise Refused(f"bad_{field}", f"{field} must be text.")
    if len(read) > LONGEST_TEXT or not _storable(read):
        raise Refused(f"bad_{field}", f"{field} must be at most {LONGEST_TEXT} characters.")
    return read


def _storable(read: str) -> bool:
    """Postgres text holds neither NUL nor a lone surrogate."""
    if read.isascii():
        return "\x00" not in read
    try:
        return b"\x00" not in read.encode()
    except UnicodeEncodeError:
        return False


def slate(value: object) -> uuid.UUID | None:
    """The id of a list that was served."""
    if absent(value):
        return None
    try:
        return value if isinstance(value, uuid.UUID) else uuid.UUID(text(value, "id"))
    except (ValueError, Refused):
        raise Refused(
            "bad_recommendation_id", "recommendation_id must be the UUID that a list carried."
        ) from None


def currency(value: object, field: str) -> str:
    """Three letters."""
    if not isinstance(value, str) or not CURRENCY.fullmatch(value.strip()):
        raise Refused(f"bad_{field}", f"{field} must be three letters, as EUR.")
    return value.strip().upper()


def context(value: object, field: str) -> dict[str, Any]:
    """Any object that can be written as JSON, and that Postgres can read."""
    try:
        written = orjson.dumps(value)
    except TypeError:  # more than 254 levels, half a character, a number of twenty digits
        raise Refused("bad_context", "context cannot be written as JSON.") from None
    if not isinstance(value, dict) or len(written) > 4 * LONGEST_TEXT:
        raise Refused("bad_context", "context must be an object of at most 4,000 bytes.")
    if b"\\u0000" in written:
        raise Refused("bad_context", "context holds characters that cannot be stored.")
    return value


def shown(value: object) -> str:
    """The start of a value; of one that may be huge or deep, only what it is."""
    if isinstance(value, str):
        return repr(value[:40])
    if value is None or isinstance(value, bool | float):
        return repr(value)
    written = digits(value)
    return f"({type(value).__name__})" if written is value else str(written)[:40]
