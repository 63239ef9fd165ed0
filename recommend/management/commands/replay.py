"""`manage.py replay`: is a served list what the log makes of the same moment?"""

import uuid
from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from recommend.replay import Replayed, Unreplayable, replay
from recsite.progress import bar

BY_ELIMINATION: Final = (
    "facts that it counted are no longer in the log (erased or archived); all else is the same"
)


class Command(BaseCommand):
    """Print "identical", or the first differences and which input is gone (exit code 1)."""

    help = "Make a served list again from the log and compare items, scores and reasons."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slate", metavar="SLATE_ID", type=uuid.UUID, help="recommendation_id")

    def handle(self, *args: Any, slate: uuid.UUID, **options: Any) -> None:
        try:
            replayed = replay(slate, lambda all_of: bar("projections", of=all_of, unit=""))
        except Unreplayable as error:
            raise CommandError(str(error)) from None
        if replayed.differences:
            raise CommandError("\n".join(_said(replayed)))
        self.stdout.write("\n".join(["identical", *(f"  although {c}" for c in replayed.causes)]))


def _said(replayed: Replayed) -> list[str]:
    causes = replayed.causes or (BY_ELIMINATION,)
    return ["The list is another one.", *replayed.differences, *(f"  for {c}" for c in causes)]
