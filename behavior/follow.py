"""A growing JSONL file, followed: each line is in the log within a second of its end.

It promises that a line which is still being written waits for its end, that a file which was
cut or replaced is read anew from its start (of a replaced one the rest is read first), and
that a run goes on where the last one stopped.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Final

from behavior import runs
from behavior.history import Imported, import_rows
from behavior.runs import HEAD, Run, digest_of
from recsite.files import format_of, read_new, read_rest
from recsite.rows import FileError, Place, Row

POLL: Final = 0.25
"""Seconds between two looks at the file."""

AT_ONCE: Final = 10_000
"""Rows a transaction: well under a second's work."""


Reader = Callable[[IO[bytes], Place], Iterator[tuple[int, Row]]]


@dataclass
class Stop:
    """A wish to end, after the batch that is under way; a signal handler may utter it."""

    is_asked: bool = False

    def ask(self) -> None:
        self.is_asked = True


@dataclass
class Follower:
    """One file being followed."""

    path: Path
    run: Run
    stop: Stop

    def batches(self) -> Iterator[Imported]:
        """What was imported, after each commit, until it is stopped."""
        while not self.stop.is_asked:
            with self.path.open("rb") as source:
                yield from self._until_replaced(source)

    def _until_replaced(self, source: IO[bytes]) -> Iterator[Imported]:
        while not self.stop.is_asked:
            if self._is_cut(source):
                self.run = _anew(self.path)
            if self._is_replaced(source):
                # Who writes may not have heard of the new file yet.
                time.sleep(POLL)
                yield from self._import(source, read_rest)
                self.run = _anew(self.path)
                return
            for done in self._import(source, read_new):
                yield done
                if self.stop.is_asked:
                    return
            time.sleep(POLL)

    def _import(self, source: IO[bytes], read: Reader) -> Iterator[Imported]:
        place, seen = self.run.place, os.fstat(source.fileno())
        if seen.st_size > place.offset:
            enter = partial(self._enter, source, seen)
            yield from import_rows(read(source, place), place, size=AT_ONCE, also=enter)

    def _is_cut(self, source: IO[bytes]) -> bool:
        """Whether it is no longer the file whose start was read."""
        stat = os.fstat(source.fileno())
        if (stat.st_size, stat.st_mtime_ns) == (self.run.size, self.run.modified):
            return False
        return stat.st_size < self.run.reached or not _begins_as(self.run, source)

    def _is_replaced(self, source: IO[bytes]) -> bool:
        """Whether the path leads to another file; while it leads nowhere, it does not yet."""
        try:
            return not os.path.samestat(self.path.stat(), os.fstat(source.fileno()))
        except FileNotFoundError:
            return False

    def _enter(self, source: IO[bytes], seen: os.stat_result, done: Imported) -> None:
        """Note the file as it was before its rows were read: were it cut since, the next look
        would take what it is now for what was read."""
        run = runs.enter_batch(self.run, done)
        if run.head < HEAD and _begins_as(run, source):
            head = min(HEAD, run.reached)
            run = replace(run, head=head, digest=digest_of(source, head))
        self.run = replace(run, size=seen.st_size, modified=seen.st_mtime_ns)
        runs.save(self.run)


def begin(path: Path) -> Run:
    """The run that goes on in this file, whoever began it, or a new one. Raises FileError."""
    if format_of(path) != "JSONL":
        raise FileError(f"{path.name}: only a JSONL file can be followed.")
    known = runs.find(path)
    if known is not None:
        with path.open("rb") as source:
            if os.fstat(source.fileno()).st_size >= known.reached and _begins_as(known, source):
                return known
    return _anew(path)


def _anew(path: Path) -> Run:
    """A run of which nothing is done, and of whose file nothing is known yet."""
    with path.open("rb") as source:
        return Run(runs.resolved(path), 0, 0, head=0, digest=digest_of(source, 0))


def _begins_as(run: Run, source: IO[bytes]) -> bool:
    return digest_of(source, run.head) == run.digest
