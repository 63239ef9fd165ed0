"""Which spaces are live: every attempt to learn one, and where items and shoppers lie in it.

An index has vectors of one space only, so those of another version are written into tables beside and
switched in by renaming; lists go on with the old ones meanwhile. It promises that items, shoppers and
the name of the live version change in one step, that readers in the way delay that, not fail, and that
where items lay stays known while a list is kept that was made of it, unless somebody was erased.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import psycopg
from django.db import transaction
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)  # fmt: skip
from sqlalchemy.dialects.postgresql import JSONB

from recommend.spaces.rows import DIMENSIONS, Placed, copy
from recsite.db import METADATA, Xid8, connection, cursor

FACTORS: Final = "factors"
SEQUENCE: Final = "sequence"
KINDS: Final = (FACTORS, SEQUENCE)

space = Table(
    "space",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("network", LargeBinary),
    Column("ridge", LargeBinary),
    Column("judged", JSONB, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("live_since", DateTime(timezone=True)),
    Column("retired_at", DateTime(timezone=True)),
    Column("is_live", Boolean, nullable=False),
    Column("snapshot", Text),
    Column("epoch", Text),
    Column("owes", Boolean, nullable=False, server_default=text("false")),
    Index("space_live_idx", "kind", unique=True, postgresql_where=text("is_live")),
)
"""`network` places shoppers and `ridge` new items; `judged` is
learning.Judged, or what was lacking; `until` where the log ended; `snapshot` which facts the shoppers'
vectors of the live one have read, of the cluster `epoch`; `owes` whether somebody was erased since it
was learned."""


def _placed(name: str) -> Table:
    return Table(
        name,
        METADATA,
        Column("item", Integer, primary_key=True, autoincrement=False),
        Column("vector", HALFVEC(DIMENSIONS), nullable=False),
        Column("placed_xid", Xid8),
        Index(f"{name}_vector_idx", "vector", postgresql_using="hnsw",
              postgresql_ops={"vector": "halfvec_ip_ops"}),
    )  # fmt: skip


factors_item = _placed("factors_item")
sequence_item = _placed("sequence_item")
"""Where items lie in the live space; `placed_xid` is the transaction that placed one since it is live,
null for those that came with it."""

sequence_shopper = Table(
    "sequence_shopper",
    METADATA,
    Column("person", Integer, primary_key=True, autoincrement=False),
    Column("vector", HALFVEC(DIMENSIONS), nullable=False),
)
"""Where each shopper stands after what they did last."""

TABLES: Final = (space, factors_item, sequence_item, sequence_shopper)

MEMBERS: Final = {FACTORS: ("factors_item",), SEQUENCE: ("sequence_item", "sequence_shopper")}
"""The tables of a kind, which are switched together."""

ITEMS: Final = ("factors_item", "sequence_item")
"""Those that stay for replays; where shoppers stood follows from the log."""

# For whoever serves: which versions, and how far shoppers have been followed.
LIVE: Final = """
(SELECT json_object_agg(kind, json_build_array(name, snapshot)) FROM space WHERE is_live)
"""

_BESIDE: Final = "{schema}.{table}_next"
SCHEMA_OF: Final = (
    "SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = to_regclass(%s)"
)
MAKE: Final = (
    f"DROP TABLE IF EXISTS {_BESIDE}",
    f"CREATE TABLE {_BESIDE} (LIKE {{schema}}.{{table}} INCLUDING CONSTRAINTS)",
)
KEY: Final = f"ALTER TABLE {_BESIDE} ADD CONSTRAINT {{table}}_next_pkey PRIMARY KEY ({{key}})"
INDEX: Final = (
    f"CREATE INDEX {{table}}_next_vector_idx ON {_BESIDE} USING hnsw (vector halfvec_ip_ops)"
)
DROP: Final = "DROP TABLE IF EXISTS {schema}.{table} CASCADE"
DROP_LEFT: Final = "DROP TABLE IF EXISTS rec.{table}_next"
# Under its version's name, for replays.
RETAIN: Final = (
    "DROP TABLE IF EXISTS {schema}.{table}_{old}",
    "ALTER TABLE {schema}.{table} RENAME TO {table}_{old}",
    "ALTER INDEX {schema}.{table}_pkey RENAME TO {table}_{old}_pkey",
    "ALTER INDEX {schema}.{table}_vector_idx RENAME TO {table}_{old}_vector_idx",
)
SWITCH: Final = (
    f"ALTER TABLE {_BESIDE} RENAME TO {{table}}",
    "ALTER INDEX {schema}.{table}_next_pkey RENAME TO {table}_pkey",
    "ALTER INDEX IF EXISTS {schema}.{table}_next_vector_idx RENAME TO {table}_vector_idx",
)
PATIENCE: Final = "50ms"
"""For readers of the old tables. While the switch waits, new readers wait behind it."""

TRIES: Final = 50
PAUSE: Final = 0.2
"""Seconds from one try to the next."""

NOTE: Final = """
INSERT INTO space (name, kind, judged, until, is_live)
VALUES (:name, :kind, CAST(:judged AS jsonb), :until, false)
ON CONFLICT (name) DO UPDATE SET judged = excluded.judged
"""
RETIRE: Final = (
    "UPDATE space SET is_live = false, retired_at = now() WHERE kind = :kind AND is_live"
)
GO_LIVE: Final = """
UPDATE space SET is_live = true, live_since = now(), retired_at = NULL, network = :network, ridge = :ridge,
    snapshot = :snapshot, epoch = :epoch, owes = :owes
