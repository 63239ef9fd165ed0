"""The log: every fact, appended once, never changed; the whole event store is here.

It knows the tables of facts, and how a fact gets its id. It promises
that a repeated delivery is a no-op for ever, and that the shopper's own state, and who is one
person with whom, move in the same transaction. It never interprets a fact: that is what
projections are for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from django.db import transaction
from sqlalchemy import (
    Column,
    Computed,
    DateTime,
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

from behavior import people, position, user_state, wake
from behavior.events import Event
from behavior.names import intern
from behavior.packing import COLUMNS, Packed, copy_text, json_text, pack
from recsite.db import METADATA, Xid8, cursor, pipelined

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
    # Of each line of an order: in `detail` it would cost three times its length.
    Column("order_id", Text),
    # The id begins with the time, so the time costs no byte of its own.
    Column("occurred_at", DateTime(timezone=True),
           Computed("uuid_extract_timestamp(id)", persisted=False)),
    Index("event_xid_idx", "xid"),
    # Without the id in it the index de-duplicates to a few bytes a row; histories are sorted
    # in memory, and only for late events (see user_state).
    Index("event_subject_idx", "subject"),
    Index("event_slate_idx", "slate", postgresql_where=text("slate IS NOT NULL")),
    # The few facts about people, by who is joined and to whom (see people).
    Index("event_people_idx", "subject", postgresql_where=text("kind IN (17, 23)")),
    Index("event_joined_idx", text("(detail ->> 'person')"), postgresql_where=text("kind = 17")),
    postgresql_partition_by="RANGE (id)",
)  # fmt: skip
"""One row a line of an event: a purchase of ten items is ten rows with the same key."""

delivery = Table("delivery", METADATA, Column("key", Uuid, primary_key=True))
"""A hash of every client's key that was ever delivered. The log's own key holds the time, for
partitions; this one holds whatever time a retry gives, and outlives the event."""


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch. `position` names a point in the log that includes it."""

    accepted: int
    duplicates: int
    position: str


_TYPED: Final = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)

CREATE_STAGE: Final = (
    f"CREATE TEMP TABLE IF NOT EXISTS incoming_event ({_TYPED}) ON COMMIT DELETE ROWS"
)

# Rows with their names resolved. Of those sent as JSON Postgres knows no number: so that it
# looks up each name whatever it guesses, and never reads a table of names whole.
SENT: Final = f"""
SELECT raw.*, (SELECT subject FROM subject_key WHERE key = raw.subject) AS who,
       (SELECT item FROM item_key WHERE key = raw.item) AS what
FROM json_to_recordset(%s::json) AS raw({_TYPED})"""
STAGED: Final = """
SELECT raw.*, subject_key.subject AS who, item_key.item AS what FROM incoming_event AS raw
LEFT JOIN subject_key ON subject_key.key = raw.subject
LEFT JOIN item_key ON item_key.key = raw.item"""

# One statement: resolve names, append what is new, and bring the shoppers' own state up to
# date from exactly the rows that were new. ON CONFLICT makes the repeated delivery a no-op.
# The order keeps two deliveries of the same facts in opposite orders from dead-locking. Of rows
# with a name that nobody has met nothing is written: hardly any delivery has one, so names are
# not looked for twice.
APPEND: Final = f"""
WITH incoming AS MATERIALIZED (
    SELECT event_id(occurred_at, line, key) AS id, kind, who AS subject, what AS item, quantity,
           price, slate, detail::jsonb AS detail, order_id, delivery,
           subject IS NOT NULL AND who IS NULL OR item IS NOT NULL AND what IS NULL AS is_unnamed
    FROM ({{named}}) AS named
), claimed AS (
    INSERT INTO delivery (key)
    SELECT DISTINCT delivery FROM incoming
    WHERE delivery IS NOT NULL AND NOT EXISTS (SELECT FROM incoming WHERE is_unnamed) ORDER BY 1
    ON CONFLICT (key) DO NOTHING
    RETURNING key
), appended AS (
    INSERT INTO event (id, kind, subject, item, quantity, price, slate, detail, order_id)
    SELECT id, kind, subject, item, quantity, price, slate, detail, order_id FROM incoming
    WHERE (delivery IS NULL OR delivery IN (SELECT key FROM claimed))
      AND NOT EXISTS (SELECT FROM incoming WHERE is_unnamed) ORDER BY id
    ON CONFLICT (id) DO NOTHING
    RETURNING id, kind, subject, item, detail
), {user_state.FROM_APPENDED}
SELECT count(*) FILTER (WHERE substr(id::text, 21, 3) = '000'), count(*),
       pg_current_xact_id()::text, EXISTS (SELECT FROM incoming WHERE is_unnamed)
FROM appended
"""
APPEND_SENT: Final = APPEND.format(named=SENT)
APPEND_STAGED: Final = APPEND.format(named=STAGED)

