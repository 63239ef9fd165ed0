"""The admin's forms: what a merchant types, held to the same bounds as the feed.

It promises that whatever these forms accept the feed would accept too, and that each refusal
stands at the field that it is about. It never saves: catalog.changes does.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django import forms
from django.db import models
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from behavior.events import Rejection
from catalog import feed, shelf
from catalog.models import Action, Category, Item, Rule, Scenario

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
