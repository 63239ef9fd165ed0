"""The projections: one file each, with its tables, its fold and its source.

PROJECTIONS is the registry. Every module in it has NAME, VERSION, TABLES, `fold(connection,
since, counting)` (bring the tables up to what this transaction sees) and `fill(connection,
counting)` (the same from nothing, into empty tables); `counting` is what the merchant set for
it. One contract test runs over all of them.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from sqlalchemy import Connection, Table

from behavior import attribution
from catalog.countings import Counting
from recommend.projections import content, covisit, popularity


class Projection(Protocol):
    """A table, or several, derived from the log alone (and the catalogue, itself in the log)."""

    @property
    def NAME(self) -> str: ...
    @property
    def VERSION(self) -> int: ...
    @property
    def TABLES(self) -> Sequence[Table]: ...

    def fold(self, connection: Connection, since: str, counting: Counting) -> None: ...
    def fill(self, connection: Connection, counting: Counting) -> None: ...


PROJECTIONS: Final[tuple[Projection, ...]] = (popularity, covisit, content, attribution)
