"""A history file on its way into the log: rows become events, batch by batch.

It promises bounded memory, that a bad row costs only itself, and that the same file twice
changes nothing: a row without an `event_id` is known by its content.
"""

import contextlib
import functools
import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from django.db import transaction

from behavior import log, months
from behavior.dialects import translate
from behavior.envelope import parse
from behavior.events import Event, Rejection, by_content
from behavior.packing import Packed, copy_text, pack
from behavior.rejected import Refused
from recsite.rows import Place, Row

BATCH: Final = 50_000
"""Rows a transaction: large enough that its own cost vanishes, small enough for memory."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one batch, and where its reader stood behind it."""

    rows: int
    accepted: int
    duplicates: int
    rejected: list[Refused]
    place: Place


def import_rows(
    rows: Iterable[tuple[int, Row]],
    place: Place | None = None,
    *,
    size: int | None = None,
    also: Callable[[Imported], None] = lambda imported: None,
) -> Iterator[Imported]:
    """Append the rows, a transaction a batch; yields after each commit.

    The next batch is read, parsed and packed while the database is busy with this one. `place`
    is what the reader of the rows moves; `also` is called inside each transaction.
    """
    source = iter(rows)
    following = functools.partial(_next, source, place or Place(), size or BATCH)
    with _without_collector(), ThreadPoolExecutor(max_workers=1) as reader:
        upcoming = reader.submit(following)
        while (batch := upcoming.result()) is not None:
            upcoming = reader.submit(following)
            yield _append(batch, also)


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
    packed: Packed
    copied: str
    refused: list[Refused]
    place: Place


def _next(source: Iterator[tuple[int, Row]], place: Place, size: int) -> _Batch | None:
    rows = list(islice(source, size))
    if not rows:
        return None
    behind = replace(place)
    events, refused = _parsed(rows, datetime.now(UTC))
    dated = sorted({(e.occurred_at.year, e.occurred_at.month) for e in events})
    packed = pack(events)
    return _Batch(len(rows), dated, packed, copy_text(packed), refused, behind)


def _parsed(rows: Sequence[tuple[int, Row]], now: datetime) -> tuple[list[Event], list[Refused]]:
    events, refused = [], []
    for line, row in rows:
        said = [Rejection("unreadable_line", row)] if isinstance(row, str) else translate(row)
        for raw in said:
            parsed = read_row(raw, now)
            if isinstance(parsed, Event):
                events.append(parsed)
            elif isinstance(row, str):
                refused.append(Refused(line, parsed))
            else:
                refused.append(Refused(line, parsed, row if isinstance(raw, Rejection) else raw))
    return events, refused


def read_row(row: object, now: datetime) -> Event | Rejection:
    """A history needs its times (the moment of the import is nobody's), and a row without an
    event_id is known by its content. What a dialect has refused stays refused."""
    if isinstance(row, Rejection):
        return row
    if isinstance(row, dict) and row.get("occurred_at") in (None, ""):
        return Rejection("no_time", "A row of a file needs an occurred_at.")
    parsed = parse(row, now=now)
    return by_content(parsed) if isinstance(parsed, Event) else parsed


def _append(batch: _Batch, also: Callable[[Imported], None]) -> Imported:
    # On its own: while a month is made nobody can write.
    with transaction.atomic():
        months.make_unless_read(batch.months)
    with transaction.atomic():
        appended = log.append_copied(batch.packed, batch.copied)
        done = Imported(
            batch.rows, appended.accepted, appended.duplicates, batch.refused, batch.place
        )
        also(done)
    return done
