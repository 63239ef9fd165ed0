"""What the clock asks of the log."""

from datetime import UTC, datetime

from celery import shared_task
from django.db import transaction

from behavior import months, rejected, runs

MONTHS_AHEAD = 2


@shared_task
def make_months() -> None:
    """Have the partitions of this month and the next two, long before they are needed."""
    with transaction.atomic():
        months.make(months.ahead(datetime.now(UTC), MONTHS_AHEAD))


@shared_task
def drop_old() -> None:
    """Let go of old refused records, of those beyond the bound, and of imports nobody resumed."""
    now = datetime.now(UTC)
    rejected.trim(now)
    runs.trim(now)
