"""Retained: past versions of spaces, for lists that are made again.

It promises that what a kept list was made of is there, unless somebody was erased since who had taught
it; then it goes within the hour.
"""

from collections.abc import Sequence
from typing import Final

from django.db import transaction
from sqlalchemy import Connection, text

from recommend.spaces.store import DROP, ITEMS
from recsite.db import connection

OWE: Final = "UPDATE space SET owes = true WHERE is_live OR retired_at IS NOT NULL"
# During a deploy an older release may erase somebody, which does not know of spaces.
OWE_SINCE: Final = """
UPDATE space SET owes = true
WHERE NOT owes AND (is_live OR to_regclass('rec.' || kind || '_item_' || name) IS NOT NULL)
  AND EXISTS (SELECT FROM erasure WHERE erased_at > live_since)
"""
OWING: Final = "SELECT name FROM space WHERE owes AND NOT is_live"
# As store.UNNAMED of rankers.
UNNAMED: Final = """
SELECT name FROM space
WHERE NOT is_live AND retired_at < now() - interval '1 day'
  AND to_regclass('rec.' || kind || '_item_' || name) IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM slate
      WHERE id >= first_id(live_since) AND id < first_id(retired_at + interval '1 hour')
        AND detail->'receipt'->'spaces'->kind->>0 = space.name)
ORDER BY retired_at LIMIT :most
"""
LET_GO: Final = """
UPDATE space SET network = NULL, ridge = NULL, owes = false WHERE name = ANY (:names)
"""
MOST_LET_GO: Final = 10


def owe(inside: Connection) -> None:
    """Somebody was erased: what was learned before is to be learned anew."""
    inside.execute(text(OWE))


def owe_since(inside: Connection) -> None:
    """The same of whoever an older release erased."""
    inside.execute(text(OWE_SINCE))


def forget_owed(inside: Connection) -> None:
    """Drop what past versions had learned from who was erased: they cannot be learned as of then."""
    _drop(inside, list(inside.scalars(text(OWING))))


def let_go() -> int:
    """Drop the past versions that nothing kept was made of; how many."""
    with transaction.atomic(), connection() as inside:
        names = list(inside.scalars(text(UNNAMED), {"most": MOST_LET_GO}))
        _drop(inside, names)
    return len(names)


def _drop(inside: Connection, names: Sequence[str]) -> None:
    for name in names:
        for table in ITEMS:
            inside.execute(text(DROP.format(schema="rec", table=f"{table}_{name}")))
    inside.execute(text(LET_GO), {"names": list(names)})
