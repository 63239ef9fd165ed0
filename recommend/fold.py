"""The only loop over the log: advance projections, rebuild them.

It promises that a projection's rows and its position move in one transaction, that no two
workers fold the same projection at once, and that a rebuild is built beside the live tables
and switched in one step. It never looks into an event: that is the projection's own file.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    Table,
    Text,
    text,
)  # fmt: skip
from sqlalchemy.dialects.postgresql import JSONB

from behavior import coverage, position
from behavior.position import NOTHING
from catalog.countings import Counting, wanted
from recommend.projections import PROJECTIONS, Projection
from recsite.db import METADATA, cursor, one_snapshot

projection = Table(
    "projection",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("folded_at", DateTime(timezone=True), nullable=False),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'")),
)
"""Where each projection stands in the log: `snapshot` is what it has read, `epoch` the
cluster whose transaction ids that means, `settings` the weights that it was counted with, the
rest is its last run for the admin."""

SCRATCH: Final = "rec_scratch"


class UnknownProjection(Exception):
    """There is no projection of that name; the message lists those there are."""


class FoldedByNewer(Exception):
    """Newer code has folded this projection; the message says so. Of two versions that run at
    once the newer one folds and the older leaves alone, or each would rebuild the other's."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """What one run did to a projection."""

    name: str
    events: int
    seconds: float


STANDING: Final = f"""
SELECT snapshot, epoch, version, settings::text AS settings, {coverage.OWES} AS owes
FROM projection WHERE name = :name
"""

HERE: Final = """
SELECT pg_current_snapshot()::text AS snapshot, system_identifier::text AS epoch FROM pg_control_system()
"""

COUNT_FRESH: Final = """
SELECT count(*) FROM event
WHERE xid >= pg_snapshot_xmin(CAST(:since AS pg_snapshot))
  AND NOT pg_visible_in_snapshot(xid, CAST(:since AS pg_snapshot))
"""

# Compare-and-set: the row moves only from where this fold began.
MOVE: Final = """
INSERT INTO projection AS p (name, version, epoch, snapshot, events, seconds, folded_at, settings)
VALUES (:name, :version, :epoch, :snapshot, :events, :seconds, now(), CAST(:settings AS jsonb))
ON CONFLICT (name) DO UPDATE SET
    version = excluded.version, epoch = excluded.epoch, snapshot = excluded.snapshot,
    events = excluded.events, seconds = excluded.seconds, folded_at = excluded.folded_at,
    settings = excluded.settings
WHERE p.snapshot = :since
"""


def named(name: str | None) -> tuple[Projection, ...]:
    """The projection of that name, or all of them for None."""
    chosen = tuple(p for p in PROJECTIONS if name in (None, p.NAME))
    if not chosen:
        known = ", ".join(p.NAME for p in PROJECTIONS)
        raise UnknownProjection(f"There is no projection {name!r}. Known: {known}.")
    return chosen


def advance(one: Projection) -> Advanced:
    """Bring one projection to the log's end: effects and position in one transaction.

    Where the code, the cluster or the weights are others than those that folded last, or an
    archived month came back, it is rebuilt. Raises MonthsArchived where that would lose what is
    archived, FoldedByNewer where the code that folded last was newer than this.
    """
    with alone(one):
        with one_snapshot() as inside:
            standing = _own_standing(one, inside)
            if standing.is_current:
                return _advance(one, inside, standing)
        return _rebuild(one)


def catch_up(one: Projection, inside: Connection) -> Counting:
    """Bring one projection to the log's end in this transaction, under `alone`, but for one that is
    to be rebuilt; how it is to count. Raises FoldedByNewer."""
    standing = _own_standing(one, inside)
    if standing.is_current:
        _advance(one, inside, standing)
    return standing.counting


def rebuild(one: Projection) -> Advanced:
    """Build the projection anew beside the live tables and switch in one step.

    Readers see the old tables until the commit, which only renames. It is also the way back
    to older code: it does not ask which version folded last. Raises MonthsArchived.
    """
    with alone(one):
        return _rebuild(one)


def rebuild_without_archived(one: Projection) -> Advanced:
    """Build the projection anew from the log alone, letting go of what archived months counted."""
    with alone(one), one_snapshot() as inside:
        coverage.let_go(inside, one.NAME)
        return _build(one, inside)


