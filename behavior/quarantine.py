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
    with transaction.atomic():
        known = sorted(people.members(names).values())
        _say(known, {"because": because} if because else {})
    return known


def show(names: Sequence[str]) -> list[str]:
    """Undo it; returns the names that were hidden."""
    with transaction.atomic():
        hidden = people.hidden(people.members(names))
        _say(hidden, {"undo": True})
    return hidden


def _say(names: Sequence[str], detail: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    kind = Kind.SUBJECT_QUARANTINED
    log.append([Event(kind, now, name, (Line(None),), detail=detail or None) for name in names])
