"""`manage.py import_catalog FILE`: a file of items into the catalogue.

It promises that a refused row is reported with its line and reason and stops nothing, and
that importing the same file twice changes nothing. It holds one batch in memory, and the
ids that it has met.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from behavior.events import Rejection
from catalog import changes, feed
from recsite import progress
from recsite.files import FileError, columns, count_rows, read_rows

BATCH: Final = 5_000
MOST_SHOWN: Final = 20


class Command(BaseCommand):
    help = (
        "Import a catalogue from a CSV, JSONL or Parquet file. Its columns: "
        f"{', '.join(feed.READERS)}; any other becomes an attribute. Only item_id is needed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="its name ends in .csv, .jsonl, .ndjson or .parquet")

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        self.changed = self.unchanged = self.rejected = 0
        try:
            self._import(file)
        except FileError as error:
            if self.changed + self.unchanged + self.rejected:
                self._report()
            raise CommandError(str(error)) from None
        self._report()
        if self.rejected and not self.changed + self.unchanged:
            raise CommandError("No row could be imported.")

    def _import(self, file: str) -> None:
        self._say_columns(file)
        seen: set[str] = set()
        rows = _rows(file)
        with progress.bar("catalogue", total=count_rows(file)) as bar:
            while batch := list(islice(rows, BATCH)):
                self._put(feed.parse_all(batch, seen))
                bar.update(len(batch))

    def _say_columns(self, file: str) -> None:
        """Before the first row: a name that is written in another way is no mistake, and nobody's guess."""
        names = columns(file)
        if names is None:
            return
        if "item_id" not in names:
            raise FileError(
                f"{Path(file).name} has no column item_id; its columns are {', '.join(names)}."
            )
        if others := feed.attributes_of(names):
            self.stdout.write(f"kept as attributes: {', '.join(others)}")

    def _put(self, batch: feed.Batch) -> None:
        done = changes.put(batch.contents)
        self.changed += done.changed
        self.unchanged += done.unchanged
        for line, why in batch.rejected[: max(MOST_SHOWN - self.rejected, 0)]:
            tqdm.write(f"line {line}: {why.code}: {why.message}", file=sys.stderr)
        self.rejected += len(batch.rejected)

    def _report(self) -> None:
        if self.rejected > MOST_SHOWN:
            self.stderr.write(f"… and {self.rejected - MOST_SHOWN:,} more rejected.")
        self.stdout.write(
            f"{self.changed:,} changed, {self.unchanged:,} unchanged, {self.rejected:,} rejected"
        )


def _rows(file: str) -> Iterator[tuple[int, object]]:
    for line, row in read_rows(file):
        yield line, Rejection("unreadable_line", row) if isinstance(row, str) else row
