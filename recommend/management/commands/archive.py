"""`manage.py archive`: old months of the log into files, and back.

It is here rather than beside the log because projections must have read a month before it
goes, and may have to count it when it comes back.
"""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from behavior import archive, coverage, months
from behavior.month_file import BadFile
from behavior.months import Month
from recommend import fold
from recommend.projections import PROJECTIONS
from recsite.numbers import many
from recsite.progress import bar


def month(written: str) -> Month:
    try:
        return Month.parse(written)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


class Command(BaseCommand):
    """Archive what is old, attach what is asked for, or list what is archived."""

    help = "Write old months of the log to Parquet files and drop them, or attach them again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--before", type=month, metavar="MONTH", help="like 2025-01")
        what.add_argument("--keep", type=int, metavar="N", help="months up to the newest event's")
        what.add_argument("--attach", type=month, metavar="MONTH", help="like 2024-12")
        what.add_argument("--list", action="store_true", help="what is archived")
        parser.add_argument("--to", type=Path, metavar="DIR", help="default: RECSITE_HOME/archive")
        parser.add_argument("--from", type=Path, metavar="DIR", help="where the file is now")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._do(**options)
        except (
            archive.Refused, BadFile, months.InUse, coverage.MonthsArchived, OSError,
        ) as error:  # fmt: skip
            raise CommandError(str(error)) from None

    def _do(self, **options: Any) -> None:
        if options["list"]:
            self._list()
        elif options["attach"] is not None:
            self._attach(options["attach"], options["from"])
        else:
            self._archive(_limit(options["before"], options["keep"]), options["to"])

    def _archive(self, limit: Month | None, to: Path | None) -> None:
        current = Month.of(datetime.now(UTC))
        if limit and limit > current:
            self.stdout.write(f"{current} is not over yet: it stays in the log.")
            limit = current
        due = _due(limit) if limit else []
        for one in bar("months", of=due, unit=""):
            folder = to or settings.RECSITE_HOME / "archive"
            done = archive.archive(one, folder, read=fold.read_by_all())
            self.stdout.write(f"{done.month}: {many(done.rows, 'event')} to {done.file}")
        if not due:
            self.stdout.write("Nothing to archive.")

    def _attach(self, one: Month, folder: Path | None) -> None:
        names = [one.NAME for one in PROJECTIONS]
        done = archive.attach(one, readers=names, folder=folder)
        self.stdout.write(f"{done.month}: {many(done.rows, 'event')} back in the log")
        for projection in PROJECTIONS:
            try:
                fold.advance(projection)
            except coverage.MonthsArchived as error:  # of the months that are still archived
                self.stderr.write(str(error))

    def _list(self) -> None:
        archived = coverage.archived()
        for record in archived:
            lacks = f", not counted by {', '.join(record.lacking)}" if record.lacking else ""
            self.stdout.write(
                f"{record.month}: {many(record.rows, 'event')}, {record.bytes:,} bytes, {record.file}{lacks}"
            )
        if not archived:
            self.stdout.write("No month is archived.")


def _limit(before: Month | None, keep: int | None) -> Month | None:
    """The first month that stays; None where the log is empty."""
    if before is not None:
        return before
    if keep is None or keep < 1:
        raise CommandError("--keep takes a number of months from 1 on.")
    newest = archive.newest()
    return newest.plus(1 - keep) if newest else None


def _due(limit: Month) -> list[Month]:
    """What lies late gets its partition first, or it would never be old enough."""
    for late in months.late():
        if late < limit:
            months.gather(late)
    return archive.due(limit)
