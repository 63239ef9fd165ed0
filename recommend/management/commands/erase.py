"""`manage.py erase USER`: forget a person, exactly and for good."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from behavior.events import subject_key
from recommend.erase import Nobody, OutOfReach, erase
from recommend.fold import FoldedByNewer
from recsite.numbers import many


class Command(BaseCommand):
    """Take a person out of every projection and of the log, under all names joined to them."""

    help = "Erase a person; a proof without personal data stays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "name", metavar="USER", help="a user_id, or an anonymous_id with --anonymous"
        )
        parser.add_argument("--anonymous", action="store_true")

    def handle(self, *args: Any, name: str, anonymous: bool, **options: Any) -> None:
        key = subject_key(None, name) if anonymous else subject_key(name, None)
        try:
            done = erase(key, asked_by="the command erase")
        except (Nobody, OutOfReach, FoldedByNewer) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"erased: {many(done.events, 'event')} and {many(done.slates, 'slate')} under"
            f" {many(done.names, 'name')} (proof {done.erasure})"
        )
