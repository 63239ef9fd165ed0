"""The admin of suspects, and of the proofs that somebody was erased.

Whoever may act on shoppers may act on suspects; the proofs are for looking.
"""

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_POST
from unfold.decorators import display

from behavior import suspects
from recsite.models import ErasureRow, SuspectRow
from recsite.numbers import many
from recsite.people_admin import CHANGES, ActsOnShoppers, named
from recsite.windows import ReadOnly


class Why(admin.SimpleListFilter):
    """One reason for suspicion."""

    title = "reason"
    parameter_name = "why"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(reason, reason) for reason in suspects.BOUNDS]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(kinds__contains=[self.value()]) if self.value() else rows


class Strength(admin.SimpleListFilter):
    """How sure it is."""

    title = "score"
    parameter_name = "from"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("80", "80 and more"), ("60", "60 and more")]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        least = self.value()
        return rows.filter(score__gte=int(least)) if least in ("60", "80") else rows


@admin.register(SuspectRow)
class SuspectRowAdmin(ActsOnShoppers):
    """Looked for every ten minutes, and at once where somebody asks."""

    actions = ("hide",)
    list_display = ("score", "shopper", "why", "seen_at")
    list_display_links = None
    when_empty = ("Nobody looks suspect", "Look again whenever you like.")
    list_filter = (Why, Strength)
    search_fields = ("name",)
    search_help_text = "Exact: user:ID, anonymous:ID, or an id"
    ordering = ("-score", "person")
    sortable_by = ()
    list_before_template = "recsite/suspects_before.html"

    def get_urls(self) -> list[Any]:
        look = self.admin_site.admin_view(require_POST(self.look))
        return [path("look/", look, name="recsite_suspectrow_look"), *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, rows: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        return named(rows, term), False

    def look(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm(CHANGES):
            raise PermissionDenied
        count = suspects.look(datetime.now(UTC))
        self.message_user(request, f"Looked again: {many(count, 'suspect')}.", messages.SUCCESS)
        return redirect("admin:recsite_suspectrow_changelist")

    @display(description="shopper")
    def shopper(self, row: SuspectRow) -> str:
        at = reverse("admin:recsite_shopperrow_change", args=[row.person])
        return format_html('<a class="rs-link" href="{}">{}</a>', at, row.name)

    @display(description="why")
    def why(self, row: SuspectRow) -> str:
        said = [(sentence,) for sentence in suspects.sentences(row.reasons)]
        lines = format_html_join("", "<div>{}</div>", said)
        return format_html('<div class="rs-why">{}</div>', lines)


@admin.register(ErasureRow)
class ErasureRowAdmin(ReadOnly):
    """Proofs, without a word of who it was."""

    list_display = ("erasure", "erased_at", "names", "events", "slates", "asked_by")
    when_empty = ("Nobody was erased", "A shopper's page has the button; the proof comes here.")
    ordering = ("-erasure",)
    sortable_by = ()
