"""`manage.py suspects`: who looks like a bot, and why."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from behavior import suspects


class Command(BaseCommand):
    """Look for suspects now and list them, the most suspect first."""

    help = "List shoppers who look like bots, crawlers or fraud, with the reasons."

    def handle(self, *args: Any, **options: Any) -> None:
        suspects.look(datetime.now(UTC))
        listed = list(suspects.listed())
        for name, score, reasons in listed:
            self.stdout.write(f"{score:3}  {name}  {'; '.join(suspects.sentences(reasons))}")
        if not listed:
            self.stdout.write("Nobody looks suspect.")
