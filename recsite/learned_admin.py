"""The admin of what is learned: rankers, weights that were tuned, and spaces.

Every attempt is a row, with how good it was and why it serves or does not; nothing is changed here.
"""

from typing import Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from catalog.scenarios import SOURCES
from recommend import tune
from recommend.learn import LEAST
from recommend.ranker.store import LISTS
from recommend.spaces import learning
from recsite.models import RankerRow, SpaceRow, TuningRow
from recsite.numbers import many
from recsite.windows import ReadOnly

ORDERS: Final = {
    (): "no lists", ("any", "new"): "all lists",
    ("any",): "lists that show what the shopper knows, too",
    ("new",): "lists of what is new to the shopper",
}  # fmt: skip
"""What a ranker orders, by store.Judged.serves."""

TAUGHT: Final = {
    "purchase": "purchases", "cart": "purchases, carts and wishlists",
    "event": "whatever shoppers choose to look at",
}  # fmt: skip
"""What it learned, by a goal's name."""


@admin.register(RankerRow)
class RankerRowAdmin(ReadOnly):
    list_display = ("name", "state", "made_at", "quality", "blend", "learned")
    fields = ("name", "state", "quality", "blend", "before", "orders", "goal", "learned", "judged_on",
              "until", "made_at", "live_since")  # fmt: skip
    readonly_fields = ("state", "quality", "blend", "before", "orders", "goal", "learned",
                       "judged_on")  # fmt: skip
    when_empty = (
        "No ranker has been made yet",
        f"The worker teaches one within an hour, once {LEAST} lists of the past had something in them "
        "that was then bought, or, where nothing is, looked at. At once it does so by",
        "manage.py refresh --only ranker",
    )
    ordering = ("-made_at",)
    sortable_by = ()

    @display(
        description="state", label={"live": "success", "not better": "warning", "failed": "danger"}
    )
    def state(self, row: RankerRow) -> str:
        if row.is_live:
            return "live"
        if "why" in row.judged:
            return "failed"
        if "ndcg" not in row.judged:
            return "too few lists"
        return "replaced" if row.live_since else "not better"

    @display(description="NDCG@10")
    def quality(self, row: RankerRow) -> str:
        return _figure(row.judged.get("ndcg"))

    @display(description="of the blend")
    def blend(self, row: RankerRow) -> str:
        return _figure(row.judged.get("blend"))

    @display(description="of the one before")
    def before(self, row: RankerRow) -> str:
        return _figure(row.judged.get("live"))

    @display(description="better than the blend in")
    def orders(self, row: RankerRow) -> str:
        orders = ORDERS[tuple(row.judged.get("serves", LISTS if row.live_since else ()))]
        misled = "what shoppers found new last the blend finds better"
        return f"{orders}; {misled}" if row.judged.get("barred") else orders

    @display(description="learned what leads to")
    def goal(self, row: RankerRow) -> str:
        return TAUGHT[row.judged.get("goal", "purchase")]

    @display(description="learned from")
    def learned(self, row: RankerRow) -> str:
        if "why" in row.judged:
            return f"nothing: {row.judged['why']}"
        if "learned" not in row.judged:
            return f"nothing: {many(row.judged['found'], 'list')}, {LEAST} are needed"
        learned = many(row.judged["learned"], "list")
        slates = row.judged.get("slates")
        return f"{learned}, places unlearned by {many(slates, 'slate')}" if slates else learned

    @display(description="judged on")
    def judged_on(self, row: RankerRow) -> str:
        if "lists" not in row.judged:
            return "nothing"
        judged = f"{many(row.judged['lists'], 'list')} of shoppers it had not learned from"
        return f"{judged}; then it learned from them, too" if row.live_since else judged


