"""The log: every fact, appended once, never changed; the whole event store is here.

It knows the tables of facts and of interned names, and how a fact gets its id. It promises
that a repeated delivery is a no-op for ever and that the shopper's own state moves in the
same transaction. It never interprets a fact: that is what projections are for.
"""

import hashlib
import secrets
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson
import psycopg
from django.db import transaction
from sqlalchemy import (
    Column,
    Computed,
    DateTime,
    Identity,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)  # fmt: skip
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

from behavior import position, user_state, wake
from behavior.events import Event
from recsite.db import METADATA, cursor


class Xid8(UserDefinedType[str]):
    """Postgres' 64-bit transaction id: never wraps, but starts again in a new cluster."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "XID8"


item_key = Table(
    "item_key",
    METADATA,
    Column("item", Integer, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
)

subject_key = Table(
    "subject_key",
    METADATA,
    Column("subject", Integer, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
)

event = Table(
    "event",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("kind", SmallInteger, nullable=False),
    Column("subject", Integer),
    Column("item", Integer),
    Column("quantity", Integer),
    Column("price", Numeric),
    Column("slate", Uuid),
    Column("detail", JSONB),
    # The id begins with the time, so the time costs no byte of its own.
    Column("occurred_at", DateTime(timezone=True),
           Computed("uuid_extract_timestamp(id)", persisted=False)),
    Index("event_xid_idx", "xid"),
    # Without the id in it the index de-duplicates to a few bytes a row; histories are sorted
    # in memory, and only for late events (see user_state).
    Index("event_subject_idx", "subject"),
    Index("event_slate_idx", "slate", postgresql_where=text("slate IS NOT NULL")),
    postgresql_partition_by="RANGE (id)",
)  # fmt: skip
"""One row a line of an event: a purchase of ten items is ten rows with the same key."""

first_delivery = Table(
    "first_delivery",
    METADATA,
    Column("key", Uuid, primary_key=True),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
)
"""When an event that has a key but no time was first delivered: its time, for every retry."""


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch. `position` names a point in the log that includes it."""

    accepted: int
    duplicates: int
    position: str


# Without the anti-join every attempt would burn a number of the 31-bit sequence. The order
# keeps two writers that meet new names in opposite order from dead-locking.
INTERN: Final = """
INSERT INTO {table} (key)
SELECT DISTINCT name FROM unnest(%s::text[]) AS given(name)
WHERE NOT EXISTS (SELECT FROM {table} known WHERE known.key = name)
ORDER BY name
ON CONFLICT (key) DO NOTHING
"""

FIRST_TIMES: Final = """
INSERT INTO first_delivery AS known (key, occurred_at)
SELECT DISTINCT key, %(now)s FROM unnest(%(keys)s::uuid[]) AS given(key) ORDER BY key
ON CONFLICT (key) DO UPDATE SET key = excluded.key
RETURNING key, occurred_at
"""

COLUMNS: Final = (
    ("occurred_at", "timestamptz"), ("line", "int"), ("key", "text"), ("kind", "smallint"),
    ("subject", "text"), ("item", "text"), ("quantity", "int"), ("price", "numeric"),
    ("slate", "uuid"), ("detail", "text"),
)  # fmt: skip
"""A row on its way into the log: names still the shop's own."""

UNNESTED: Final = "unnest({arrays}) AS raw({names})".format(
    arrays=", ".join(f"%s::{kind}[]" for _, kind in COLUMNS),
    names=", ".join(name for name, _ in COLUMNS),
)

STAGED: Final = "incoming_event AS raw"

CREATE_STAGE: Final = (
    "CREATE TEMP TABLE IF NOT EXISTS incoming_event ({}) ON COMMIT DELETE ROWS".format(
        ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
    )
)

# One statement: resolve names, append what is new, and bring the shoppers' own state up to
# date from exactly the rows that were new. ON CONFLICT makes the repeated delivery a no-op.
# The order keeps two deliveries of the same facts in opposite orders from dead-locking.
APPEND: Final = f"""
WITH incoming AS MATERIALIZED (
    SELECT event_id(occurred_at, line, raw.key) AS id, line, kind,
           s.subject, i.item, quantity, price, slate, detail::jsonb AS detail
    FROM {{source}}
    LEFT JOIN subject_key s ON s.key = raw.subject
    LEFT JOIN item_key i ON i.key = raw.item
), appended AS (
    INSERT INTO event (id, kind, subject, item, quantity, price, slate, detail)
    SELECT id, kind, subject, item, quantity, price, slate, detail FROM incoming ORDER BY id
    ON CONFLICT (id) DO NOTHING
    RETURNING id, kind, subject, item
), {user_state.FROM_APPENDED}
SELECT (SELECT count(*) FROM incoming WHERE line = 0),
       (SELECT count(DISTINCT id) FROM incoming JOIN appended USING (id) WHERE line = 0),
       (SELECT count(*) FROM appended),
       pg_current_xact_id()::text
"""
APPEND_ARRAYS: Final = APPEND.format(source=UNNESTED)
APPEND_STAGED: Final = APPEND.format(source=STAGED)

