"""`manage.py export USER`: all that is kept about a person, as JSONL."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from itertools import chain
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from behavior import dossier
from behavior.events import subject_key


class Command(BaseCommand):
    """Write a line for each row that bears one of the person's names."""

    help = "Export all that is kept about a person as JSONL, to the terminal or a file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "name", metavar="USER", help="a user_id, or an anonymous_id with --anonymous"
        )
        parser.add_argument("--anonymous", action="store_true")
        parser.add_argument("--out", metavar="FILE")

    def handle(
        self, *args: Any, name: str, anonymous: bool, out: str | None, **options: Any
    ) -> None:
        key = subject_key(None, name) if anonymous else subject_key(name, None)
        try:
            rows = dossier.told_of(key)
        except dossier.OutOfReach as error:
            raise CommandError(str(error)) from None
        first = next(rows, None)
        if first is None:
            raise CommandError(f"There is no shopper {key!r}.")
        lines = map(dossier.line, chain((first,), rows))
        if not out:
            self._show(lines)
            return
        try:
            with open(out, "wb") as file:
                file.writelines(line + b"\n" for line in lines)
        except OSError as error:
            raise CommandError(f"--out {out}: {error.strerror or error}.") from None

    def _show(self, lines: Iterable[bytes]) -> None:
        """To the terminal; whoever wants the first lines only (`| head`) closes the pipe."""
        try:
            for line in lines:
                self.stdout.write(line.decode())
            self.stdout.flush()
        except BrokenPipeError:
            # Python flushes once more at its end, and would complain there.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
