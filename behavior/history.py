"""A history file on its way into the log: rows become events, batch by batch.

It promises bounded memory, that a bad row costs only itself, and that the same file twice
changes nothing: a row without an `event_id` is known by its content.
"""

import contextlib
import gc
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from django.db import transaction

from behavior import log, months
from behavior.envelope import parse
from behavior.events import Event, Rejection, by_content

BATCH: Final = 50_000
"""Rows a transaction: large enough that its own cost vanishes, small enough for memory."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out: its line and why."""

    line: int
    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one batch."""

    rows: int
    accepted: int
    duplicates: int
    rejected: list[BadRow]


def import_rows(rows: Iterable[tuple[int, dict[str, Any] | str]]) -> Iterator[Imported]:
    """Append the rows, a transaction a batch; yields after each commit.

    The next batch is read, parsed and packed while the database is busy with this one.
    """
    source = iter(rows)
    with _without_collector(), ThreadPoolExecutor(max_workers=1) as reader:
        upcoming = reader.submit(_next, source)
        while (batch := upcoming.result()) is not None:
            upcoming = reader.submit(_next, source)
            appended = _append(batch)
            yield Imported(batch.rows, appended.accepted, appended.duplicates, batch.rejected)


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """A million tuples make no cycles; looking for some costs a quarter of the import."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@dataclass(frozen=True, slots=True)
class _Batch:
    rows: int
    months: list[tuple[int, int]]
    packed: log.Packed
    rejected: list[BadRow]


def _next(source: Iterator[tuple[int, dict[str, Any] | str]]) -> _Batch | None:
    rows = list(islice(source, BATCH))
    if not rows:
        return None
    events, rejected = _parsed(rows, datetime.now(UTC))
    dated = sorted({(e.occurred_at.year, e.occurred_at.month) for e in events})
    return _Batch(len(rows), dated, log.pack(events), rejected)


def _parsed(
    rows: Sequence[tuple[int, dict[str, Any] | str]], now: datetime
) -> tuple[list[Event], list[BadRow]]:
    events, rejected = [], []
    for line, row in rows:
        parsed = Rejection("unreadable_line", row) if isinstance(row, str) else _of_file(row, now)
        if isinstance(parsed, Event):
            events.append(by_content(parsed))
        else:
            rejected.append(BadRow(line, parsed))
    return events, rejected


def _of_file(row: dict[str, Any], now: datetime) -> Event | Rejection:
    """A history needs its times: the moment of the import is nobody's."""
    if row.get("occurred_at") in (None, ""):
        return Rejection("no_time", "A row of a file needs an occurred_at.")
    return parse(row, now=now)


def _append(batch: _Batch) -> log.Appended:
    # On its own: while a month is made nobody can write.
    with transaction.atomic():
        months.make(batch.months)
    with transaction.atomic():
        return log.append_packed(batch.packed)
