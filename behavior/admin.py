"""The admin of what was rejected: why, where it came from, the record itself, and another try.

It promises that nothing here changes a record: it is read again as it came, or deleted. The
table is bounded, so unlike the log it is counted, searched and chosen from as a whole.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from behavior import rejected
from behavior.retry import Retried, retry
from recsite.models import RejectedRow

NAMED = 20
LONGEST_START = 60
PERIODS = {"day": timedelta(days=1), "week": timedelta(days=7)}


class Since(admin.SimpleListFilter):
    """How far back from now."""

    title = "period"
    parameter_name = "since"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("day", "Last 24 hours"), ("week", "Last 7 days")]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        back = PERIODS.get(self.value() or "")
        return rows.filter(rejected_at__gte=timezone.now() - back) if back else rows


@admin.register(RejectedRow)
class RejectedRowAdmin(ModelAdmin):
    list_display = ("rejected_at", "reason", "why", "origin", "start")
    when_empty = ("Nothing was rejected", "A refused record is kept here with its reason.")
    list_filter = (Since, "code", "source")
    list_per_page = list_max_show_all = 50
    show_full_result_count = False
    search_fields = ("message",)
    search_help_text = "Words of the record or the message; or exactly user:ID, anonymous:ID"
    ordering = ("-rejected_at", "line", "id")
    sortable_by = ()
    actions = ("read_again",)
    fields = ("reason", "message", "origin", "subject", "rejected_at", "record")
    readonly_fields = fields

    # ── who may ────────────────────────────────────────────────────────────────────────

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(super().has_view_permission(request, obj)) or self.has_retry_permission(request)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("recsite.change_rejectedrow")

    # ── what is found ──────────────────────────────────────────────────────────────────

    def get_search_results(
        self, request: HttpRequest, rows: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = term.strip()
        if term.startswith(("user:", "anonymous:")):
            return rows.filter(subject=term), False
        return rows.filter(Q(payload__icontains=term) | Q(message__icontains=term)), False

    # ── how it looks ───────────────────────────────────────────────────────────────────

    @display(description="reason", label=True)
    def reason(self, row: RejectedRow) -> str:
        return row.code.replace("_", " ")

    @display(description="message")
    def why(self, row: RejectedRow) -> str:
        """Its first sentence: the second tells what is known."""
        return Truncator(f"{row.message.partition('. ')[0].rstrip('.')}.").chars(LONGEST_START)

    @display(description="from")
    def origin(self, row: RejectedRow) -> SafeString:
        source, place = row.origin
        shown = '<span><span class="rs-name" title="{}">{}</span>, {}</span>'
        return format_html(shown, source, source, place)

    @display(description="record")
    def start(self, row: RejectedRow) -> SafeString:
        start = Truncator(row.payload or "–").chars(3 * LONGEST_START)
        return format_html('<code class="rs-start">{}</code>', start)

    @display(description="record")
    def record(self, row: RejectedRow) -> SafeString:
        if row.payload is None:
            return format_html(
                '<p class="rs-quiet">{}</p>', "It could not be read, and is not kept."
            )
        note = "" if row.whole else "It is not kept as it came, so it cannot be read again."
        return format_html(
            '<pre class="rs-record">{}</pre><p class="rs-note">{}</p>', pretty(row.payload), note
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        can_retry = row is not None and row.whole and self.has_retry_permission(request)
        more = {"show_history": False, "can_retry": can_retry} | (extra_context or {})
        page: HttpResponse = super().change_view(request, object_id, form_url, more)
        return page

    # ── another try ────────────────────────────────────────────────────────────────────

    @action(description="Retry: have them read again", permissions=["retry"])
    def read_again(self, request: HttpRequest, chosen: QuerySet[RejectedRow]) -> None:
        ids = list(chosen.order_by("pk").values_list("pk", flat=True))
        self._tell(request, len(ids), retry(ids, timezone.now()))

    def get_urls(self) -> list[Any]:
        again = require_POST(self.admin_site.admin_view(self.retry_one))
        return [
            path("<int:row>/retry/", again, name="recsite_rejectedrow_retry"),
            *super().get_urls(),
        ]

    def retry_one(self, request: HttpRequest, row: int) -> HttpResponse:
        """The button of a record's page."""
        if not self.has_retry_permission(request):
            raise PermissionDenied
        done = retry([row], timezone.now())
        self._tell(request, 1, done)
        stays = RejectedRow.objects.filter(pk=row).exists()
        there = ("change", [row]) if stays else ("changelist", [])
        return HttpResponseRedirect(reverse(f"admin:recsite_rejectedrow_{there[0]}", args=there[1]))

    def _tell(self, request: HttpRequest, asked: int, done: Retried) -> None:
        left = asked - done.accepted - done.refused
        said = [
            f"Accepted now: {done.accepted:,}.",
            f"Still refused: {done.refused:,}." if done.refused else "",
            f"Gone, or not kept whole: {left:,}." if left else "",
        ]
        level = messages.SUCCESS if done.accepted == asked else messages.WARNING
        self.message_user(request, " ".join(filter(None, said)), level)

    # ── letting go ─────────────────────────────────────────────────────────────────────

    def get_deleted_objects(
        self, objs: QuerySet[RejectedRow] | Sequence[RejectedRow], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Nothing hangs on a row, and a hundred thousand are not worth a page of names."""
        count = objs.count() if isinstance(objs, QuerySet) else len(objs)
        named = [str(row) for row in objs[:NAMED]]
        if count > NAMED:
            named.append(f"… and {count - NAMED:,} more")
        return named, {str(self.opts.verbose_name_plural): count}, set(), []

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[RejectedRow]) -> list[Any]:
        """Not one by one: rows leave by themselves, too."""
        return []


def pretty(payload: str) -> str:
    """JSON in lines, half characters as escapes; what was cut, as it is."""
    try:
        said = rejected.from_json(payload)
        lines = json.dumps(said, indent=2, ensure_ascii=False)
        return lines if rejected.is_storable(lines) else json.dumps(said, indent=2)
    except (ValueError, RecursionError):
        return payload
