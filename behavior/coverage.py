"""What the log covers: the months that are in it, those that are archived, and who counted them.

It keeps the record of archived months. It promises that nothing which would lose the counts
of an archived month goes unsaid: a projection that holds them is neither rebuilt nor proven
without them (MonthsArchived). It never touches a partition or a file.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Connection,
    DateTime,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)  # fmt: skip

from behavior.months import Month
from recsite.db import METADATA, cursor

archived_month = Table(
    "archived_month",
    METADATA,
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("month", Integer, primary_key=True, autoincrement=False),
    Column("rows", BigInteger, nullable=False),
    Column("checksum", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("format", SmallInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("first_at", DateTime(timezone=True), nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("cluster", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("subjects", ARRAY(Integer), nullable=False),
    Column("lacking", ARRAY(Text), nullable=False),
    Column("archived_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""`cluster` and `snapshot` say what was in the log when it was archived, `subjects` whose facts
it holds, `lacking` which projections were rebuilt without it since."""

archived_ids = Table(
    "archived_ids",
    METADATA,
    Column("low", Uuid, primary_key=True),
    Column("ids", ARRAY(Uuid), nullable=False),
)
"""The ids of archived facts, a hundred a row, so that a repeated delivery is still known."""

owed_rebuild = Table("owed_rebuild", METADATA, Column("name", Text, primary_key=True))
"""Projections that folded what came while facts of the same shoppers were archived, which
leaves them near what a rebuild gives, not equal; they are rebuilt once no month is missing."""

TABLES: Final = (archived_month, archived_ids, owed_rebuild)

EVERYBODY: Final = ""
"""The name of a reader that is never rebuilt, and so holds every archived month."""


class MonthsArchived(Exception):
    """What was asked for needs months that are archived; the message names them."""

    def __init__(self, name: str, months: Sequence[Month]) -> None:
        self.months = months
        super().__init__(
            f"{name} holds counts of {len(months)} archived months ({spans(months)}), which the log "
            f"cannot give again. Attach them first (`archive --attach {months[0]}`), or let go of "
            "their counts with `refresh --rebuild --without-archived`."
        )


@dataclass(frozen=True, slots=True)
class Archived:
    """The record of an archived month."""

    month: Month
    rows: int
    checksum: str
    file: str
    bytes: int
    first_at: datetime
    last_at: datetime
    cluster: str
    snapshot: str
    lacking: Sequence[str] = ()
    archived_at: datetime | None = None


FIELDS: Final = (
    "year, month, rows, checksum, file, bytes, first_at, last_at, cluster, snapshot, lacking,"
    " archived_at"
)
ALL: Final = f"SELECT {FIELDS} FROM archived_month ORDER BY year, month"


def archived() -> list[Archived]:
    """The records of all archived months, the oldest first."""
    with cursor() as hot:
        return [_record(row) for row in hot.execute(ALL).fetchall()]


def record_of(month: Month) -> Archived | None:
    """The record of that month, if it is archived."""
    return next((record for record in archived() if record.month == month), None)


def _record(row: Sequence[Any]) -> Archived:
    return Archived(Month(*row[:2]), *row[2:])


HELD: Final = """
SELECT year, month FROM archived_month WHERE :name <> ALL(lacking) ORDER BY year, month
"""

# A rebuild is owed, and nothing would be lost by it.
OWES: Final = """
exists(SELECT FROM owed_rebuild AS owed WHERE owed.name = :name)
AND NOT exists(SELECT FROM archived_month WHERE :name <> ALL(lacking))
"""


def require_whole(inside: Connection, name: str) -> None:
    """Raise MonthsArchived where a rebuild of this projection would lose archived counts."""
    missing = [Month(*row) for row in inside.execute(text(HELD), {"name": name})]
    if missing:
        raise MonthsArchived(name or "user_state", missing)


LET_GO: Final = """
UPDATE archived_month SET lacking = lacking || CAST(:name AS text) WHERE :name <> ALL(lacking)
"""


def let_go(inside: Connection, name: str) -> None:
    """Note that from here on this projection holds nothing of the archived months.

    A month that is attached at the same moment makes this transaction fail, as it should.
    """
    inside.execute(text(LET_GO), {"name": name})


def settle(inside: Connection, name: str) -> None:
    """Note that this projection has been rebuilt."""
    inside.execute(text("DELETE FROM owed_rebuild WHERE name = :name"), {"name": name})


MONTHS_WITH: Final = """
SELECT year, month FROM archived_month WHERE subjects && %s::int[] ORDER BY year, month
"""


def months_with(subjects: Sequence[int]) -> list[Month]:
    """The archived months that hold facts of any of these subjects, the oldest first."""
    with cursor() as hot:
        return [Month(*row) for row in hot.execute(MONTHS_WITH, [list(subjects)]).fetchall()]


IN_THE_LOG: Final = """
SELECT count(*), (SELECT occurred_at FROM event ORDER BY id LIMIT 1),
       (SELECT occurred_at FROM event ORDER BY id DESC LIMIT 1) FROM event
"""


def said() -> str:
    """One line: which months are in the log, and which are archived."""
    with cursor() as hot:
        count, first, last = hot.execute(IN_THE_LOG).fetchone() or (0, None, None)
    ends = [Month(at.year, at.month) for at in (first, last) if at is not None]
    line = f"log: {_span(ends)}, {count:,} events" if ends else "log: empty"
    gone = archived()
    if not gone:
        return line
    rows = sum(record.rows for record in gone)
    return f"{line}; archived: {spans([record.month for record in gone])} ({rows:,} events)"


def spans(months: Iterable[Month]) -> str:
    """ "2023-01 to 2024-02, 2024-05": months in order, in as few words as they need."""
    numbered = enumerate(months)
    runs = groupby(numbered, lambda pair: pair[1].year * 12 + pair[1].month - pair[0])
    return ", ".join(_span([month for _, month in run]) for _, run in runs)


def _span(months: Sequence[Month]) -> str:
    return str(months[0]) if months[0] == months[-1] else f"{months[0]} to {months[-1]}"
