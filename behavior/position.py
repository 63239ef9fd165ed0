"""Where a reader stands in the log, and what has come since.

A position is a snapshot of transactions, not a number: it promises that a fact which commits
late is neither skipped nor read twice. It never says what a fact means.
"""

from typing import Final

from sqlalchemy import Connection, text

from recsite.db import cursor

NOTHING: Final = "1:1:"
"""The snapshot of a reader that has read nothing: no transaction is visible in it."""

# The snapshot difference: what this transaction sees and the reader's last one did not. It
# cannot skip a fact that committed late, as `id > last` does, and does not wait for an old
# transaction, as a horizon does. The first condition only lets the index find the few rows.
FRESH: Final = """
SELECT id, kind, subject, item, quantity, price, slate, detail
FROM event
WHERE xid >= pg_snapshot_xmin(CAST(:since AS pg_snapshot))
  AND NOT pg_visible_in_snapshot(xid, CAST(:since AS pg_snapshot))
"""

# Transaction ids of another cluster may lie ahead of this one's: such facts would be new for
# ever. 3 is the first id there is, in the past of every snapshot.
ADOPT: Final = """
UPDATE event SET xid = '3' WHERE NOT pg_visible_in_snapshot(xid, pg_current_snapshot())
"""
ADOPT_CHANGES: Final = """
DELETE FROM person_change WHERE NOT pg_visible_in_snapshot(xid, pg_current_snapshot())
"""


def adopt(connection: Connection) -> None:
    """Make the facts of a restored dump this cluster's own; a no-op everywhere else.

    The one UPDATE of the log: it touches when a fact was written here, never what it says.
    """
    connection.execute(text("SET LOCAL rec.erasing = 'on'"))
    connection.execute(text(ADOPT))
    connection.execute(text(ADOPT_CHANGES))
    connection.execute(text("SET LOCAL rec.erasing = 'off'"))


def end() -> str:
    """The log's end as this transaction sees it: nothing at or above it is visible yet."""
    with cursor() as hot:
        hot.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text", prepare=True)
        (xid,) = hot.fetchone() or ("",)
        return str(xid)