BULK: Final = 5_000
"""Rows from which staging through COPY beats passing arrays."""


def append(events: Sequence[Event]) -> Appended:
    """Append events in the caller's transaction; each is there once, however often it comes.

    Must run inside transaction.atomic(). Returns counts of events (not of lines) and the
    position. After the commit the workers are woken.
    """
    dated = _with_first_times(events)
    rows = [row for event in dated for row in _rows(event)]
    if not rows:
        return Appended(0, 0, position.end())
    if len(rows) >= BULK:
        return append_packed(_packed(rows))
    intern_subjects({row[4] for row in rows if row[4] is not None})
    intern_items({row[5] for row in rows if row[5] is not None})
    with cursor() as hot:
        hot.execute(APPEND_ARRAYS, [list(c) for c in zip(*rows, strict=True)], prepare=True)
        return _appended(hot)


class Packed(NamedTuple):
    """Events ready to be copied: the names they use, and their rows in COPY's text format."""

    subjects: set[str]
    items: set[str]
    copied: str


def pack(events: Iterable[Event]) -> Packed:
    """Make a batch ready without the database, so that another thread can; all must be timed."""
    return _packed([row for event in events for row in _rows(event)])


def append_packed(packed: Packed) -> Appended:
    """Append what was packed, as `append` does, through COPY."""
    intern_subjects(packed.subjects)
    intern_items(packed.items)
    with cursor() as hot:
        hot.execute(CREATE_STAGE)
        hot.execute("TRUNCATE incoming_event")
        with hot.copy("COPY incoming_event FROM STDIN") as copy:
            copy.write(packed.copied)
        hot.execute("ANALYZE incoming_event")
        hot.execute(APPEND_STAGED)
        return _appended(hot)


def _appended(hot: psycopg.Cursor[tuple[Any, ...]]) -> Appended:
    (sent, accepted, written, xid) = hot.fetchone() or (0, 0, 0, "")
    if written:
        transaction.on_commit(wake.ask)
    return Appended(accepted, sent - accepted, xid)


def intern_subjects(keys: Iterable[str]) -> None:
    """Give each new shopper key its integer, once and for ever."""
    _intern("subject_key", list(keys))


def intern_items(keys: Iterable[str]) -> dict[str, int]:
    """Give each new item id its integer, once and for ever; all of them come back."""
    names = list(keys)
    _intern("item_key", names)
    with cursor() as hot:
        hot.execute("SELECT key, item FROM item_key WHERE key = ANY(%s)", [names], prepare=True)
        return dict(hot.fetchall())


def _intern(table: str, keys: list[str]) -> None:
    if not keys:
        return
    with cursor() as hot:
        hot.execute(INTERN.format(table=table), [keys], prepare=True)


def _with_first_times(events: Sequence[Event]) -> Sequence[Event]:
    """An event with a key but no time takes the time of its first delivery, so that its id
    is the same each time it comes."""
    keys = {_digest(e.key) for e in events if e.key is not None and not e.timed}
    if not keys:
        return events
    with cursor() as hot:
        hot.execute(FIRST_TIMES, {"keys": list(keys), "now": datetime.now(UTC)}, prepare=True)
        times = dict(hot.fetchall())
    return [
        e._replace(occurred_at=times[_digest(e.key)]) if e.key is not None and not e.timed else e
        for e in events
    ]


def _digest(key: str) -> uuid.UUID:
    return uuid.UUID(bytes=hashlib.blake2b(key.encode(), digest_size=16).digest())


def _rows(event: Event) -> Iterator[tuple[Any, ...]]:
    """The event's lines in the order of COLUMNS; a fact without a key gets a random one."""
    key = secrets.token_hex(16) if event.key is None else event.key
    detail = orjson.dumps(event.detail).decode() if event.detail else None
    for number, line in enumerate(event.lines):
        said = detail if line.place is None else _with_place(event, line.place)
        yield (event.occurred_at, number, key, event.kind.value, event.subject, line.item,
               line.quantity, line.price, event.slate, said)  # fmt: skip


def _with_place(event: Event, place: int) -> str:
    return orjson.dumps({**(event.detail or {}), "index": place}).decode()


def _packed(rows: Sequence[tuple[Any, ...]]) -> Packed:
    return Packed(
        subjects={row[4] for row in rows if row[4] is not None},
        items={row[5] for row in rows if row[5] is not None},
        copied="".join(map(_copied, rows)),
    )


TAB: Final = "\t"

# What COPY's text format reads as something else.
ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _copied(row: tuple[Any, ...]) -> str:
    """A row in COPY's text format; formatting it here takes a third of psycopg's time."""
    when, *rest = row
    cells = ("\\N" if cell is None else str(cell).translate(ESCAPED) for cell in rest)
    return f"{when.isoformat()}\t{TAB.join(cells)}\n"
