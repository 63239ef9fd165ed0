"""The feed: how a raw record of a shop's catalogue becomes the content of an item.

Pure: no database, no clock. It knows the columns, their limits and the many ways in which
files write the same thing. It promises that whatever comes from outside becomes either an
ItemContent or a Rejection with a code and a sentence, never an exception, and that reading
back what an item shows gives the same content again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from behavior.events import Rejection
from behavior.fields import CURRENCY
from catalog import attributes as free
from catalog.refusal import Refused, shown, storable

LONGEST_ID: Final = 128
LONGEST_TITLE: Final = 500
LONGEST_DESCRIPTION: Final = 20_000
LONGEST_NAME: Final = 200
LONGEST_IMAGE: Final = 2_000
LONGEST_NUMBER: Final = 64
DEEPEST_CATEGORY: Final = 10
MOST_MONEY: Final = Decimal(10) ** 10
MOST_STOCK: Final = 2**31 - 1
LEVEL: Final = " > "
BOOLEANS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class ItemContent:
    """Everything that a shop says of an item. `category` is its path, "" where there is none;
    `stock` None means not counted."""

    item_id: str
    title: str = ""
    description: str = ""
    category: str = ""
    brand: str = ""
    seller: str = ""
    price: Decimal | None = None
    currency: str = ""
    stock: int | None = None
    available: bool = True
    image: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The content as events and answers carry it: without the id, the price a number."""
        said = asdict(self)
        del said["item_id"]
        # At most 14 digits, so a float says exactly the same.
        return said | {"price": None if self.price is None else float(self.price)}


@dataclass(frozen=True, slots=True)
class Batch:
    """Records read, and those refused with their place (a line or an index)."""

    contents: list[ItemContent]
    rejected: list[tuple[int, Rejection]]


def parse_all(rows: Iterable[tuple[int, object]], seen: set[str]) -> Batch:
    """Read (place, record) pairs. An item_id that was `seen` is refused, else added to it.

    The first one counts: were it the last, a file with an id in two batches would change the
    catalogue each time it is imported. What is a Rejection already stays one.
    """
    batch = Batch([], [])
    for place, raw in rows:
        content = raw if isinstance(raw, Rejection) else parse(raw)
        if isinstance(content, ItemContent) and content.item_id in seen:
            content = Rejection("repeated_item", f"{shown(content.item_id)} came before.")
        if isinstance(content, Rejection):
            batch.rejected.append((place, content))
        else:
            seen.add(content.item_id)
            batch.contents.append(content)
    return batch


def parse(raw: object) -> ItemContent | Rejection:
    """Read one record; columns that are not known become attributes."""
    try:
        return _content(raw)
    except Refused as refused:
        return refused.rejection


def amend(content: ItemContent, fields: object) -> ItemContent | Rejection:
    """The content with some fields changed: null clears one; attributes are merged by name."""
    if not isinstance(fields, Mapping):
        return Rejection("not_an_object", "The fields to change must be a JSON object.")
    changed = {name: value for name, value in fields.items() if name in READERS}
    if changed.get("item_id", content.item_id) != content.item_id:
        return Rejection("id_changed", "An item's item_id cannot change.")
    try:
        extra = free.gather(fields.get("attributes"), _unknown(fields))
    except Refused as refused:
        return refused.rejection
    merged = {"attributes": content.attributes | extra}
    return parse(asdict(content) | changed | merged)


def _content(raw: object) -> ItemContent:
    if not isinstance(raw, Mapping):
        raise Refused("not_an_object", "An item must be an object with an item_id.")
    known = {
        name: read(value, name)
        for name, read in READERS.items()
        if not free.absent(value := raw.get(name))
    }
    if "item_id" not in known:
        raise Refused("no_item_id", "An item needs an item_id.")
    attributes = free.gather(raw.get("attributes"), _unknown(raw))
    return ItemContent(**known, attributes=free.bounded(attributes))


