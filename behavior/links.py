"""Links: which names were joined to a person and when, and parting one again by hand.

It never decides who is one person with whom: that follows from the facts (behavior.people).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db import transaction

from behavior import log
from behavior.events import Event, Kind, Line
from recsite.db import cursor


@dataclass(frozen=True, slots=True)
class Link:
    """What was last said of a name and another; `stands` unless that was to undo it."""

    name: str
    target: str
    said_at: datetime
    stands: bool


SAID: Final = f"""
SELECT key, target, occurred_at, stands
FROM (SELECT DISTINCT ON (subject, detail->>'person')
             subject, detail->>'person' AS target, occurred_at, detail->>'undo' IS NULL AS stands, id
      FROM event WHERE kind = {Kind.IDENTIFY.value} AND subject = ANY (%s)
      ORDER BY subject, detail->>'person', id DESC) AS newest
JOIN subject_key USING (subject) ORDER BY id DESC
"""


def of(subjects: Collection[int]) -> list[Link]:
    """What was said of these, the newest first."""
    with cursor() as hot:
        return [Link(*row) for row in hot.execute(SAID, [list(subjects)]).fetchall()]


def part(name: str, target: str) -> None:
    """Undo that `name` was joined to `target`; both have their own history again."""
    said = {"person": target, "undo": True}
    with transaction.atomic():
        log.append([Event(Kind.IDENTIFY, datetime.now(UTC), name, (Line(None),), detail=said)])
