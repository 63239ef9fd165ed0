"""Quarantine: a bot, a crawler or a fraud ring is hidden from all counting, and shown again.

A fact of the log like any other: every projection takes back what the subject did, and counts
it again once the quarantine is undone. It never deletes anything.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from behavior import log, people
from behavior.events import Event, Kind, Line


def hide(names: Sequence[str], *, because: str = "") -> list[str]:
    """Hide these shoppers under all names that were joined to them; returns the names known."""
    return _say(names, {"because": because} if because else {})


def show(names: Sequence[str]) -> list[str]:
    """Undo it."""
    return _say(names, {"undo": True})


def _say(names: Sequence[str], detail: dict[str, Any]) -> list[str]:
    with transaction.atomic():
        known = sorted(people.members(names).values())
        log.append([_fact(name, detail) for name in known])
    return known


def _fact(name: str, detail: dict[str, Any]) -> Event:
    return Event(Kind.SUBJECT_QUARANTINED, datetime.now(UTC), name, (Line(None),),
                 detail=detail or None)  # fmt: skip
