"""`manage.py import_events FILE`: a history into the log."""

from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from behavior.history import BadRow, Imported, import_rows
from recsite.api import Problem, database_problem
from recsite.files import FileError, count_rows, read_rows
from recsite.progress import bar

SHOWN: Final = 20


class Command(BaseCommand):
    """Append a file's rows; a second run of the same file changes nothing."""

    help = "Import events from a CSV, JSONL or Parquet file (one item a row)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE")

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        try:
            done = self._import(file)
        except FileError as error:
            raise CommandError(str(error)) from None
        accepted, duplicates = sum(i.accepted for i in done), sum(i.duplicates for i in done)
        bad = [row for i in done for row in i.rejected]
        self._complain(bad)
        self.stdout.write(f"{accepted} accepted, {duplicates} duplicates, {len(bad)} rejected")
        if bad and not accepted + duplicates:
            raise CommandError("No row could be imported.")

    def _import(self, file: str) -> list[Imported]:
        done: list[Imported] = []
        with bar("events", total=count_rows(file)) as progress:
            try:
                for imported in import_rows(read_rows(file)):
                    done.append(imported)
                    progress.update(imported.rows)
            except Exception as error:
                if (problem := database_problem(error)) is None:
                    raise
                raise CommandError(_stopped(problem, sum(i.rows for i in done))) from None
        return done

    def _complain(self, bad: list[BadRow]) -> None:
        for row in bad[:SHOWN]:
            self.stderr.write(f"line {row.line}: {row.rejection.code}: {row.rejection.message}")
        if len(bad) > SHOWN:
            self.stderr.write(f"... and {len(bad) - SHOWN} more rejected lines")


def _stopped(problem: Problem, rows: int) -> str:
    """Whole batches are in, so that the way on is the same command."""
    return (
        f"{problem.message} The first {rows:,} rows are in and nothing of the others; run the"
        " same command again to go on."
    )
