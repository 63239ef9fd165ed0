"""Imports that go on where they were interrupted: how far each file has come.

It owns the table of runs. A run moves in the transaction of its batch, so that whatever ends
a process, the next one begins behind the last row that is in the log. It promises that a file
which changed is read from its start, and that two processes never import one file at a time.
"""

import contextlib
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Final

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, Table, Text, Uuid, text

from behavior import rejected
from behavior.history import Imported, import_rows
from recsite.db import METADATA, cursor
from recsite.files import read_rows
from recsite.rows import FileError, Place

import_run = Table(
    "import_run",
    METADATA,
    Column("path", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("modified", BigInteger, nullable=False),
    Column("head", Integer, nullable=False),
    Column("digest", Uuid, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("reached", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("duplicates", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("finished", Boolean, nullable=False, server_default=text("false")),
    Column("saved_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
)
"""`digest` is of the file's first `head` bytes; `reached` is an offset of recsite.rows.Place."""

HEAD: Final = 1_000_000
KEPT: Final = timedelta(days=30)
PATIENCE: Final = 10.0
"""Seconds to wait for the last statement of a process that was killed."""


@dataclass(frozen=True, slots=True)
class Run:
    """A file, by what tells it from another one, and what was done of it. Rows are counted."""

    path: str
    size: int
    modified: int
    head: int
    digest: uuid.UUID
    rows: int = 0
    line: int = 1
    reached: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0

    @property
    def name(self) -> str:
        return Path(self.path).name

    @property
    def place(self) -> Place:
        return Place(self.line, self.reached)

    def after(self, done: Imported) -> "Run":
        """This run with one more batch behind it."""
        return replace(
            self,
            rows=self.rows + done.rows,
            line=done.place.line,
            reached=done.place.offset,
            accepted=self.accepted + done.accepted,
            duplicates=self.duplicates + done.duplicates,
            rejected=self.rejected + len(done.rejected),
        )


COLUMNS: Final = tuple(field.name for field in fields(Run))

FIND: Final = f"SELECT {', '.join(COLUMNS)} FROM import_run WHERE path = %s"
FIND_UNFINISHED: Final = f"{FIND} AND NOT finished"

SAVE: Final = f"""
INSERT INTO import_run ({", ".join(COLUMNS)}) VALUES ({", ".join(["%s"] * len(COLUMNS))})
ON CONFLICT (path) DO UPDATE SET finished = false, saved_at = now(),
    {", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])}
"""


def begin(path: Path) -> Run:
    """The interrupted run of this very file, or a new one."""
    known, new = _found(FIND_UNFINISHED, path), fresh(path)
    return known if known is not None and _identity(known) == _identity(new) else new


def find(path: Path) -> Run | None:
    """The last run of that path, finished or not."""
    return _found(FIND, path)


def _found(statement: str, path: Path) -> Run | None:
    with cursor() as hot:
        found = hot.execute(statement, [resolved(path)]).fetchone()
    return None if found is None else Run(*found)


def fresh(path: Path) -> Run:
    """A run of the file as it is now, of which nothing is done."""
    with path.open("rb") as source:
        stat = os.fstat(source.fileno())
        head = min(HEAD, stat.st_size)
        return Run(resolved(path), stat.st_size, stat.st_mtime_ns, head, digest_of(source, head))


def import_file(path: Path, run: Run) -> Iterator[Imported]:
    """Append the file's rows from where the run stands; yields after each commit."""
    place = run.place

    def enter(done: Imported) -> None:
        nonlocal run
        run = enter_batch(run, done)
        save(run)

    yield from import_rows(read_rows(path, place), place, also=enter)


def enter_batch(run: Run, done: Imported) -> Run:
    """Keep what a batch was refused, within a run's allowance; the run behind that batch."""
    allowance = max(rejected.MOST_OF_A_RUN - run.rejected, 0)
    rejected.keep(run.name, done.rejected[:allowance])
    return run.after(done)


def save(run: Run) -> None:
    """Note how far a run has come, in the caller's transaction."""
    with cursor() as hot:
        hot.execute(SAVE, astuple(run))


def finish(run: Run) -> None:
    """The file is done: the next import of it begins at its start."""
    with cursor() as hot:
        hot.execute("UPDATE import_run SET finished = true WHERE path = %s", [run.path])


def trim(now: datetime) -> int:
    """Drop the runs that nobody has gone on with for KEPT; how many those were."""
    with cursor() as hot:
        return hot.execute("DELETE FROM import_run WHERE saved_at < %s", [now - KEPT]).rowcount


LOCK: Final = "SELECT pg_try_advisory_lock(hashtextextended('recsite.import ' || %s, 0))"
UNLOCK: Final = "SELECT pg_advisory_unlock(hashtextextended('recsite.import ' || %s, 0))"


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes from this file. Raises FileError where one is at it.

    The session of a process that was killed may still be committing its last batch; hence the
    patience, and hence nothing is read of a run before this lock is held.
    """
    lock = [resolved(path)]
    end = time.monotonic() + PATIENCE
    with cursor() as hot:
        while hot.execute(LOCK, lock).fetchone() != (True,):
            if time.monotonic() > end:
                raise FileError(f"{path.name} is being imported by another process.")
            time.sleep(0.1)
        try:
            yield
        finally:
            hot.execute(UNLOCK, lock)


def _identity(run: Run) -> tuple[object, ...]:
    return run.size, run.modified, run.head, run.digest


def digest_of(source: IO[bytes], head: int) -> uuid.UUID:
    """A digest of an open file's first bytes; the reader of the file is not disturbed."""
    hashed = hashlib.blake2b(os.pread(source.fileno(), head, 0), digest_size=16)
    return uuid.UUID(bytes=hashed.digest())


def resolved(path: Path) -> str:
    """The path as text that Postgres can hold."""
    return os.fsencode(path.resolve()).decode(errors="backslashreplace")
