"""`manage.py verify`: proof that every projection equals a rebuild of the log."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recommend import fold


class Command(BaseCommand):
    """Rebuild each projection beside the live one and compare checksums."""

    help = "Prove that the projections equal a rebuild; exits with 1 where one does not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--only", metavar="NAME", help="one projection")

    def handle(self, *args: Any, only: str | None, **options: Any) -> None:
        try:
            proofs = [proof for one in fold.named(only) for proof in fold.verify(one).items()]
        except (fold.UnknownProjection, fold.FoldedByNewer) as error:
            raise CommandError(str(error)) from None
        if only is None:
            proofs += fold.verify_user_state().items()
        for table, (live, built) in proofs:
            self.stdout.write(f"{table}: {'equal' if live == built else 'DIFFERS'} ({live})")
        if any(live != built for _, (live, built) in proofs):
            raise CommandError("A projection differs from its rebuild. Run `refresh --rebuild`.")
