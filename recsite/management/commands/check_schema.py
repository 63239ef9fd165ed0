"""`manage.py check_schema`: do the tables that migrations make equal those the code declares?

It migrates the database that it is given, so give it a throw-away one (`make lint` does).
"""

from typing import Any

from alembic.util import CommandError as AlembicError
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from recsite import schema


class Command(BaseCommand):
    help = "Migrate an empty database and compare both schemas with what the code declares."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        try:
            call_command("makemigrations", check=True, dry_run=True, verbosity=1)
        except SystemExit:
            raise CommandError("Django's models have changes that no migration makes.") from None
        try:
            schema.check()
        except AlembicError as different:
            raise CommandError(f"Schema rec: {different}") from None
