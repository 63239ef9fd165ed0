"""Past: the spaces that a list was made of, in front of the live ones while it is made again.

A shopper stands where those of their deeds lead that had been followed by then. It promises that
nothing is heard that did not serve then: where a version is gone there is none, and `missing` says so.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, text

from recommend.spaces import rows, shoppers
from recommend.spaces.store import ITEMS, MEMBERS, SEQUENCE

NAME: Final = re.compile(r"[0-9a-f]{12}")

SPACE: Final = """
CREATE VIEW {schema}.space AS
SELECT name, kind, network, ridge, judged, until, made_at, live_since, retired_at,
       coalesce(name = ANY (ARRAY[{names}]::text[]), false) AS is_live, snapshot, epoch, owes
FROM rec.space
"""
# A view, for its index finds neighbours as it did; for good the rows, for the table goes.
SHOWN: Final = "CREATE VIEW {schema}.{table} AS SELECT * FROM {found} AS placed WHERE {known}"
KEPT: Final = "CREATE TABLE {schema}.{table} AS SELECT * FROM {found} AS placed WHERE {known}"

LIVE_THEN: Final = """
SELECT DISTINCT ON (kind) kind, name FROM rec.space WHERE live_since <= :moment
ORDER BY kind, live_since DESC
"""


HOLD: Final = "LOCK TABLE {table} IN ACCESS SHARE MODE"
IS_THERE: Final = "SELECT to_regclass(:found) IS NOT NULL"
IS_LIVE: Final = (
    "SELECT EXISTS (SELECT FROM rec.space WHERE kind = :kind AND name = :name AND is_live)"
)


@dataclass(frozen=True, slots=True)
class Spaces:
    """Which served, by kind; `placed` is a condition on the transaction placed_xid that placed an item
    since, `followed` one on the facts that shoppers had been followed through."""

    names: Mapping[str, str] = field(default_factory=dict)
    placed: str = "false"
    followed: str | None = None


def at(inside: Connection, moment: datetime, followed: str) -> Spaces:
    """Those that were live by then, with every item that is placed in them by now."""
    rows = inside.execute(text(LIVE_THEN), {"moment": moment.astimezone(UTC)})
    return Spaces({row.kind: row.name for row in rows}, "true", followed)


def show(inside: Connection, schema: str, spaces: Spaces, *, kept: bool = False) -> None:
    """Have them in front, in this schema."""
    found = dict(_found(inside, spaces))
    for table in ITEMS:
        kind = table.removesuffix("_item")
        statement = KEPT if kept else SHOWN
        known = f"placed_xid IS NULL OR {spaces.placed}" if kind in found else "false"
        inside.exec_driver_sql(
            statement.format(
                schema=schema, table=table, found=found.get(kind, f"rec.{table}"), known=known
            )
        )
    names = ", ".join(f"'{spaces.names[kind]}'" for kind in found)
    inside.exec_driver_sql(SPACE.format(schema=schema, names=names))
    if SEQUENCE in found:
        rows.copy(
            "sequence_shopper (person, vector)", shoppers.all_in_front(spaces.names[SEQUENCE])
        )


def missing(inside: Connection, spaces: Spaces) -> Iterator[str]:
    """Kinds whose version is gone."""
    found = dict(_found(inside, spaces))
    yield from (kind for kind in spaces.names if kind not in found)


def _found(inside: Connection, spaces: Spaces) -> Iterator[tuple[str, str]]:
    """Where the items of each lie: the table that serves, or one that was retained."""
    for kind, name in spaces.names.items():
        if kind not in MEMBERS or not NAME.fullmatch(name):
            continue
        table = f"rec.{MEMBERS[kind][0]}"
        # It may have retired since our snapshot, which shows rows as they were and tables under the
        # names that they have now. From here on they keep them.
        inside.execute(text(HOLD.format(table=table)))
        if inside.scalar(text(IS_THERE), {"found": f"{table}_{name}"}):
            yield kind, f"{table}_{name}"
        elif inside.scalar(text(IS_LIVE), {"kind": kind, "name": name}):
            yield kind, table
