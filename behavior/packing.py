"""Packing: events as the rows that the log's append takes.

Pure, so that another thread can make the next batch ready while the database is busy with this
one. It knows the columns of a row on its way, with names still the shop's own, how a client's
key is kept, and COPY's text format.
"""

import hashlib
import re
import secrets
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson

from behavior.events import Event, Kind

COLUMNS: Final = (
    ("occurred_at", "timestamptz"), ("line", "int"), ("key", "text"), ("kind", "smallint"),
    ("subject", "text"), ("item", "text"), ("quantity", "int"), ("price", "numeric"),
    ("slate", "uuid"), ("detail", "text"), ("delivery", "uuid"),
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
        packed.items.update(line.item for line in event.lines if line.item is not None)
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
    detail = orjson.dumps(event.detail).decode() if event.detail else None
    for number, line in enumerate(event.lines):
        said = detail if line.place is None else _with_place(event, line.place)
        yield (event.occurred_at, number, key, event.kind.value, event.subject, line.item,
               line.quantity, line.price, event.slate, said, delivery)  # fmt: skip


def _with_place(event: Event, place: int) -> str:
    return orjson.dumps({**(event.detail or {}), "index": place}).decode()


TAB: Final = "\t"

# What COPY's text format reads as something else.
ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
NULL: Final = "\\N"
AWKWARD: Final = re.compile(r"[\\\t\n\r]")


def _copied(row: tuple[Any, ...]) -> str:
    """A row in COPY's text format; formatting it here takes a fifth of psycopg's time."""
    when, _, key, _, subject, item, _, _, _, detail, _ = row
    cells = row[1:]
    # Hardly any row has a character to escape: one look at its texts is cheaper than each cell's.
    if AWKWARD.search(f"{key}{subject}{item}{detail}"):
        cells = tuple(c.translate(ESCAPED) if isinstance(c, str) else c for c in cells)
    written = TAB.join([NULL if cell is None else str(cell) for cell in cells])
    return f"{when.isoformat()}\t{written}\n"


def copy_text(packed: Packed) -> str:
    """The rows in COPY's text format."""
    return "".join(map(_copied, packed.rows))


NAMES: Final = tuple(name for name, _ in COLUMNS)


def json_text(packed: Packed) -> str:
    """The rows as JSON objects: one parameter, where an array a column costs psycopg as much
    time as all the rest of a batch."""
    rows = [dict(zip(NAMES, row, strict=True)) for row in packed.rows]
    return orjson.dumps(rows, default=str).decode()
