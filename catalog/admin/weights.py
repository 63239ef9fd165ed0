"""The page of what each kind of event weighs in a projection.

It promises that a change is an event of the log, and that it says what follows: the projection
is folded anew beside the live one.
"""

from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from catalog import changes, countings, wording
from catalog.forms import WeightsForm
from catalog.models import SignalWeights

MEANS: Final = {
    "popularity": "How much each event makes an item popular, in its category and the whole shop.",
    "covisit": "How much two items have to do with each other when the same person deals with both: "
               "the weights of the two events are multiplied. What was taken back does not pair.",
}  # fmt: skip
FOLLOWS: Final = (
    "Only the proportions matter; 0 leaves a kind out. Saving folds this projection anew beside the "
    "live one; lists go on meanwhile."
)


@admin.register(SignalWeights)
class SignalWeightsAdmin(ModelAdmin):
    """One row a projection, made by a migration: none is added and none deleted."""

    form = WeightsForm
    list_display = ("projection", "weighs", "repeats", "state")
    sortable_by = ()
    actions = ("ship",)
    actions_submit_line = ("ship_this",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        kinds = [kind.label for kind in countings.SCALES[obj.projection].kinds]
        lines = [tuple(kinds[n : n + 2]) for n in range(0, len(kinds), 2)]
        says = f"{MEANS[obj.projection]} {FOLLOWS}"
        return (
            ("What each kind of event weighs", {"fields": lines, "description": says}),
            ("Double clicks", {"fields": ("double_click",)}),
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: SignalWeights, form: Any, change: bool) -> None:
        if "catalog_signalweights_ship_this" in request.POST:
            self.ship_this(request, obj)
        else:
            changes.save_weights(obj)

    @action(description="Back to what ships", permissions=["change"])
    def ship_this(self, request: HttpRequest, obj: SignalWeights) -> None:
        changes.save_weights(shipped(obj))

    @action(description="Back to what ships", permissions=["change"])
    def ship(self, request: HttpRequest, chosen: QuerySet[SignalWeights]) -> None:
        for weights in chosen:
            changes.save_weights(shipped(weights))
            self.log_change(request, weights, "Back to what ships.")
        self.message_user(request, "They weigh what ships with recsite again.", messages.SUCCESS)

    @display(description="weighs, the heaviest first")
    def weighs(self, weights: SignalWeights) -> str:
        return wording.weighing(weights.weights, 0.0)

    @display(description="double clicks")
    def repeats(self, weights: SignalWeights) -> str:
        within = weights.double_click
        return f"once within {within:g} s" if within else "every click counts"

    @display(description="state", label={"as shipped": "success", "changed": "info"})
    def state(self, weights: SignalWeights) -> str:
        told = countings.of_json({"weights": weights.weights, "double_click": weights.double_click})
        is_shipped = told.as_json() == countings.SHIPPED[weights.projection].as_json()
        return "as shipped" if is_shipped else "changed"


def shipped(weights: SignalWeights) -> SignalWeights:
    """The row as it ships."""
    told = countings.SHIPPED[weights.projection]
    weights.weights, weights.double_click = told.as_json()["weights"], told.double_click
    return weights
