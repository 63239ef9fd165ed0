"""Free attributes: what a shop says of its items beyond the columns that are known.

Pure. It promises that what comes out is JSON that Postgres can store, within bounds, and
that an empty cell (null, "", NaN) is the same as no attribute at all.
"""

import math
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import orjson

from catalog.refusal import Refused, shown, storable

LONGEST_NAME: Final = 128
MOST: Final = 50
MOST_BYTES: Final = 16_000
DEEPEST: Final = 5

CODE: Final = "bad_attributes"


def absent(value: object) -> bool:
    """Nothing was given: null, an empty cell, or NaN, which is how files write an empty one."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def gather(given: object, columns: Mapping[Any, Any]) -> dict[str, Any]:
    """The `attributes` object and the unknown columns as one; empty ones are null."""
    return {_name(n): _value(v, 1) for n, v in (*columns.items(), *_object(given).items())}


def bounded(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Without the empty ones; refused where they are too many or too large."""
    kept = {name: value for name, value in attributes.items() if value is not None}
    if len(kept) > MOST:
        raise Refused(CODE, f"An item has at most {MOST} attributes, not {len(kept)}.")
    try:
        size = len(orjson.dumps(kept))
    except TypeError as error:  # an integer beyond 64 bits
        raise Refused(CODE, f"The attributes cannot be stored: {error}.") from None
    if size > MOST_BYTES:
        raise Refused(CODE, f"The attributes take {size:,} bytes; {MOST_BYTES:,} are allowed.")
    return kept


def _object(given: object) -> dict[Any, Any]:
    """An object; in a CSV cell its JSON, in Parquet possibly a map, which comes as tuples."""
    if absent(given):
        return {}
    found = _read(given) if isinstance(given, str) else given
    if isinstance(found, Mapping):
        return dict(found)
    if isinstance(found, list) and all(isinstance(p, tuple) and len(p) == 2 for p in found):
        return dict(found)
    raise Refused(CODE, f"attributes {shown(given)} is not an object.")


def _read(cell: str) -> object:
    """What the JSON of a cell says; the cell itself where it is none."""
    try:
        return orjson.loads(cell)
    except ValueError:
        return cell


def _name(name: object) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME or not storable(name):
        raise Refused(CODE, f"The attribute name {shown(name)} is not text of 1 to 128 letters.")
    return name


def _value(value: object, depth: int) -> Any:
    """The value as plain JSON."""
    match value:
        case str():
            return _text(value)
        case bool() | int():
            return value
        case float() | Decimal():
            return _number(value)
        case datetime() | date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case None:
            return None
        case Mapping() | list() | tuple() if depth < DEEPEST:
            return _nested(value, depth)
    raise Refused(CODE, f"An attribute cannot hold {shown(value)}.")


def _text(value: str) -> str | None:
    if not storable(value):
        raise Refused(CODE, f"The attribute {shown(value)} holds characters that cannot be kept.")
    return value or None


def _number(value: float | Decimal) -> float | int | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise Refused(CODE, "An attribute cannot be infinite.")
    return int(value) if isinstance(value, Decimal) and value == int(value) else float(value)


def _nested(value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], depth: int) -> Any:
    if isinstance(value, Mapping):
        return {_name(n): _value(v, depth + 1) for n, v in value.items()}
    return [_value(v, depth + 1) for v in value]
