"""`manage.py verify`: proof that every projection equals a rebuild of the log.

It exits with 0 only where everything was proven. A table that counted months which are archived
can be neither proven nor refuted, and is not called different.
"""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from behavior import coverage, user_state
from recommend import fold, proof

Proof = Callable[[], dict[str, tuple[str, str]]]
"""What proves some tables: table → checksum of the live rows, of a rebuild's."""


def _names(tables: Sequence[Any]) -> list[str]:
    return [table.name for table in tables]


class Command(BaseCommand):
    """Rebuild each projection beside the live one and compare checksums."""

    help = "Prove that the projections equal a rebuild; exits with 1 where one does not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--only", metavar="NAME", help="one projection")

    def handle(self, *args: Any, only: str | None, **options: Any) -> None:
        try:
            chosen = fold.named(only)
        except fold.UnknownProjection as error:
            raise CommandError(str(error)) from None
        self.stdout.write(coverage.said())
        found = [self._prove(partial(proof.verify, one), _names(one.TABLES)) for one in chosen]
        if only is None:
            found.append(self._prove(proof.verify_user_state, _names(user_state.TABLES)))
        if "DIFFERS" in found:
            raise CommandError("A projection differs from its rebuild. Run `refresh --rebuild`.")
        if "not comparable" in found:
            raise CommandError(
                "Not everything could be proven: attach the archived months first (`archive --list`)."
            )

    def _prove(self, prove: Proof, tables: Sequence[str]) -> str:
        """Say of each table what was found; returns the worst of it."""
        try:
            found = prove()
        except fold.FoldedByNewer as error:
            raise CommandError(str(error)) from None
        except coverage.MonthsArchived as error:
            for table in tables:
                self.stdout.write(
                    f"{table}: not comparable: it counted {len(error.months)} archived months;"
                    " attach them first"
                )
            return "not comparable"
        for name, (live, built) in found.items():
            self.stdout.write(f"{name}: {'equal' if live == built else 'DIFFERS'} ({live})")
        return "equal" if all(live == built for live, built in found.values()) else "DIFFERS"
