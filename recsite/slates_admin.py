"""The admin of slates: who was shown what, why, and what each list rests on.

It only shows, in the words of the shop: titles, reasons, and what was asked for. Like the log,
slates are never counted.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any, Final

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from catalog.models import ExcludeSeen, Item, Scenario
from recommend import receipts
from recsite.filters import Period, as_uuid, is_shopper
from recsite.models import SlateRow
from recsite.numbers import many
from recsite.windows import ReadOnly

# The first three, by title where the catalogue has one.
FIRST: Final = """
    SELECT string_agg(coalesce(nullif(title, ''), item_id), '; ' ORDER BY place)
    FROM unnest(slate_log.items[1:3]) WITH ORDINALITY AS shown(item_id, place)
    LEFT JOIN catalog_item USING (item_id)"""


@admin.register(SlateRow)
class SlateRowAdmin(ReadOnly):
    list_display = ("served_at", "where", "who", "top", "length")
    fields = ("served_at", "where", "who", "asked", "length", "shown", "acted", "receipt")
    readonly_fields = ("where", "who", "asked", "length", "shown", "acted", "receipt")
    when_empty = ("No list was served yet", "Ask for one at /v1/recommend/home.")
    list_filter = (Period,)
    search_fields = ("scenario",)
    search_help_text = "Exact: scenario, user:ID, anonymous:ID, list id"
    ordering = ("-id",)
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        title = Scenario.objects.filter(name=OuterRef("scenario")).values("title")
        first = RawSQL(FIRST, (), output_field=TextField())
        rows: QuerySet[Any] = (
            super().get_queryset(request).annotate(title=Subquery(title), first=first)
        )
        return rows

    def exactly(self, term: str) -> Q:
        if found := as_uuid(term):
            return Q(id=found)
        return Q(**{"subject" if is_shopper(term) else "scenario": term})

    @display(description="scenario")
    def where(self, row: Any) -> SafeString:
        """As the team calls it, and by the name that is searched for."""
        named = '<span>{} <span class="rs-quiet">{}</span></span>'
        return format_html(named, row.title or row.scenario, row.scenario if row.title else "")

    @display(description="shopper")
    def who(self, row: SlateRow) -> str:
        return row.subject or "nobody named"

    @display(description="items, best first")
    def top(self, row: Any) -> SafeString | None:
        more = " …" if row.count > 3 else ""
        return format_html('<div class="rs-why">{}{}</div>', row.first, more) if row.first else None

    @display(description="length")
    def length(self, row: SlateRow) -> SafeString:
        short = f", {row.shortfall:,} short" if row.shortfall else ""
        return format_html('<span class="rs-brief">{}{}</span>', many(row.count, "item"), short)

    @display(description="asked for")
    def asked(self, row: SlateRow) -> str:
        said = _kept(row, "asked")
        words = (
            many(said["count"], "item") if said.get("count") else "",
            f"beside {', '.join(said['items'])}" if said.get("items") else "",
            f"in {said['category']}" if said.get("category") else "",
            f"leaving out {ExcludeSeen(left).label}" if (left := said.get("exclude_seen")) else "",
        )
        return ", ".join(filter(None, words)) or "what the scenario says"

    @display(description="items, best first")
    def shown(self, row: SlateRow) -> SafeString:
        titles = dict(Item.objects.filter(item_id__in=row.items).values_list("item_id", "title"))
        detail = row.detail or {}
        why = map(_words, detail.get("reasons", ()), detail.get("scores", ()))
        lines = zip_longest(row.items, why, fillvalue="")
        items = [(titles.get(item) or item, item, words) for item, words in lines]
        line = '<li>{} <span class="rs-quiet">{}</span><div class="rs-note">{}</div></li>'
        return format_html('<ol class="rs-shown">{}</ol>', format_html_join("", line, items))

    @display(description="rules that acted")
    def acted(self, row: SlateRow) -> str:
        said = _kept(row, "rules")
        moved = Counter(rule for rules in (said.get("moved") or {}).values() for rule in rules)
        counted = {
            "hid": Counter((said.get("hidden") or {}).values()),
            "moved": moved,
            "pinned": Counter((said.get("pinned") or {}).values()),
        }
        return "; ".join(
            f"#{rule} {did} {many(count, 'item')}"
            for did, rules in counted.items() for rule, count in sorted(rules.items())
        ) or "none"  # fmt: skip

    @display(description="receipt: what it rests on")
    def receipt(self, row: SlateRow) -> SafeString | None:
        kept = _kept(row, "receipt")
        if not kept:
            return None
        said = receipts.worded(kept, _kept(row, "explored"))
        lines = format_html_join("", "<dt>{}</dt><dd>{}</dd>", said)
        replay = format_html("<dt>again</dt><dd><code>manage.py replay {}</code></dd>", row.pk)
        return format_html('<dl class="rs-receipt">{}{}</dl>', lines, replay)


def _kept(row: SlateRow, part: str) -> Mapping[str, Any]:
    return (row.detail or {}).get(part) or {}


def _words(because: list[dict[str, str]], score: float) -> str:
    """Each sentence once, for two sources may say the same; and what it all came to."""
    return " · ".join([*dict.fromkeys(reason["text"] for reason in because), f"score {score:.3f}"])
