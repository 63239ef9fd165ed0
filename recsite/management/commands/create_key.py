"""`manage.py create_key LABEL --scope secret`: make an API key and print it, once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recsite import keys
from recsite.models import ApiKey


class Command(BaseCommand):
    help = "Make an API key and print it. It is stored hashed: this is the only time it is shown."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("label", help="who or what will call with it")
        parser.add_argument("--scope", choices=ApiKey.Scope.values, default="publishable")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["label"].strip():
            raise CommandError("A key needs a label: say who or what will call with it.")
        self.stdout.write(keys.create(options["label"], options["scope"]))