WHERE name = :name
"""
EMPTY: Final = "DELETE FROM {table}"
CEASE: Final = """
UPDATE space SET is_live = false, retired_at = now(), network = NULL, ridge = NULL, owes = false
WHERE kind = :kind AND is_live
"""
FIND: Final = """
SELECT name, network, ridge, judged::text, until, owes FROM space WHERE kind = :kind AND is_live
"""
NAME: Final = "SELECT name FROM space WHERE kind = :kind AND is_live"


class InTheWay(Exception):
    """Readers would not let go of the old vectors; what was learned is made again another time."""


@dataclass(frozen=True, slots=True)
class Live:
    """The live version of a kind."""

    name: str
    network: bytes | None
    ridge: bytes | None
    judged: dict[str, Any]
    until: datetime
    owes: bool


@dataclass(frozen=True, slots=True)
class Made:
    """A version that was learned: `placed` by table, `network` and `ridge` for who and what comes
    later, which facts its shoppers have read, and whether somebody was erased meanwhile."""

    kind: str
    placed: Mapping[str, Placed]
    network: bytes | None = None
    ridge: bytes | None = None
    snapshot: str | None = None
    epoch: str | None = None
    owes: bool = False

    @property
    def name(self) -> str:
        """A digest of all of it."""
        said = hashlib.blake2b((self.network or b"") + (self.ridge or b""), digest_size=6)
        for placed in self.placed.values():
            said.update(placed.keys.tobytes())
            said.update(placed.vectors.tobytes())
        return said.hexdigest()


def live(inside: Connection, kind: str) -> Live | None:
    """The version that serves; None where none does."""
    row = inside.execute(text(FIND), {"kind": kind}).one_or_none()
    return None if row is None else Live(
        row.name, row.network, row.ridge, orjson.loads(row.judged), row.until, row.owes)  # fmt: skip


def note(
    inside: Connection, name: str, kind: str, judged: Mapping[str, Any], until: datetime
) -> None:
    """Keep that one was made, or could not be, and how good it was."""
    told = {"name": name, "kind": kind, "judged": orjson.dumps(judged).decode(), "until": until}
    inside.execute(text(NOTE), told)


def note_left(inside: Connection, kind: str, judged: Mapping[str, Any], until: datetime) -> None:
    """Keep that what could be learned until then does not serve, and why."""
    name = hashlib.blake2b(f"{kind} {until.isoformat()}".encode(), digest_size=6).hexdigest()
    note(inside, name, kind, judged, until)


def publish(made: Made, judged: Mapping[str, Any], until: datetime) -> None:
    """Have it serve. Raises InTheWay; what was live then still is."""
    write(made)
    for left in reversed(range(TRIES)):
        try:
            with transaction.atomic(), connection() as inside:
                inside.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
                switch(inside, made, judged, until)
            return
        except psycopg.errors.LockNotAvailable:
            if not left:
                raise InTheWay("readers would not let go of what serves") from None
            time.sleep(PAUSE)


def write(made: Made) -> None:
    """Fill tables beside those that serve."""
    with transaction.atomic(), cursor() as hot:
        for table, placed in made.placed.items():
            names = {"schema": _schema(hot, table), "table": table}
            for statement in MAKE:
                hot.execute(statement.format(**names))
            key = "person" if table == sequence_shopper.name else "item"
            copy(_BESIDE.format(**names) + f" ({key}, vector)", placed)
            hot.execute(KEY.format(**names, key=key))
            if key == "item":
                hot.execute(INDEX.format(**names))
            hot.execute(f"ANALYZE {_BESIDE.format(**names)}")


def switch(inside: Connection, made: Made, judged: Mapping[str, Any], until: datetime) -> None:
    """Let what was written serve."""
    old = inside.scalar(text(NAME), {"kind": made.kind})
    with cursor() as hot:
        for table in made.placed:
            names = {"schema": _schema(hot, table), "table": table, "old": old}
            # The same deeds may teach the same again: then nothing is past.
            away = RETAIN if old not in (None, made.name) and table in ITEMS else (DROP,)
            # One that was live before is not past any more.
            hot.execute(DROP.format(schema=names["schema"], table=f"{table}_{made.name}"))
            for statement in (*away, *SWITCH):
                hot.execute(statement.format(**names))
    note(inside, made.name, made.kind, judged, until)
    inside.execute(text(RETIRE), {"kind": made.kind})
    # In a split the transaction goes on.
    inside.execute(text("SET LOCAL lock_timeout = 0"))
    inside.execute(text(GO_LIVE), {
        "name": made.name, "network": made.network, "ridge": made.ridge,
        "snapshot": made.snapshot, "epoch": made.epoch, "owes": made.owes,
    })  # fmt: skip


def cease(inside: Connection, kind: str) -> None:
    """Forget the live version and have none. To be called where nobody else writes."""
    for table in MEMBERS[kind]:
        inside.execute(text(EMPTY.format(table=table)))
    inside.execute(text(CEASE), {"kind": kind})


def drop_left(inside: Connection) -> None:
    """Drop what was written and never switched in, for a worker was killed or readers were in the way.
    To be called where nobody else writes (shoppers.alone), for it might still be to come."""
    for tables in MEMBERS.values():
        for table in tables:
            inside.execute(text(DROP_LEFT.format(table=table)))


def _schema(hot: psycopg.Cursor[Any], table: str) -> str:
    """Whose table it is that is in front: the live one's, or a split's."""
    (schema,) = hot.execute(SCHEMA_OF, [table]).fetchone() or ("",)
    return str(schema)
