"""`manage.py quarantine NAME`: hide a bot from all counting, or show it again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from behavior import people, quarantine
from behavior.events import subject_key


class Command(BaseCommand):
    """Hide a shopper under all names joined to them; nothing is deleted."""

    help = "Hide a shopper (a bot, a fraud ring) from every projection; --undo shows them again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", metavar="USER", nargs="+")
        parser.add_argument("--anonymous", action="store_true", help="the names are anonymous_ids")
        parser.add_argument("--because", default="", help="a note for the log")
        parser.add_argument("--undo", action="store_true")

    def handle(self, *args: Any, names: list[str], anonymous: bool, **options: Any) -> None:
        keys = [subject_key(None, n) if anonymous else subject_key(n, None) for n in names]
        known = sorted(people.members(keys).values())
        if not known:
            raise CommandError(f"There is no shopper {' or '.join(map(repr, keys))}.")
        if not options["undo"]:
            said = f"hidden: {', '.join(quarantine.hide(keys, because=options['because']))}"
        elif shown := quarantine.show(keys):
            said = f"shown again: {', '.join(shown)}"
        else:
            said = f"not hidden: {', '.join(known)}"
        self.stdout.write(said)