@admin.register(TuningRow)
class TuningRowAdmin(ReadOnly):
    """What the log says of a scenario's weights: saved where that was surely better."""

    list_display = ("made_at", "scenario", "state", "quality", "before", "changed")
    fields = ("scenario", "state", "quality", "before", "changed", "goal", "learned", "judged_on",
              "until", "made_at")  # fmt: skip
    readonly_fields = ("state", "quality", "before", "changed", "goal", "learned", "judged_on")
    when_empty = (
        "No weights have been tuned yet",
        f"The worker chooses those of the home page with each ranker, from {tune.LEAST} lists on, as "
        "long as nobody changes them by hand. For any scenario that starts from the shopper's history "
        "they are chosen by",
        "manage.py tune --scenario NAME",
    )
    ordering = ("-id",)
    sortable_by = ()

    @display(description="state", label={"saved": "success", "not better": "warning"})
    def state(self, row: TuningRow) -> str:
        if row.is_saved:
            return "saved"
        if "ndcg" not in row.judged:
            return "too few lists"
        return "changed meanwhile" if row.judged.get("is_better") else "not better"

    @display(description="NDCG@10")
    def quality(self, row: TuningRow) -> str:
        return _figure(row.judged.get("ndcg"))

    @display(description="of those that stood")
    def before(self, row: TuningRow) -> str:
        return _figure(row.judged.get("stood"))

    @display(description="weights")
    def changed(self, row: TuningRow) -> str:
        if "ndcg" not in row.judged:
            return "none were tried"
        moved = [
            f"{name} {row.stood[name]:g} → {row.weights[name]:g}"
            for name in SOURCES if name in row.stood and row.stood[name] != row.weights[name]
        ]  # fmt: skip
        return " · ".join(moved) or "none would be better"

    @display(description="chosen by what leads to")
    def goal(self, row: TuningRow) -> str:
        return TAUGHT[row.judged["goal"]]

    @display(description="chosen by")
    def learned(self, row: TuningRow) -> str:
        if "learned" not in row.judged:
            return f"nothing: {tune.lacking(row.judged['found'], row.judged['held'])}"
        return many(row.judged["learned"], "list")

    @display(description="judged on")
    def judged_on(self, row: TuningRow) -> str:
        if "lists" not in row.judged:
            return "nothing"
        return f"{many(row.judged['lists'], 'list')} of shoppers they were not chosen by"


MODELS: Final = {"factors": "factors (ALS)", "sequence": "sequence (transformer)"}
"""By store.KINDS."""


@admin.register(SpaceRow)
class SpaceRowAdmin(ReadOnly):
    """Spaces in which items and shoppers lie."""

    list_display = ("kind_of", "state", "made_at", "quality", "popular", "why")
    fields = ("kind_of", "name", "state", "quality", "popular", "why", "judged_on", "placing", "until",
              "made_at", "live_since")  # fmt: skip
    readonly_fields = ("kind_of", "state", "quality", "popular", "why", "judged_on", "placing")
    when_empty = (
        "No space has been learned yet",
        f"The worker learns them with each ranker, from {learning.LEAST} deeds and "
        f"{learning.LEAST_LISTS} lists to judge them by. At once they are learned by",
        "manage.py refresh --only ranker",
    )
    ordering = ("-made_at", "kind")
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[SpaceRow]:
        # A hundred kilobytes each, of which only a page of one asks whether they are there.
        found: QuerySet[SpaceRow] = super().get_queryset(request).defer("ridge")
        return found

    @display(description="model")
    def kind_of(self, row: SpaceRow) -> str:
        return MODELS[row.kind]

    @display(description="state", label={"live": "success", "left": "warning"})
    def state(self, row: SpaceRow) -> str:
        return "live" if row.is_live else "replaced" if row.live_since else "left"

    @display(description="NDCG@10 alone")
    def quality(self, row: SpaceRow) -> str:
        return _figure(row.judged.get("ndcg"))

    @display(description="of what is popular")
    def popular(self, row: SpaceRow) -> str:
        return _figure(row.judged.get("popular"))

    @display(description="why it does not serve")
    def why(self, row: SpaceRow) -> str:
        return str(row.judged.get("why", "–"))

    @display(description="judged on")
    def judged_on(self, row: SpaceRow) -> str:
        return many(row.judged["lists"], "list") if "lists" in row.judged else "nothing"

    @display(description="places new items")
    def placing(self, row: SpaceRow) -> str:
        return "by their texts" if row.places else "no"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
