"""Windows: pages of the admin that only show. None is ever counted or written."""

from typing import Any

from django.core.paginator import Page
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator


class Walked(InfinitePaginator):
    """Pages that are never counted: a row more is read, to know whether there is a next one."""

    goes_on = False

    def page(self, number: int | str) -> Page[Any]:
        place = self.validate_number(number)
        first = (place - 1) * self.per_page
        rows = list(self.object_list[first : first + self.per_page + 1])
        self.goes_on = len(rows) > self.per_page
        page: Page[Any] = self._get_page(rows[: self.per_page], place, self)
        return page


class ReadOnly(ModelAdmin):
    """A window: no adding, changing or deleting, whoever asks."""

    actions: tuple[str, ...] = ()
    paginator = Walked
    show_full_result_count = False
    list_per_page = 50

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        without = {"show_history": False} | (extra_context or {})
        page: HttpResponse = super().change_view(request, object_id, form_url, without)
        return page

    def get_search_results(
        self, request: HttpRequest, rows: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Exactly what was typed, which an index finds; never a part of it."""
        term = term.strip()
        return (rows.filter(self.exactly(term)) if term else rows), False

    def exactly(self, term: str) -> Q:
        """The rows that this term names; all of them in a window that is not searched."""
        return Q()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
