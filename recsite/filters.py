"""How the windows onto the log are narrowed: a period, a kind of event, an exact term.

It promises that a bare look reads the newest month only, and that a period becomes a range
of ids, so that the partitions outside it are never opened.
"""

import uuid
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from behavior.events import Kind

PERIODS = {"day": timedelta(days=1), "week": timedelta(days=7), "": timedelta(days=30)}


class Period(admin.SimpleListFilter):
    """How far back from the newest row. Ids begin with their time, so partitions are pruned."""

    title = "period"
    parameter_name = "period"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("day", "Last day"), ("week", "Last 7 days"), ("all", "Everything")]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield first | {"display": "Last 30 days"}
        yield from others

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        back = PERIODS.get(self.value() or "")
        newest = rows.model.objects.order_by("-id").values_list("id", flat=True).first()
        if back is None or newest is None:
            return rows
        return rows.filter(id__gte=id_before(newest, back))


def id_before(newest: uuid.UUID, back: timedelta) -> uuid.UUID:
    """The lowest UUIDv7 that is at most `back` older than `newest`."""
    milliseconds = (newest.int >> 80) - int(back.total_seconds() * 1000)
    return uuid.UUID(int=max(milliseconds, 0) << 80)


class Happened(admin.SimpleListFilter):
    """One kind of event."""

    title = "event"
    parameter_name = "event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind.label, kind.label.replace("_", " ")) for kind in Kind]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(kind=self.value()) if self.value() else rows


def as_uuid(term: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(term)
    except ValueError:
        return None


def is_shopper(term: str) -> bool:
    return term.startswith(("user:", "anonymous:"))
