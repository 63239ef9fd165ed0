"""What the clock asks of the log."""

from datetime import UTC, datetime

from celery import shared_task
from django.db import transaction

from behavior import months, suspects

MONTHS_AHEAD = 2


@shared_task
def make_months() -> None:
    """Have the partitions of this month and the next two, long before they are needed."""
    with transaction.atomic():
        months.make(months.ahead(datetime.now(UTC), MONTHS_AHEAD))


@shared_task
def look_for_suspects() -> None:
    """Replace the list of shoppers who look like bots."""
    suspects.look(datetime.now(UTC))