@contextlib.contextmanager
def beside(inside: Connection, tables: Sequence[Table], schema: str = SCRATCH) -> Iterator[None]:
    """Inside the block, the names of `tables` mean empty tables in a schema of their own.

    All SQL names tables without a schema; whatever comes first in search_path is meant.
    """
    path = inside.scalar(text("SHOW search_path"))
    inside.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
    inside.execute(text(f"CREATE SCHEMA {schema}"))
    inside.execute(text(f"SET LOCAL search_path = {schema}, {path}"))
    for table in tables:
        table.create(inside, checkfirst=False)
    yield
    inside.execute(text(f"SET LOCAL search_path = {path}"))


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a projection stands, the snapshot it could move to, and how it is to count."""

    since: str
    until: str
    epoch: str
    counting: Counting
    version: int
    is_current: bool


def _standing(one: Projection, inside: Connection) -> _Standing:
    here = inside.execute(text(HERE)).one()
    counting = wanted(one.NAME)
    row = inside.execute(text(STANDING), {"name": one.NAME}).one_or_none()
    if row is None:
        return _Standing(NOTHING, here.snapshot, here.epoch, counting, one.VERSION, is_current=True)
    current = not row.owes and (row.epoch, row.version, orjson.loads(row.settings)) == (
        here.epoch, one.VERSION, counting.as_json())  # fmt: skip
    return _Standing(row.snapshot, here.snapshot, here.epoch, counting, row.version, current)


def _own_standing(one: Projection, inside: Connection) -> _Standing:
    standing = _standing(one, inside)
    if standing.version > one.VERSION:
        raise FoldedByNewer(
            f"{one.NAME} was folded by version {standing.version}, this code has {one.VERSION} and"
            " leaves it alone. (`refresh --rebuild` takes it back.)"
        )
    return standing


def _advance(one: Projection, inside: Connection, standing: _Standing) -> Advanced:
    began = time.perf_counter()
    # Effects and position are lost together where the power fails, and folded again.
    inside.execute(text("SET LOCAL synchronous_commit = off"))
    events = int(inside.scalar(text(COUNT_FRESH), {"since": standing.since}) or 0)
    if events == 0:
        return Advanced(one.NAME, 0, 0.0)
    if standing.since == NOTHING:
        coverage.require_whole(inside, one.NAME)
        one.fill(inside, standing.counting)
    else:
        one.fold(inside, standing.since, standing.counting)
    return _move(one, inside, standing, Advanced(one.NAME, events, time.perf_counter() - began))


def _rebuild(one: Projection) -> Advanced:
    with one_snapshot() as inside:
        return _build(one, inside)


def _build(one: Projection, inside: Connection) -> Advanced:
    began = time.perf_counter()
    coverage.require_whole(inside, one.NAME)
    standing = _standing(one, inside)
    position.adopt(inside)
    with beside(inside, one.TABLES):
        one.fill(inside, standing.counting)
    for table in one.TABLES:
        inside.execute(text(f"DROP TABLE rec.{table.name}"))
        inside.execute(text(f"ALTER TABLE {SCRATCH}.{table.name} SET SCHEMA rec"))
    inside.execute(text(f"DROP SCHEMA {SCRATCH} CASCADE"))
    events = int(inside.scalar(text(COUNT_FRESH), {"since": NOTHING}) or 0)
    coverage.settle(inside, one.NAME)
    return _move(one, inside, standing, Advanced(one.NAME, events, time.perf_counter() - began))


def read_by_all() -> list[str]:
    """Advance every projection; the snapshots that they have read."""
    for one in PROJECTIONS:
        advance(one)
    with cursor() as hot:
        names = [one.NAME for one in PROJECTIONS]
        rows = hot.execute("SELECT snapshot FROM projection WHERE name = ANY(%s)", [names])
        return [snapshot for (snapshot,) in rows.fetchall()]


def _move(one: Projection, inside: Connection, standing: _Standing, done: Advanced) -> Advanced:
    moved = inside.execute(text(MOVE), {
        "name": one.NAME, "version": one.VERSION, "epoch": standing.epoch, "since": standing.since,
        "snapshot": standing.until, "events": done.events, "seconds": done.seconds,
        "settings": orjson.dumps(standing.counting.as_json()).decode(),
    })  # fmt: skip
    if moved.rowcount != 1:
        raise RuntimeError(f"{one.NAME} was moved by another worker in spite of the lock")
    return done


@contextlib.contextmanager
def alone(one: Projection) -> Iterator[None]:
    """Hold the projection, for no two workers may fold it at once. Whoever holds it may hold it again.

    The lock is taken before the transaction: inside it, waiting would leave us with a
    snapshot from before the other worker's commit. A worker that dies lets go of it.
    """
    with cursor() as session:
        session.execute(
            "SELECT pg_advisory_lock(hashtext('recsite.fold'), hashtext(%s))", [one.NAME]
        )
    try:
        yield
    finally:
        with cursor() as session:
            session.execute(
                "SELECT pg_advisory_unlock(hashtext('recsite.fold'), hashtext(%s))", [one.NAME]
            )
