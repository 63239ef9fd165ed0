"""The log's months: one partition each, made before they are needed, or gathered afterwards.

It knows which months have a partition and which only lie in the late one. It promises that a
fact that is moved keeps its id and its transaction id, so that every reader stands where it
stood. It never changes what a fact says.
"""

import contextlib
import logging
import re
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final, NamedTuple

import psycopg
from django.db import transaction

from recsite.db import cursor

logger = logging.getLogger("recsite.months")

LATE: Final = "event_late"

COLUMNS: Final = "id, xid, kind, subject, item, quantity, price, slate, detail, order_id"
"""What the log stores of a fact."""

PATIENCE: Final = 60.0
"""Seconds until a lock that somebody holds all the while is given up."""


class InUse(Exception):
    """Somebody reads or writes the log without a pause; the message says what to do."""


class Month(NamedTuple):
    """A calendar month in UTC."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year}-{self.month:02}"

    @property
    def partition(self) -> str:
        """The name of its partition."""
        return f"event_{self.year}_{self.month:02}"

    @classmethod
    def of(cls, moment: datetime) -> "Month":
        """The month of a moment in UTC."""
        return cls(moment.year, moment.month)

    @classmethod
    def parse(cls, written: str) -> "Month":
        """From "2024-12"; raises ValueError."""
        found = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", written)
        if found is None:
            raise ValueError(f"{written!r} is not a month; write it like 2024-12.")
        return cls(int(found[1]), int(found[2]))

    def plus(self, months: int) -> "Month":
        """The month so many later, or earlier."""
        number = self.year * 12 + self.month - 1 + months
        return Month(number // 12, number % 12 + 1)


# Without those that are archived or lie late: an import asks again with every batch, and asking
# make_month keeps writers waiting.
MISSING: Final = """
SELECT year, month FROM unnest(%s::int[], %s::int[]) AS asked(year, month)
WHERE to_regclass(format('rec.event_%%s_%%s', year, lpad(month::text, 2, '0'))) IS NULL
  AND NOT EXISTS (SELECT FROM archived_month AS gone
                  WHERE (gone.year, gone.month) = (asked.year, asked.month))
  AND NOT EXISTS (SELECT FROM event_late
                  WHERE id >= month_start(year, month) AND id < month_start(year, month + 1))
"""


def make(months: Iterable[tuple[int, int]], *, patience: float | None = None) -> None:
    """Make the partitions of these months where they are missing.

    An event of a month that has none is kept in the late partition, so this is for speed:
    beat makes months ahead, an import makes those of its file. Raises InUse where the log is
    read for longer than we wait: a reader holds the late partition, which must be looked through,
    and whoever waited for it with a lock on the log would have every append wait, too.
    """
    those = sorted(set(months))
    with cursor() as hot:
        missing = hot.execute(MISSING, [[y for y, _ in those], [m for _, m in those]]).fetchall()
        if not missing:
            return
        hot.execute(ALONE)
        lock(NOBODY_AT_ALL, patience)
        for month in missing:
            hot.execute("SELECT make_month(%s, %s)", month)


def make_unless_read(months: Iterable[tuple[int, int]]) -> None:
    """As `make`, but the facts of months that cannot be made now go into the late partition,
    from which beat gathers them."""
    try:
        make(months, patience=0.0)
    except InUse as busy:
        logger.info("Facts of new months go into the late partition for now. %s", busy)


def ahead(now: datetime, count: int) -> list[tuple[int, int]]:
    """The month of `now` and the `count` that follow it."""
    return [Month.of(now).plus(n) for n in range(count + 1)]


MADE: Final = """
SELECT split_part(relname, '_', 2)::int, split_part(relname, '_', 3)::int
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'rec.event'::regclass AND relname <> 'event_late' ORDER BY 1, 2
"""


def made() -> list[Month]:
    """The months that have a partition, the oldest first."""
    with cursor() as hot:
        return [Month(*row) for row in hot.execute(MADE).fetchall()]


# Of an archived month whatever comes late has to stay where it is until the month is back.
LIE_LATE: Final = """
SELECT extract(year FROM at)::int AS year, extract(month FROM at)::int AS month, count(*)
FROM (SELECT occurred_at AT TIME ZONE 'UTC' AS at FROM event_late) AS late
GROUP BY 1, 2
HAVING NOT EXISTS (SELECT FROM archived_month AS gone
    WHERE gone.year = extract(year FROM min(at)) AND gone.month = extract(month FROM min(at)))
ORDER BY 1, 2
"""


def late() -> dict[Month, int]:
    """The months whose facts lie in the late partition and could be gathered → how many."""
    with cursor() as hot:
        rows = hot.execute(LIE_LATE).fetchall()
        return {Month(year, month): count for year, month, count in rows}


# An insert and a delete, not a change of catalogue entries: a reader whose snapshot is older
# still finds each row where it was.
FETCH: Final = """
WITH gone AS (
    DELETE FROM event_late WHERE id >= month_start(%(year)s, %(month)s)
                             AND id < month_start(%(year)s, %(month)s + 1)
    RETURNING {columns}
)
INSERT INTO {partition} ({columns}) SELECT {columns} FROM gone ORDER BY id
"""


def gather(month: Month) -> int:
    """Move a month's facts from the late partition into one of their own; how many.

    One transaction, for whose end writers and folds wait: about a second for a hundred
    thousand facts. 0 where the month has a partition or is archived. Raises InUse.
    """
    with transaction.atomic(), cursor() as hot:
        hot.execute(ALONE)
        hot.execute("SELECT empty_month(%s, %s)", month)
        if hot.fetchone() == (None,):
            return 0
        moved = fetch_late(month)
        hot.execute("SELECT join_month(%s, %s)", month)
        return moved


# A writer that waits for the late partition while its fact's own month is attached has chosen
# already, and is refused by Postgres; so writers wait before they choose.
NOBODY_AT_ALL: Final = f"""
LOCK TABLE ONLY event IN SHARE ROW EXCLUSIVE MODE; LOCK TABLE {LATE} IN ACCESS EXCLUSIVE MODE
"""

# Who makes, gathers, archives or attaches a month does so alone; taken before any other lock.
ALONE: Final = "SELECT pg_advisory_xact_lock(hashtext('recsite.make_month'))"


def fetch_late(month: Month) -> int:
    """Move what lies late into the month's table, which is not attached yet.

    The late partition is locked as a whole first: attaching needs that lock anyway, and to
    ask for it after the DELETE would dead-lock with a repeated delivery of the same fact.
    """
    lock(NOBODY_AT_ALL)
    with erasing(), cursor() as hot:
        statement = FETCH.format(columns=COLUMNS, partition=month.partition)
        return hot.execute(statement, month._asdict()).rowcount


@contextlib.contextmanager
def erasing() -> Iterator[None]:
    """Inside the block facts may be deleted."""
    with cursor() as hot:
        hot.execute("SET LOCAL rec.erasing = 'on'")
        yield
        hot.execute("SET LOCAL rec.erasing = 'off'")


def lock(statement: str, patience: float | None = None) -> None:
    """Take a lock in short tries with longer pauses: while we wait, everybody waits behind us."""
    until = time.monotonic() + (PATIENCE if patience is None else patience)
    while True:
        try:
            with transaction.atomic(), cursor() as hot:
                hot.execute("SET LOCAL lock_timeout = '100ms'")
                hot.execute(statement)
                hot.execute("SET LOCAL lock_timeout = DEFAULT")
                return
        except psycopg.errors.LockNotAvailable:
            if time.monotonic() > until:
                raise InUse("The log is being read or written all the time; try later.") from None
        time.sleep(0.5)
