"""Proof: that what is live is what the log gives, table by table.

A rebuild is made beside the live tables, in one snapshot with them, and both are hashed. It
promises that nothing which happens meanwhile can make them differ, and that what cannot be
proven is said (MonthsArchived), never called equal. It changes no row but by bringing a
projection to the log's end first.
"""

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection, Table, text

from behavior import coverage, people, user_state
from recommend import fold
from recommend.projections import Projection
from recsite.db import one_snapshot

CHECKSUM: Final = """
SELECT count(*) || ':' || coalesce(sum(hashtextextended(ROW({columns})::text, 0)), 0) FROM {table}
"""


def verify(one: Projection) -> dict[str, tuple[str, str]]:
    """Prove one projection: table → (checksum of the live rows, of a rebuild's).

    Raises MonthsArchived where the log no longer has all that the projection counted, and
    fold.FoldedByNewer.
    """
    with fold.alone(one), one_snapshot() as inside:
        coverage.require_whole(inside, one.NAME)
        counting = fold.catch_up(one, inside)
        return _compared(inside, one.TABLES, lambda: one.fill(inside, counting))


def verify_user_state() -> dict[str, tuple[str, str]]:
    """Prove who is one person, and the shoppers' own state: both move with the log and need no
    advancing."""
    tables = (*people.TABLES, *user_state.TABLES)
    with one_snapshot() as inside:
        coverage.require_whole(inside, coverage.EVERYBODY)
        return _compared(inside, tables, lambda: _fill_state(inside))


def _fill_state(inside: Connection) -> None:
    people.fill(inside)
    user_state.fill(inside)


def _compared(
    inside: Connection, tables: Sequence[Table], fill: Callable[[], object]
) -> dict[str, tuple[str, str]]:
    live = checksums(inside, tables)
    with fold.beside(inside, tables):
        fill()
        built = checksums(inside, tables)
    inside.execute(text(f"DROP SCHEMA {fold.SCRATCH} CASCADE"))
    return {name: (live[name], built[name]) for name in live}


def checksums(inside: Connection, tables: Sequence[Table]) -> dict[str, str]:
    """Rows and a hash of each table, whatever order the rows lie in, over the columns that this
    code knows."""
    return {table.name: str(inside.scalar(text(_checksum(table)))) for table in tables}


def _checksum(table: Table) -> str:
    return CHECKSUM.format(columns=", ".join(table.columns.keys()), table=table.name)
