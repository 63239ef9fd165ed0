"""Arrival: whether a place in the log has reached the projections, and waiting until it has.

It never waits longer than it says, and holds no transaction while it waits.
"""

import time
from typing import Final

from behavior.position import NOTHING
from recommend.pipeline import Refused
from recommend.projections import PROJECTIONS
from recsite.db import cursor

LONGEST: Final = 1.0
"""Seconds. A worker that runs is there in a tenth of it."""

LOOK_EVERY: Final = 0.02

MOST: Final = 10_000
"""Events counted of those that a projection has yet to read; more are as many."""

# Positions are transactions; one that is not over yet is nobody's to wait for.
KNOWN: Final = "SELECT %s::text::xid8 < pg_snapshot_xmax(pg_current_snapshot())"

# One that was never folded holds nothing.
BEHIND: Final = f"""
SELECT name, (SELECT count(*) FROM (
    SELECT FROM event WHERE xid >= pg_snapshot_xmin(snapshot)
      AND NOT pg_visible_in_snapshot(xid, snapshot) LIMIT {MOST}) AS waiting)
FROM (SELECT name, coalesce(projection.snapshot, '{NOTHING}')::pg_snapshot AS snapshot
      FROM unnest(%s::text[]) AS one(name) LEFT JOIN projection USING (name)) AS standing
WHERE NOT pg_visible_in_snapshot(%s::text::xid8, snapshot)
"""


def wait_for(position: int) -> dict[str, int]:
    """Wait until every projection holds `position`; {} once it does, else projection → events
    that it has yet to read. Raises Refused for a position that this log never had."""
    with cursor() as hot:
        if hot.execute(KNOWN, [str(position)]).fetchone() != (True,):
            raise Refused(400, "unknown_position", "This log has no such position.")
    end = time.monotonic() + LONGEST
    while (behind := _behind(position)) and time.monotonic() < end:
        time.sleep(LOOK_EVERY)
    return behind


def _behind(position: int) -> dict[str, int]:
    with cursor() as hot:
        hot.execute(BEHIND, [[one.NAME for one in PROJECTIONS], str(position)], prepare=True)
        return dict(hot.fetchall())
