"""The admin's window onto what became of the text encoder: every attempt to teach it by the log."""

from typing import Final

from django.contrib import admin
from unfold.decorators import display

from recommend.finetuning import attempt
from recsite.models import FinetuningRow
from recsite.numbers import many
from recsite.windows import ReadOnly

TAUGHT: Final = {
    attempt.ADAPTER: "a map behind it", attempt.LAST: "its last layers", attempt.ALL: "all its layers",
}  # fmt: skip


@admin.register(FinetuningRow)
class FinetuningRowAdmin(ReadOnly):
    """Live where it finds what shoppers chose next surely better than the encoder as it came."""

    list_display = ("made_at", "base", "taught", "state", "quality", "untaught", "learned")
    fields = ("name", "state", "base", "taught", "quality", "untaught", "before", "new", "learned",
              "judged_on", "took", "until", "made_at", "live_since", "retired_at")  # fmt: skip
    readonly_fields = ("taught", "state", "quality", "untaught", "before", "new", "learned",
                       "judged_on", "took")  # fmt: skip
    when_empty = (
        "The text encoder has not been taught yet",
        "A worker tries it once a week, by what shoppers chose together. At once it is taught by",
        "manage.py finetune",
    )
    ordering = ("-id",)
    sortable_by = ()

    @display(
        description="state",
        label={"live": "success", "not better": "warning", "failed": "danger"},
    )
    def state(self, row: FinetuningRow) -> str:
        if row.is_live:
            return "live"
        if "ndcg" not in row.judged:
            return "failed" if "failed" in row.judged else "too few pairs"
        if row.live_since is None:
            return "not better"
        return "retired"

    @display(description="what was taught")
    def taught(self, row: FinetuningRow) -> str:
        return TAUGHT.get(row.mode, row.mode)

    @display(description="NDCG@10")
    def quality(self, row: FinetuningRow) -> str:
        return _figure(row.judged.get("ndcg"))

    @display(description="untaught")
    def untaught(self, row: FinetuningRow) -> str:
        return _figure(row.judged.get("base"))

    @display(description="of the one before")
    def before(self, row: FinetuningRow) -> str:
        return _figure(row.judged.get("live"))

    @display(description="of texts that nobody had chosen before")
    def new(self, row: FinetuningRow) -> str:
        ours, theirs = row.judged.get("new_ndcg"), row.judged.get("new_base")
        if ours is None:
            return "nobody chose one"
        shoppers = many(row.judged["new"], "shopper")
        return f"{_figure(ours)}, untaught {_figure(theirs)} ({shoppers})"

    @display(description="learned from")
    def learned(self, row: FinetuningRow) -> str:
        if "failed" in row.judged:
            return str(row.judged["failed"])
        if "found" in row.judged:
            return f"nothing: {attempt.lacking(row.judged['found'], row.judged['shoppers'])}"
        return f"{many(row.judged['pairs'], 'pair')} of texts"

    @display(description="judged on")
    def judged_on(self, row: FinetuningRow) -> str:
        if "queries" not in row.judged:
            return "nothing"
        shoppers = many(row.judged["shoppers"], "shopper")
        return f"{many(row.judged['queries'], 'choice')} of {shoppers} in weeks it had not learned from"

    @display(description="took")
    def took(self, row: FinetuningRow) -> str:
        return f"{row.judged['seconds']:,} s" if "seconds" in row.judged else "–"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
