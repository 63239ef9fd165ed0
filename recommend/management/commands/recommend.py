"""`manage.py recommend`: lists for many shoppers, through the pipeline that serves."""

import contextlib
import csv
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from django.core.management.base import BaseCommand, CommandError

from behavior.events import subject_key
from behavior.fields import LONGEST_ID
from catalog.refusal import storable
from recommend import travel
from recommend.pipeline import SEEN, Ask, Refused, compose
from recsite.files import FileError, read_rows
from recsite.progress import bar
from recsite.times import moment

COLUMNS: Final = ("user_id", "rank", "item_id", "score")

Line = tuple[str, int, str, float]


class Command(BaseCommand):
    """Write user_id, rank, item_id, score; nothing is recorded as served."""

    help = "Recommend to the shoppers of a file (a column user_id) through the serving pipeline."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--scenario", default="home")
        parser.add_argument("--users", required=True, metavar="FILE")
        parser.add_argument("--count", type=int, default=10)
        parser.add_argument("--exclude-seen", choices=tuple(SEEN))
        parser.add_argument("--out", required=True, metavar="FILE", help=".csv or .parquet")
        when = parser.add_mutually_exclusive_group()
        when.add_argument("--at", metavar="TIME", help="as it would have been then (ISO, UTC)")
        when.add_argument(
            "--in",
            dest="schema",
            metavar="SCHEMA",
            help="as of the moment that refresh --into made this schema of",
        )

    def handle(self, *args: Any, users: str, out: str, **options: Any) -> None:
        if not 1 <= options["count"] <= 100:
            raise CommandError("--count must be from 1 to 100.")
        if Path(out).suffix.lower() not in WRITERS:
            raise CommandError(f"--out must end in one of {', '.join(WRITERS)}.")
        if not Path(out).parent.is_dir():
            raise CommandError(f"--out: there is no folder {Path(out).parent}.")
        if Path(out).is_dir():
            raise CommandError(f"--out: {out} is a folder, not a file.")
        try:
            names = list(dict.fromkeys(_users(users)))
            with _then(options) as now, bar("shoppers", total=len(names), unit="") as progress:
                lines = [line for name in names for line in _lists(name, now, options, progress)]
        except (FileError, Refused, travel.Unusable) as error:
            raise CommandError(str(error)) from None
        try:
            WRITERS[Path(out).suffix.lower()](Path(out), lines)
        except OSError as error:
            raise CommandError(f"--out {out}: {error.strerror or error}.") from None
        self.stdout.write(f"{len(lines)} items for {len(names)} shoppers in {out}")


def _users(path: str) -> Iterator[str]:
    for line, row in read_rows(path):
        if isinstance(row, str):
            raise FileError(f"{path}, line {line}: {row}")
        user = row.get("user_id")
        if user in (None, ""):
            raise FileError(f"{path}, line {line}: there is no user_id.")
        if len(str(user)) > LONGEST_ID or not storable(str(user)):
            raise FileError(
                f"{path}, line {line}: user_id must be text of 1 to {LONGEST_ID} characters."
            )
        yield str(user)


@contextlib.contextmanager
def _then(options: dict[str, Any]) -> Iterator[datetime | None]:
    """The moment of the lists, with its tables in front; None for now, each list at its own."""
    if options["schema"]:
        with travel.visit(options["schema"]) as then:
            yield then
    elif options["at"]:
        then = moment(options["at"], "--at")
        with travel.back_at(then, lambda all_of: bar("projections", of=all_of, unit="")):
            yield then
    else:
        yield None


def _lists(user: str, then: datetime | None, options: dict[str, Any], progress: Any) -> list[Line]:
    ask = Ask(
        scenario=options["scenario"],
        shopper=subject_key(user, None),
        count=options["count"],
        exclude_seen=options["exclude_seen"],
    )
    shown = compose(ask, then or datetime.now(UTC)).items
    progress.update(1)
    return [(user, rank, item.item_id, item.score) for rank, item in enumerate(shown, 1)]


def _write_csv(out: Path, lines: list[Line]) -> None:
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(lines)


def _write_parquet(out: Path, lines: list[Line]) -> None:
    columns = zip(*lines, strict=True) if lines else ((),) * len(COLUMNS)
    pq.write_table(pa.table(dict(zip(COLUMNS, map(list, columns), strict=True))), out)


WRITERS: Final = {".csv": _write_csv, ".parquet": _write_parquet}
