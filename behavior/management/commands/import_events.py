"""`manage.py import_events FILE`: a history into the log."""

import contextlib
import signal
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from behavior import follow, runs
from behavior.follow import Follower, Stop
from behavior.history import Imported
from behavior.rejected import Refused
from behavior.runs import Run
from recsite.api import Problem, database_problem
from recsite.files import FileError, format_of, size_of
from recsite.progress import bar

SHOWN: Final = 20


@dataclass
class Totals:
    """What became of the whole file, and the first rows that were refused just now."""

    accepted: int
    duplicates: int
    rejected: int
    shown: list[Refused] = field(default_factory=list)
    untold: int = 0

    def add(self, done: Imported) -> list[Refused]:
        """Count a batch; the refused rows that are still to be shown."""
        self.accepted += done.accepted
        self.duplicates += done.duplicates
        self.rejected += len(done.rejected)
        first = done.rejected[: SHOWN - len(self.shown)]
        self.shown += first
        self.untold += len(done.rejected) - len(first)
        return first

    def __str__(self) -> str:
        return f"{self.accepted:,} accepted, {self.duplicates:,} duplicates, {self.rejected:,} rejected"


class Command(BaseCommand):
    """Append a file's rows; a second run of the same file changes nothing, and one that was
    interrupted goes on where it stopped."""

    help = "Import events from a CSV, JSONL or Parquet file (one item a row)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument(
            "--follow",
            action="store_true",
            help="go on with what is added to a JSONL file, until SIGINT or SIGTERM",
        )

    def handle(self, *args: Any, file: Path, follow: bool, **options: Any) -> None:
        self.totals = Totals(0, 0, 0)
        try:
            totals = (self._follow if follow else self._import)(file)
        except FileError as error:
            raise CommandError(str(error)) from None
        except Exception as error:
            if (problem := database_problem(error)) is None:
                raise
            raise CommandError(_stopped(problem, self.totals)) from None
        if totals.untold:
            self.stderr.write(f"… and {totals.untold:,} more rejected.")
        self.stdout.write(str(totals))
        if totals.rejected and not totals.accepted + totals.duplicates:
            raise CommandError("No row could be imported.")

    def _import(self, file: Path) -> Totals:
        unit = " rows" if format_of(file) == "Parquet" else "B"
        with runs.alone(file):
            run = runs.begin(file)
            totals = self._totals(run)
            with bar("events", total=size_of(file), initial=run.reached, unit=unit) as progress:
                for done in runs.import_file(file, run):
                    totals.add(done)
                    progress.update(done.place.offset - progress.n)
            runs.finish(run)
        self._complain(totals.shown)
        return totals

    def _follow(self, file: Path) -> Totals:
        format_of(file)
        with _stopping() as stop, runs.alone(file):
            follower = Follower(file, follow.begin(file), stop)
            totals = self._totals(follower.run)
            for done in follower.batches():
                self._complain(totals.add(done))
            runs.finish(follower.run)
        return totals

    def _totals(self, run: Run) -> Totals:
        if run.rows:
            self.stdout.write(f"continues at row {run.rows + 1:,}")
        self.totals = Totals(run.accepted, run.duplicates, run.rejected)
        return self.totals

    def _complain(self, refused: list[Refused]) -> None:
        for row in refused:
            self.stderr.write(f"line {row.line}: {row.rejection.code}: {row.rejection.message}")


@contextlib.contextmanager
def _stopping() -> Iterator[Stop]:
    """SIGINT and SIGTERM end the following in order, and nothing else."""
    stop = Stop()
    before = {
        number: signal.signal(number, lambda *_: stop.ask())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopped(problem: Problem, totals: Totals) -> str:
    """Whole batches are in, so that the way on is the same command."""
    rows = totals.accepted + totals.duplicates + totals.rejected
    return (
        f"{problem.message} The first {rows:,} rows are in and nothing of the others; run the"
        " same command again to go on."
    )
