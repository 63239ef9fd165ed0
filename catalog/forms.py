"""The admin's forms: what a merchant types, held to the same bounds as the feed.

It promises that whatever these forms accept the feed would accept too, and that each refusal
stands at the field that it is about. It never saves: catalog.changes does.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from behavior.events import BY_NAME, Kind, Rejection
from catalog import feed, shelf
from catalog.countings import LIGHTEST, MOST, SCALES
from catalog.models import Action, Category, Item, Rule, Scenario, SignalWeights

ONE_LINE: Final[Mapping[Any, Any]] = {models.TextField: {"widget": UnfoldAdminTextInputWidget}}
"""Text in the database, a line on the page."""


class ItemForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """An item; `content` is what the feed makes of it."""

    content: feed.ItemContent

    class Meta:
        model = Item
        exclude = ("changed_at",)
        widgets: ClassVar = {"description": UnfoldAdminTextareaWidget()}

    def clean(self) -> dict[str, Any]:
        given = dict(self.cleaned_data)
        given.setdefault("item_id", self.instance.item_id)
        category: Category | None = given.get("category")
        given["category"] = category.path if category else ""
        match feed.parse(given):
            case Rejection() as why:
                field = why.code.removeprefix("bad_")
                self.add_error(field if field in self.fields else None, why.message)
            case content:
                self.content = content
        return self.cleaned_data

    def changed_fields(self) -> dict[str, Any]:
        """What the merchant changed, and nothing else: the feed may have moved the stock while
        the form was open. An attribute that was taken out is null."""
        said = self.content.as_json()
        changed = {name: said[name] for name in self.changed_data if name in said}
        if "attributes" in changed:
            gone = dict.fromkeys(self.initial.get("attributes") or {})
            changed["attributes"] = gone | changed["attributes"]
        return changed


class CategoryForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A new category by its path."""

    class Meta:
        model = Category
        fields = ("path",)

    def clean_path(self) -> str:
        """The path as the feed writes it."""
        read = feed.parse({"item_id": "any", "category": self.cleaned_data["path"]})
        if isinstance(read, Rejection):
            raise forms.ValidationError(read.message)
        if not read.category:
            raise forms.ValidationError("Name at least one level.")
        return read.category


class ScenarioForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A scenario's settings."""

    class Meta:
        model = Scenario
        fields = "__all__"


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A rule; fields that the chosen action hides are emptied rather than refused unseen."""

    class Meta:
        model = Rule
        fields = "__all__"

    def clean_item_id(self) -> str:
        item_id = str(self.cleaned_data["item_id"]).strip()
        if item_id and item_id not in shelf.read([item_id]):
            # Refused, but given: the rule need not also complain that it has no target.
            self.instance.item_id = item_id
            raise forms.ValidationError("The catalogue has no item with this id.")
        return item_id

    def clean(self) -> dict[str, Any]:
        action = self.cleaned_data.get("action")
        if action != Action.PIN and "slot" in self.cleaned_data:
            self.cleaned_data["slot"] = None
        if action not in (Action.BOOST, Action.BURY) and "factor" in self.cleaned_data:
            self.cleaned_data["factor"] = None
        return self.cleaned_data


class WeightsForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """What each kind weighs: a number a kind, in place of the object that is stored."""

    class Meta:
        model = SignalWeights
        fields = ("double_click",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scale = SCALES[self.instance.projection]
        for kind in BY_NAME.values():
            if kind not in scale.kinds:
                del self.fields[kind.label]
        for kind in scale.kinds:
            self.fields[kind.label].validators.append(MinValueValidator(scale.least, BELOW))
            weight = float(self.instance.weights.get(kind.label, 0.0))
            self.initial[kind.label] = int(weight) if weight.is_integer() else weight

    def clean(self) -> dict[str, Any]:
        given = {k: self.cleaned_data.get(k) for k in self.fields if k in BY_NAME}
        weights = {kind: weight for kind, weight in given.items() if weight}
        if not self.errors and not any(weight > 0 for weight in weights.values()):
            raise forms.ValidationError("At least one kind of event must weigh more than nothing.")
        if not self.errors:
            self.instance.weights = weights
        return self.cleaned_data


BELOW: Final = "Give a number from %(limit_value)g on."
ABOVE: Final = f"Give a number up to {MOST:g}."
HELP: Final[Mapping[Kind, str]] = {
    Kind.VIEW_ITEM: "An item's page is opened.",
    Kind.SELECT_ITEM: "An item of a list is clicked.",
    Kind.VIEW_ITEM_LIST: "A list with the item in it was shown; it says little.",
    Kind.REMOVE_FROM_CART: "Below 0 it takes back what the basket counted.",
    Kind.REFUND: "Below 0 it takes back what the purchase counted.",
    Kind.REMOVE_FROM_WISHLIST: "Below 0 it takes back what the wish list counted.",
    Kind.RATE: "Five stars count this much, no star as much against.",
    Kind.DISMISS: "“Not for me”. Below 0 it counts against the item.",
}


def _is_heavy_enough(weight: float) -> None:
    if 0 < abs(weight) < LIGHTEST:
        raise forms.ValidationError(f"Give 0, or {LIGHTEST:g} at least.")


def _number(kind: Kind) -> forms.FloatField:
    return forms.FloatField(
        label=kind.label.replace("_", " "),
        required=False,
        help_text=HELP.get(kind, ""),
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
        validators=[MaxValueValidator(MOST, ABOVE), _is_heavy_enough],
    )


# The kinds are known only here; the admin's own forms are made from this class.
for _kind in BY_NAME.values():
    WeightsForm.declared_fields[_kind.label] = _number(_kind)
    WeightsForm.base_fields[_kind.label] = WeightsForm.declared_fields[_kind.label]
