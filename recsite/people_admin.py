"""The admin of people: shoppers and all that is kept of them.

It promises that looking, changing and erasing are three permissions, that whatever acts is a
POST, and that the admin's log keeps who did what to which number, never a name: what is erased
must not live on there.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods, require_POST
from unfold.decorators import action, display

from behavior import dossier, links, quarantine
from recommend.erase import Nobody, OutOfReach, erase
from recommend.fold import FoldedByNewer
from recsite import shopper
from recsite.filters import is_shopper
from recsite.models import ShopperRow
from recsite.numbers import many
from recsite.windows import ReadOnly

CHANGES: Final = "recsite.change_shopperrow"
ERASES: Final = "recsite.delete_shopperrow"
BECAUSE: Final = "hidden in the admin"


class Hidden(admin.SimpleListFilter):
    """Who is hidden from all counting."""

    title = "counting"
    parameter_name = "hidden"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Hidden")]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(is_hidden=True) if self.value() == "yes" else rows


class ActsOnShoppers(ReadOnly):
    """A list of shoppers on which a bulk action may be taken."""

    def has_acts_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(CHANGES))

    @action(description="Quarantine: hide from all counting", permissions=["acts"])
    def hide(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        rows = list(chosen)
        known = quarantine.hide([row.name for row in rows], because=BECAUSE)
        _log(request, rows, CHANGE, "Quarantined.")
        self.message_user(request, _hidden(known), messages.SUCCESS)

    @action(description="Show again", permissions=["acts"])
    def show(self, request: HttpRequest, chosen: Iterable[Any]) -> None:
        rows = list(chosen)
        known = quarantine.show([row.name for row in rows])
        if not known:
            self.message_user(request, "Nobody of these is hidden.", messages.WARNING)
            return
        _log(request, rows, CHANGE, "Shown again.")
        self.message_user(request, f"Counted again: {_few(known)}.", messages.SUCCESS)


@admin.register(ShopperRow)
class ShopperRowAdmin(ActsOnShoppers):
    actions = ("hide", "show")
    list_display = ("name", "joined", "state")
    when_empty = ("No shopper yet", "Whoever a first event names is one.")
    list_filter = (Hidden,)
    search_fields = ("name",)
    search_help_text = "Exact: user:ID, anonymous:ID, or an id"
    ordering = ("-subject",)
    sortable_by = ()

    def get_urls(self) -> list[Any]:
        acts: dict[str, Callable[..., Any]] = {
            "hide": self.hide_one, "show": self.show_one, "unlink": self.unlink,
            "download": self.download,
        }  # fmt: skip
        own = [_address(name, require_POST(view)) for name, view in acts.items()]
        either = _address("erase", require_http_methods(["GET", "POST"])(self.erase))
        return [*own, either, *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, rows: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        return named(rows, term), False

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The person's page; there is nothing to save on it."""
        if request.method == "POST" or not self.has_view_permission(request):
            raise PermissionDenied
        row = get_object_or_404(ShopperRow, pk=object_id if object_id.isdecimal() else None)
        context = shopper.told_of(row.name) | {
            "may_change": request.user.has_perm(CHANGES),
            "may_erase": request.user.has_perm(ERASES),
        }
        return self._page(request, "recsite/shopper.html", row, context)

    def hide_one(self, request: HttpRequest, subject: int) -> HttpResponse:
        row = _asked(request, subject, CHANGES)
        return self._done(request, row, "Quarantined.", _hidden(
            quarantine.hide([row.name], because=BECAUSE)))  # fmt: skip

    def show_one(self, request: HttpRequest, subject: int) -> HttpResponse:
        row = _asked(request, subject, CHANGES)
        self.show(request, [row])
        return redirect("admin:recsite_shopperrow_change", row.pk)

    def unlink(self, request: HttpRequest, subject: int) -> HttpResponse:
        row = _asked(request, subject, CHANGES)
        name, target = request.POST.get("name", ""), request.POST.get("target", "")
        if not shopper.is_linked(row.name, name, target):
            self.message_user(request, "These names are not joined.", messages.ERROR)
            return redirect("admin:recsite_shopperrow_change", row.pk)
        links.part(name, target)
        return self._done(request, row, "Unlinked a name.", f"{name} and {target} are two again.")

    def download(self, request: HttpRequest, subject: int) -> HttpResponseBase:
        row = _asked(request, subject, "recsite.view_shopperrow")
        try:
            told = dossier.told_of(row.name)
        except dossier.OutOfReach as error:
            messages.error(request, str(error))
            return redirect("admin:recsite_shopperrow_change", row.pk)
        _log(request, [row], CHANGE, "Downloaded everything.")
        lines = (dossier.line(each) + b"\n" for each in told)
        return StreamingHttpResponse(lines, content_type="application/x-ndjson", headers={
            "Content-Disposition": f'attachment; filename="shopper-{row.pk}.jsonl"',
        })  # fmt: skip

    def erase(self, request: HttpRequest, subject: int) -> HttpResponse:
        """GET says what will go, POST has it gone."""
        row = _asked(request, subject, ERASES)
        if request.method != "POST":
            stake = shopper.at_stake(row.name)
            return self._page(request, "recsite/shopper_erase.html", row, stake)
        try:
            done = erase(row.name, asked_by="admin")
        except Nobody:  # someone else was faster
            return redirect("admin:recsite_shopperrow_changelist")
        except (OutOfReach, FoldedByNewer) as error:
            messages.error(request, str(error))
            return redirect("admin:recsite_shopperrow_change", row.pk)
        _log(request, [row], DELETION, f"Erased (proof {done.erasure}).")
        said = f"Erased: {many(done.events, 'event')} and {many(done.slates, 'list')}. This is the proof."
        self.message_user(request, said, messages.SUCCESS)
        return redirect("admin:recsite_erasurerow_change", done.erasure)

    def _done(self, request: HttpRequest, row: ShopperRow, logged: str, said: str) -> HttpResponse:
        _log(request, [row], CHANGE, logged)
        self.message_user(request, said, messages.SUCCESS)
        return redirect("admin:recsite_shopperrow_change", row.pk)

    def _page(
        self, request: HttpRequest, template: str, row: ShopperRow, context: dict[str, Any]
    ) -> HttpResponse:
        return TemplateResponse(
            request,
            template,
            self.admin_site.each_context(request)
            | {"title": row.name, "opts": self.opts, "row": row}
            | context,
        )

    @display(description="one person with")
    def joined(self, row: ShopperRow) -> str | None:
        return row.person if row.person != row.name else None

    @display(description="counting", label={"counted": "success", "hidden": "danger"})
    def state(self, row: ShopperRow) -> str:
        return "hidden" if row.is_hidden else "counted"


def _address(name: str, view: Callable[..., Any]) -> URLPattern:
    return path(f"<int:subject>/{name}/", admin.site.admin_view(view),
                name=f"recsite_shopperrow_{name}")  # fmt: skip


def _asked(request: HttpRequest, subject: int, permission: str) -> ShopperRow:
    """The shopper, where whoever asks may do that."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return get_object_or_404(ShopperRow, pk=subject)


def _log(request: HttpRequest, rows: Sequence[Any], flag: int, message: str) -> None:
    LogEntry.objects.log_actions(request.user.pk or 0, rows, flag, message)


def named(rows: QuerySet[Any], term: str) -> QuerySet[Any]:
    """Those who have exactly this name, or this id of either kind."""
    term = term.strip()
    if not term:
        return rows
    names = [term] if is_shopper(term) else [f"user:{term}", f"anonymous:{term}"]
    return rows.filter(name__in=names)


def _hidden(known: Sequence[str]) -> str:
    return f"Hidden from all counting, until shown again: {_few(known)}."


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
