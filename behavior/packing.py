"""Packing: events as the rows that the log's append takes.

Pure, so that another thread can make the next batch ready while the database is busy with this
one. It knows the columns of a row on its way, with names still the shop's own, how a client's
key is kept, and COPY's text format.
"""

import hashlib
import secrets
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson

from behavior.events import Event, Kind

COLUMNS: Final = (
    ("occurred_at", "timestamptz"), ("line", "int"), ("key", "text"), ("kind", "smallint"),
    ("subject", "text"), ("item", "text"), ("quantity", "int"), ("price", "numeric"),
    ("slate", "uuid"), ("detail", "text"), ("order_id", "text"), ("delivery", "uuid"),
)  # fmt: skip
"""A row on its way into the log: names still the shop's own."""


class Packed(NamedTuple):
    """Events ready to be appended: their rows, the names they use, the people they are about."""

    sent: int
    rows: list[tuple[Any, ...]]
    subjects: set[str]
    items: set[str]
    links: set[tuple[str, str]]
    """Facts about people: (name, target); a target of "" can change whatever the links say."""


def pack(events: Iterable[Event]) -> Packed:
    """Make a batch ready without the database, so that another thread can. Of two deliveries
    of a key the first counts; a fact without a key gets a random one."""
    packed = Packed(0, [], set(), set(), set())
    delivered: set[uuid.UUID] = set()
    nonce = secrets.token_hex(16)
    sent = 0
    for event in events:
        sent += 1
        digest = digest_of(event.key) if event.key is not None and event.keyed else None
        if digest is not None and digest in delivered:
            continue
        if digest is not None:
            delivered.add(digest)
        key = f"{nonce}{sent}" if event.key is None else event.key
        packed.rows.extend(_rows(event, key, digest))
        if event.subject is not None:
            packed.subjects.add(event.subject)
        for line in event.lines:
            if line.item is not None:
                packed.items.add(line.item)
        if event.kind in PEOPLE and event.subject is not None:
            packed.links.add((event.subject, _target(event)))
    packed.subjects.update(target for _, target in packed.links if target)
    return packed._replace(sent=sent)


PEOPLE: Final = frozenset({Kind.IDENTIFY, Kind.SUBJECT_QUARANTINED})


def _target(event: Event) -> str:
    detail = event.detail or {}
    return "" if detail.get("undo") else str(detail.get("person", ""))


def digest_of(key: str) -> uuid.UUID:
    """What is kept of a client's key."""
    return uuid.UUID(bytes=hashlib.blake2b(key.encode(), digest_size=16).digest())


def _rows(event: Event, key: str, delivery: uuid.UUID | None) -> Iterator[tuple[Any, ...]]:
    """The event's lines in the order of COLUMNS."""
    detail = dict(event.detail or {})
    order = detail.pop("order_id", None)
    whole = _written(detail)
    for number, line in enumerate(event.lines):
        said = whole if line.place is None else _written({**detail, "index": line.place})
        yield (event.occurred_at, number, key, event.kind.value, event.subject, line.item,
               line.quantity, line.price, event.slate, said, order, delivery)  # fmt: skip


def _written(detail: dict[str, Any]) -> str | None:
    return orjson.dumps(detail).decode() if detail else None


# What COPY's text format reads as something else.
ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_text(packed: Packed) -> str:
    """The rows in COPY's text format, NULL being an empty cell: no text here is empty.

    Formatting them here takes a fifth of psycopg's time. Hardly any batch has a character to
    escape, and one look at all of it is cheaper than one at each row.
    """
    rows = len(packed.rows)
    plain = "".join(map(_plain, packed.rows))
    if "\\" in plain or "\r" in plain or (plain.count("\t"), plain.count("\n")) != (
        rows * (len(COLUMNS) - 1), rows):  # fmt: skip
        return "".join(map(_escaped, packed.rows))
    return plain


def _plain(row: tuple[Any, ...]) -> str:
    cells = ["" if cell is None else str(cell) for cell in row]
    return "\t".join(cells) + "\n"


def _escaped(row: tuple[Any, ...]) -> str:
    return _plain(tuple(c.translate(ESCAPED) if isinstance(c, str) else c for c in row))


NAMES: Final = tuple(name for name, _ in COLUMNS)


def json_text(packed: Packed) -> str:
    """The rows as JSON objects: one parameter, where an array a column costs psycopg as much
    time as all the rest of a batch."""
    rows = [dict(zip(NAMES, row, strict=True)) for row in packed.rows]
    return orjson.dumps(rows, default=str).decode()
