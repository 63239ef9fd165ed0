"""The admin of what belongs to the whole site: keys, people, and windows onto the log.

Keys are made here and shown once. The log, the slates and the projections are read-only and
never counted: pages are walked, searches are exact, and time is bounded unless asked otherwise.
"""

import json
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from behavior.events import Kind
from catalog import countings, wording
from recsite import dashboard, keys
from recsite import encoders_admin as encoders_admin
from recsite import learned_admin as learned_admin
from recsite import people_admin as people_admin
from recsite import slates_admin as slates_admin
from recsite import suspects_admin as suspects_admin
from recsite.filters import Happened, Period, as_uuid, is_shopper
from recsite.models import ApiKey, EventRow, ProjectionRow
from recsite.windows import ReadOnly

admin.site.index_title = "Overview"
admin.site.index_template = "recsite/dashboard.html"
admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class PersonAdmin(UserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """Who may sign in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class TeamAdmin(GroupAdmin, ModelAdmin):
    """Who may do what, by team."""


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    list_display = ("label", "shown_scope", "begins", "created_at", "last_used_on", "state")
    when_empty = ("No key yet", "Whoever posts events or asks for lists needs one.")
    list_filter = ("scope",)
    search_fields = ("label", "prefix")
    ordering = ("-created_at",)
    fields = ("label", "scope")
    readonly_fields = ("prefix", "created_at", "last_used_on", "revoked_at")
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return self.fields if obj is None else self.fields + self.readonly_fields

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("recsite.change_apikey")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        one_button = {"show_save_and_add_another": False, "show_save_and_continue": False}
        page: HttpResponse = super().add_view(request, form_url, one_button | (extra_context or {}))
        return page

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        request.new_key = keys.issue(obj)  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The one page that shows the key. A redirect would have to keep it somewhere."""
        context = self.admin_site.each_context(request) | {
            "title": "Copy the new key now",
            "opts": self.opts,
            "row": obj,
            "key": request.new_key,  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "recsite/new_key.html", context)

    @action(description="Revoke: refuse from the next request on", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        for key in chosen:
            key.revoke()
        self.message_user(request, f"Revoked: {len(chosen)}.", messages.SUCCESS)

    @display(description="scope", ordering="scope", label={"secret": "warning"})
    def shown_scope(self, key: ApiKey) -> str:
        return key.scope

    @display(description="begins with")
    def begins(self, key: ApiKey) -> str:
        return f"{key.prefix}…"

    @display(description="state", label={"active": "success", "revoked": "danger"})
    def state(self, key: ApiKey) -> str:
        return "revoked" if key.revoked_at else "active"


COLOURS = dict.fromkeys((kind.label for kind in Kind), "") | {
    "purchase": "success", "add_to_cart": "info", "refund": "danger", "dismiss": "danger",
    "item_changed": "warning", "item_removed": "warning", "rule_changed": "warning",
}  # fmt: skip


@admin.register(EventRow)
class EventRowAdmin(ReadOnly):
    list_display = (
        "occurred_at",
        "what",
        "subject",
        "item_id",
        "quantity",
        "unit_price",
        "after_list",
    )
    when_empty = (
        "No event yet",
        "Post one to /v1/events, or import a file with manage.py import_events FILE.",
    )
    fields = ("occurred_at", "happened", "subject", "item_id", "quantity", "unit_price",
              "recommendation_id", "id", "more")  # fmt: skip
    readonly_fields = ("happened", "unit_price", "more")
    list_filter = (Period, Happened)
    search_fields = ("item_id",)
    search_help_text = "Exact: item id, user:ID, anonymous:ID, list id"
    ordering = ("-id",)
    sortable_by = ()

    def exactly(self, term: str) -> Q:
        if found := as_uuid(term):
            return Q(id=found) | Q(recommendation_id=found)
        return Q(**{"subject" if is_shopper(term) else "item_id": term})

    @display(description="event", label=COLOURS)
    def what(self, row: EventRow) -> tuple[str, str]:
        return row.kind, row.kind.replace("_", " ")

    @display(description="event")
    def happened(self, row: EventRow) -> str:
        return row.kind.replace("_", " ")

    @display(description="price")
    def unit_price(self, row: EventRow) -> str | None:
        return None if row.price is None else f"{row.price:.2f}"

    @display(description="detail")
    def more(self, row: EventRow) -> SafeString | None:
        if row.detail is None:
            return None
        said = json.dumps(row.detail, indent=2, ensure_ascii=False)
        return format_html('<pre class="rs-record">{}</pre>', said)

    @display(description="after a list", label=True)
    def after_list(self, row: EventRow) -> str | None:
        return "yes" if row.recommendation_id else None


@admin.register(ProjectionRow)
class ProjectionRowAdmin(ReadOnly):
    list_display = ("name", "state", "folded_at", "waits", "events", "weighs")
    fields = ("name", "state", "folded_at", "took", "events", "waits", "weighs", "version",
              "snapshot", "epoch")  # fmt: skip
    readonly_fields = ("state", "took", "waits", "weighs")
    when_empty = ("Nothing has been folded yet", "Start a worker, or run", "manage.py refresh")
    ordering = ("name",)
    sortable_by = ()

    @display(description="state", label={"as told": "success", "a rebuild is due": "warning"})
    def state(self, row: ProjectionRow) -> str:
        told = countings.wanted(row.name).as_json()
        return "as told" if row.settings == told else "a rebuild is due"

    @display(description="folded with")
    def weighs(self, row: ProjectionRow) -> str | None:
        said = countings.of_json(row.settings).as_json()
        words = wording.weighing(said["weights"], said["double_click"])
        return format_html('<div class="rs-why">{}</div>', words) if words else None

    @display(description="last run took")
    def took(self, row: ProjectionRow) -> str:
        return f"{row.seconds:,.2f} s"

    @display(description="events waiting")
    def waits(self, row: ProjectionRow) -> str:
        return dashboard.waiting(row.snapshot)
