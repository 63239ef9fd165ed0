"""`manage.py migrate`: both owners' migrations, one command."""

from typing import Any

from django.core.management.commands.migrate import Command as DjangoMigrate

from behavior.tasks import make_months
from recsite import schema


class Command(DjangoMigrate):
    """Django's migrations, then Alembic's, the task queue's tables, and this month's partition."""

    help = "Apply Django's migrations (schema public) and Alembic's (schema rec)."

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        if options["app_label"] or options["check_unapplied"] or options["plan"]:
            return
        schema.upgrade()
        schema.install_queue()
        # Before the first fact: a month whose rows lie in the late partition stays there.
        make_months()