BULK: Final = 5_000
"""Rows from which staging through COPY beats passing JSON."""


def append(events: Sequence[Event]) -> Appended:
    """Append events in the caller's transaction; each is there once, however often it comes.

    Must run inside transaction.atomic(), before it has written anything about shoppers.
    Returns counts of events (not of lines) and the position. After the commit the workers
    are woken.
    """
    packed = pack(events)
    if not packed.rows:
        return Appended(0, 0, position.end())
    if len(packed.rows) >= BULK:
        return append_copied(packed, copy_text(packed))
    return _append(packed, APPEND_SENT, [json_text(packed)])


def append_copied(packed: Packed, copied: str) -> Appended:
    """Append what was packed, as `append` does, through COPY; `copied` is packing.copy_text."""
    with cursor() as hot:
        hot.execute(CREATE_STAGE)
        hot.execute("TRUNCATE incoming_event")
        with hot.copy("COPY incoming_event FROM STDIN (NULL '')") as copy:
            copy.write(copied)
    return _append(packed, APPEND_STAGED, None)


def _append(packed: Packed, statement: str, rows: list[str] | None) -> Appended:
    """Locks, names, facts, and whoever the facts join or part: in this order, for a statement
    sees what committed before it began, and what it waits for must not have moved meanwhile."""
    moving = _lock_people(packed) if packed.links else set()
    with pipelined() as hot:
        if packed.subjects and not moving:
            people.share(hot, packed.subjects)
        # A file brings new names, and whom a link leads to is in no row.
        if packed.links or len(packed.rows) >= BULK:
            _intern(hot, packed)
        hot.execute(statement, rows, prepare=rows is not None)
    accepted, written, xid, is_unnamed = hot.fetchone() or NOTHING
    if is_unnamed:
        with pipelined() as hot:
            _intern(hot, packed)
            hot.execute(statement, rows, prepare=rows is not None)
        accepted, written, xid, is_unnamed = hot.fetchone() or NOTHING
        # Names that were just interned stay until the commit; nothing may be lost in silence.
        assert not is_unnamed, "A name went away between two statements of one transaction."
    if moving:
        people.settle(moving)
    if written:
        transaction.on_commit(wake.ask)
    return Appended(accepted, packed.sent - accepted, xid)


NOTHING: Final = (0, 0, "", False)


def _intern(hot: psycopg.Cursor[tuple[Any, ...]], packed: Packed) -> None:
    intern(hot, "subject_key", packed.subjects)
    intern(hot, "item_key", packed.items)


def _lock_people(packed: Packed) -> set[str]:
    """Have alone whoever these facts could move; returns their names. Where all that they say
    stands already, nobody: pages say who is signed in again and again."""
    if people.stand(packed.links):
        with cursor() as hot:
            people.share(hot, packed.subjects)
        if people.stand(packed.links):
            return set()
    moving = {name for name, _ in packed.links}
    people.hold(moving | {target for _, target in packed.links if target}, packed.subjects)
    return moving
