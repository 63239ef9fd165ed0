"""The projections: one file each, with its tables, its fold and its source.

PROJECTIONS is the registry. Every module in it has NAME, VERSION, TABLES, `fold(connection,
since)` (bring the tables up to what this transaction sees) and `fill(connection)` (the same
from nothing, into empty tables); one contract test runs over all of them.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from sqlalchemy import Connection, Table

from behavior import attribution
from recommend.projections import content, covisit, popularity


class Projection(Protocol):
    """A table, or several, derived from the log alone (and the catalogue, itself in the log)."""

    @property
    def NAME(self) -> str: ...
    @property
    def VERSION(self) -> int: ...
    @property
    def TABLES(self) -> Sequence[Table]: ...

    def fold(self, connection: Connection, since: str) -> None: ...
    def fill(self, connection: Connection) -> None: ...


PROJECTIONS: Final[tuple[Projection, ...]] = (popularity, covisit, content, attribution)