def attributes_of(columns: Iterable[str]) -> list[str]:
    """Those of a file's columns that become attributes."""
    return [name for name in columns if name not in READERS and name not in ("attributes", "")]


def _unknown(raw: Mapping[Any, Any]) -> dict[Any, Any]:
    return {n: v for n, v in raw.items() if n not in READERS and n not in ("attributes", "")}


def _id(value: object, name: str) -> str:
    text = _digits(value)
    if text is None or len(text) > LONGEST_ID or not storable(text):
        raise Refused(f"bad_{name}", f"{name} must be text of 1 to {LONGEST_ID} characters.")
    return text


def _digits(value: object) -> str | None:
    """Text as it is; a number as its digits (5.0, as files write 5 beside empty cells, is 5)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, float) and abs(value) < 2**53:
        return str(int(value)) if value.is_integer() else str(value)
    return None


def _text(longest: int) -> Callable[[object, str], str]:
    def read(value: object, name: str) -> str:
        text = _digits(value)
        if text is None or not storable(text):
            raise Refused(f"bad_{name}", f"{name} {shown(value)} is not text.")
        if len(text) > longest:
            raise Refused(f"bad_{name}", f"{name} is longer than {longest:,} characters.")
        return text.strip()

    return read


def _category(value: object, name: str) -> str:
    """A path, "Home > Kitchen > Mugs" or the list of its levels; “>” always parts levels."""
    levels = value if isinstance(value, list | tuple) else [value]
    read = _text(DEEPEST_CATEGORY * (LONGEST_NAME + len(LEVEL)))
    joined = LEVEL.join(read(level, name) for level in levels)
    names = [part for level in joined.split(">") if (part := level.strip())]
    if len(names) > DEEPEST_CATEGORY or any(len(n) > LONGEST_NAME for n in names):
        raise Refused(
            "bad_category",
            f"A category has at most {DEEPEST_CATEGORY} levels of {LONGEST_NAME} characters.",
        )
    return LEVEL.join(names)


def _number(value: object, name: str) -> Decimal:
    wrong = Refused(f"bad_{name}", f"{name} {shown(value)} is not a finite number.")
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise wrong
    try:
        text = str(value).strip()
        number = Decimal(text) if len(text) <= LONGEST_NUMBER else Decimal("NaN")
    except (InvalidOperation, ValueError):
        raise wrong from None
    if not number.is_finite():
        raise wrong
    return number


def _price(value: object, name: str) -> Decimal:
    number = _number(value, name)
    price = round(number, 4) if 0 <= number < MOST_MONEY else MOST_MONEY
    if price >= MOST_MONEY:
        raise Refused("bad_price", f"price {shown(value)} is not from 0 to below 10^10.")
    return abs(price)  # -0 passes the comparison


def _stock(value: object, name: str) -> int:
    number = _number(value, name)
    if not 0 <= number <= MOST_STOCK or number != int(number):
        raise Refused("bad_stock", f"stock {shown(value)} is not a whole number from 0 up.")
    return int(number)


def _available(value: object, name: str) -> bool:
    text = _digits(value) if not isinstance(value, bool) else str(value)
    found = BOOLEANS.get(text.strip().lower()) if text is not None else None
    if found is None:
        raise Refused("bad_available", f"available {shown(value)} is not true or false.")
    return found


def _currency(value: object, name: str) -> str:
    if not isinstance(value, str) or not CURRENCY.fullmatch(value.strip()):
        raise Refused("bad_currency", f"currency {shown(value)} is not three letters, as EUR.")
    return value.strip().upper()


READERS: Final[Mapping[str, Callable[[object, str], Any]]] = {
    "item_id": _id,
    "title": _text(LONGEST_TITLE),
    "description": _text(LONGEST_DESCRIPTION),
    "category": _category,
    "brand": _text(LONGEST_NAME),
    "seller": _text(LONGEST_NAME),
    "price": _price,
    "currency": _currency,
    "stock": _stock,
    "available": _available,
    "image": _text(LONGEST_IMAGE),
}
"""The columns that are known. Any other becomes an attribute."""
