"""What the clock asks of the log."""

import logging
from datetime import UTC, datetime
from typing import Final

from celery import shared_task
from django.db import transaction

from behavior import months, rejected, runs, suspects

logger = logging.getLogger("recsite.tasks")

MONTHS_AHEAD = 2

MANY: Final = 10_000
"""Facts of a month in the late partition from which it gets one of its own."""


@shared_task
def make_months() -> None:
    """Have the partitions of this month and the next two, long before they are needed; and
    give the months of which much came late partitions of their own."""
    try:
        with transaction.atomic():
            months.make(months.ahead(datetime.now(UTC), MONTHS_AHEAD))
    except months.InUse as busy:
        logger.warning("The months ahead are made in an hour. %s", busy)
    for month, facts in months.late().items():
        if facts > MANY:
            _gather(month)


def _gather(month: months.Month) -> None:
    try:
        logger.info("%s: %s late facts have a partition now", month, months.gather(month))
    except months.InUse as busy:
        logger.warning("%s stays in the late partition for now. %s", month, busy)


@shared_task
def drop_old() -> None:
    """Let go of old refused records, of those beyond the bound, and of imports nobody resumed."""
    now = datetime.now(UTC)
    rejected.trim(now)
    runs.trim(now)


@shared_task
def look_for_suspects() -> None:
    """Replace the list of shoppers who look like bots."""
    suspects.look(datetime.now(UTC))
