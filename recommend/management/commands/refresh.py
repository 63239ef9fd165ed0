"""`manage.py refresh`: every projection to the log's end, every text encoded."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recommend import embed, encoders, fold
from recsite.progress import bar


class Command(BaseCommand):
    """Advance (or rebuild) projections, then encode the texts that wait."""

    help = "Bring projections to the log's end and encode new texts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--only", metavar="NAME", help="one projection")
        parser.add_argument("--rebuild", action="store_true", help="build anew and switch")

    def handle(self, *args: Any, only: str | None, rebuild: bool, **options: Any) -> None:
        try:
            chosen = fold.named(only)
        except fold.UnknownProjection as error:
            raise CommandError(str(error)) from None
        run = fold.rebuild if rebuild else fold.advance
        for one in bar("projections", of=chosen, unit=""):
            try:
                done = run(one)
            except fold.FoldedByNewer as newer:
                self.stderr.write(str(newer))
                continue
            self.stdout.write(f"{done.name}: {done.events} events in {done.seconds:.1f} s")
        if only in (None, "content"):
            self._embed()

    def _embed(self) -> None:
        waiting = embed.waiting()
        try:
            with bar("texts", total=waiting, unit=" texts") as progress:
                for done in embed.embed():
                    progress.update(done)
        except encoders.ModelMissing as error:
            self.stderr.write(f"{error} Lists go on without content.")
        self.stdout.write(f"texts: {waiting - embed.waiting()} encoded")
