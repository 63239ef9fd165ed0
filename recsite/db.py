"""SQLAlchemy Core on Django's own connection: two table owners, one transaction.

Schema `public` is Django's, schema `rec` is Alembic's. This module promises that whatever
runs through `connection()` or `cursor()` is inside Django's current transaction: it commits
and rolls back with it. It never begins, commits or closes anything itself.
"""

import contextlib
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import orjson
import psycopg
from django.db import connection as django_connection
from django.db import transaction
from psycopg.types.json import set_json_dumps, set_json_loads
from sqlalchemy import (
    DDL,
    Connection,
    Engine,
    MetaData,
    NullPool,
    Table,
    create_engine,
    event,
)  # fmt: skip
from sqlalchemy.types import UserDefinedType

METADATA = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
    }
)
"""Every table of schema `rec`; Alembic compares the database with it."""

# orjson reads the log's details about three times as fast as json; set once for the process.
set_json_loads(orjson.loads)
set_json_dumps(orjson.dumps)


def keep_in_line(table: Table, *columns: str) -> None:
    """As its migration has it, wherever the table is made beside: arrays that serving reads whole are
    neither compressed nor out of line."""
    plain = ", ".join(f"ALTER {column} SET STORAGE PLAIN" for column in columns)
    made = DDL(f"ALTER TABLE {table.name} {plain}")  # type: ignore[no-untyped-call]
    event.listen(table, "after_create", made)


class Xid8(UserDefinedType[str]):
    """Postgres' 64-bit transaction id: never wraps, but starts again in a new cluster."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "XID8"


class _Borrowed:
    """Django's psycopg connection, lent to SQLAlchemy: whoever borrows must not end anything."""

    def __init__(self, lent: psycopg.Connection[Any]) -> None:
        self._lent = lent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lent, name)

    def cursor(self, *args: Any, **kwargs: Any) -> psycopg.Cursor[Any]:
        # Django's own cursor binds on the client; the server-side one can be prepared.
        return psycopg.Cursor(self._lent)

    def commit(self) -> None:
        """Only transaction.atomic commits."""

    def rollback(self) -> None:
        """Only transaction.atomic rolls back."""

    def close(self) -> None:
        """Django closes what Django opened."""


def _lend() -> _Borrowed:
    return _Borrowed(psycopg_connection())


_engine: Engine = create_engine(
    "postgresql+psycopg://",
    creator=_lend,
    poolclass=NullPool,
    use_native_hstore=False,
    # What failed is logged with its statement; the shoppers' ids in it must not be.
    hide_parameters=True,
    json_deserializer=lambda value: value,
    json_serializer=lambda value: orjson.dumps(value).decode(),
)


def psycopg_connection() -> psycopg.Connection[Any]:
    """Django's connection of this thread, opened if need be."""
    django_connection.ensure_connection()
    return cast("psycopg.Connection[Any]", django_connection.connection)


@contextlib.contextmanager
def connection() -> Iterator[Connection]:
    """A SQLAlchemy connection inside Django's current transaction."""
    with _engine.connect() as borrowed:
        yield borrowed


@contextlib.contextmanager
def cursor() -> Iterator[psycopg.Cursor[tuple[Any, ...]]]:
    """A psycopg cursor that prepares on the server: for the two hot statements.

    A query through SQLAlchemy costs 0.66 ms against 0.23 here; append and recommend count.
    """
    with psycopg.Cursor(psycopg_connection()) as hot:
        yield hot


NAMED: Final = re.compile(r"%\((\w+)\)s")


def ask(query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of a long statement with %(names)s, prepared, and sent and read in binary."""
    said, names = _numbered(query)
    with psycopg.RawCursor(psycopg_connection()) as hot:
        hot.execute(said, [values[name] for name in names], prepare=True, binary=True)
        return hot.fetchall()


# psycopg remembers how it has read a statement only up to 4,096 characters: to read the one that
# gathers anew cost .18 ms of each list.
@functools.cache
def _numbered(query: str) -> tuple[str, tuple[str, ...]]:
    """The query with $1, $2 … where it has %(names)s, and these in that order."""
    names = tuple(dict.fromkeys(NAMED.findall(query)))
    said = NAMED.sub(lambda found: f"${names.index(found[1]) + 1}", query)
    return said.replace("%%", "%"), names


COPY_HEADER, COPY_TRAILER = 19, 2
"""Bytes of COPY's binary format before the rows and behind them."""


def copied(query: str) -> bytes:
    """The rows of a query as COPY's binary format has them: numbers, without an object a row."""
    with cursor() as hot, hot.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as out:
        return b"".join(out)[COPY_HEADER:-COPY_TRAILER]


@contextlib.contextmanager
def pipelined() -> Iterator[psycopg.Cursor[tuple[Any, ...]]]:
    """The same cursor, whose statements go out together: one round trip for several.

    They run one after another, each with a snapshot of its own; the first that fails raises
    where the block ends. Fetch behind it: a result that is fetched inside is one more round trip.
    """
    lent = psycopg_connection()
    with lent.pipeline():
        yield psycopg.Cursor(lent)


@contextlib.contextmanager
def one_snapshot() -> Iterator[Connection]:
    """A REPEATABLE READ transaction: every statement in it sees the same log.

    No month leaves the log meanwhile: a partition that is dropped is gone for old snapshots, too,
    so the log is locked before the snapshot is taken. Nobody but the archive waits for that.
    """
    with transaction.atomic():
        # Before SQLAlchemy connects: its first connection asks the server things, and the
        # level must be set before any query.
        with cursor() as hot:
            hot.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            hot.execute("LOCK TABLE ONLY rec.event IN ACCESS SHARE MODE")
            hot.execute("SET LOCAL plan_cache_mode = auto")
        with connection() as inside:
            yield inside


@contextlib.contextmanager
def alone(what: str) -> Iterator[None]:
    """Wait until nobody else is at `what`, and keep others from it; a session that dies lets go.

    To be entered before a transaction: inside it, waiting would leave one with a snapshot of before.
    """
    with cursor() as session:
        session.execute("SELECT pg_advisory_lock(hashtext('recsite.' || %s))", [what])
    try:
        yield
    finally:
        _let_go(what)


@contextlib.contextmanager
def if_alone(what: str) -> Iterator[bool]:
    """The same without waiting: whether nobody else is at it."""
    with cursor() as session:
        taken = session.execute("SELECT pg_try_advisory_lock(hashtext('recsite.' || %s))", [what])
        is_ours = taken.fetchone() == (True,)
    try:
        yield is_ours
    finally:
        if is_ours:
            _let_go(what)


def _let_go(what: str) -> None:
    with cursor() as session:
        session.execute("SELECT pg_advisory_unlock(hashtext('recsite.' || %s))", [what])
