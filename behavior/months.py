"""The log's months: one partition each, made before they are needed.

It never moves a fact: an event of a month without a partition is kept in the late one.
"""

from collections.abc import Iterable
from datetime import datetime

from recsite.db import cursor


def make(months: Iterable[tuple[int, int]]) -> None:
    """Make the partitions of these months where they are missing.

    An event of a month that has none is kept in the late partition, so this is for speed:
    beat makes months ahead, an import makes those of its file.
    """
    with cursor() as hot:
        for year, month in months:
            hot.execute("SELECT make_month(%s, %s)", [year, month])


def ahead(now: datetime, count: int) -> list[tuple[int, int]]:
    """The month of `now` and the `count` that follow it."""
    first = now.year * 12 + now.month - 1
    return [(n // 12, n % 12 + 1) for n in range(first, first + count + 1)]
