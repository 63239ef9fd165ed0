"""The pages of what the shop sells: items and categories.

They promise that everything saved or deleted here goes through catalog.changes, so that it
is an event of the log like any other change. They decide only how things look and what they
are called.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display

from behavior.events import Rejection
from catalog import changes
from catalog.forms import ONE_LINE, CategoryForm, ItemForm
from catalog.models import Category, Item
from recsite.numbers import many

BATCH: Final = 5_000
TAB: Final = ("tab",)


class Subtree(AutocompleteSelectFilter):
    """A category with everything below it."""

    def value(self) -> str | None:
        """The chosen id; whatever else the address holds counts as none."""
        chosen = str(super().value() or "")
        return chosen if chosen.isdecimal() and len(chosen) < 10 else None

    def queryset(self, request: HttpRequest, items: QuerySet[Item]) -> QuerySet[Item]:
        chosen = self.value()
        return items.filter(category__lineage__contains=[int(chosen)]) if chosen else items


class Sellable(admin.SimpleListFilter):
    """Whether lists may show the item."""

    title = "availability"
    parameter_name = "sellable"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Can be shown"), ("sold-out", "Sold out"), ("off", "Switched off")]

    def queryset(self, request: HttpRequest, items: QuerySet[Item]) -> QuerySet[Item]:
        match self.value():
            case "yes":
                return items.filter(available=True).exclude(stock=0)
            case "sold-out":
                return items.filter(stock=0)
            case "off":
                return items.filter(available=False)
        return items


@admin.register(Item)
class ItemAdmin(ModelAdmin):
    form = ItemForm
    formfield_overrides = ONE_LINE
    list_display = ("heading", "category", "brand", "shown_price", "shown_stock", "state",
                    "changed_at")  # fmt: skip
    when_empty = (
        "No item yet",
        "Import a file with manage.py import_catalog FILE, send them to /v1/items, or add one here.",
    )
    list_filter = (Sellable, ("category", Subtree))
    list_filter_submit = True
    list_select_related = ("category",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("item_id", "title", "brand")
    search_help_text = "An item id, or words of the title or brand"
    autocomplete_fields = ("category",)
    readonly_fields = ("picture", "changed_at")
    actions = ("make_available", "make_unavailable")
    fieldsets = (
        ("Texts", {
            "classes": TAB,
            "description": "What shoppers read. New texts are understood within a minute.",
            "fields": ("item_id", "title", "description", "category", ("brand", "seller")),
        }),
        ("Price and stock", {
            "classes": TAB,
            "description": "Lists obey from the next request on.",
            "fields": (("price", "currency"), "stock", "available"),
        }),
        ("Picture and more", {
            "classes": TAB,
            "fields": ("image", "picture", "attributes", "changed_at"),
        }),
    )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is None else ("item_id", *self.readonly_fields)

    def save_model(self, request: HttpRequest, obj: Item, form: Any, change: bool) -> None:
        if change:
            done = changes.patch(obj.item_id, form.changed_fields())
            if isinstance(done, Rejection):
                self.message_user(request, done.message, messages.ERROR)
        else:
            changes.put([form.content])
            obj.pk = Item.objects.only("pk").get(item_id=form.content.item_id).pk

    def delete_model(self, request: HttpRequest, obj: Item) -> None:
        changes.remove([obj.item_id])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Item]) -> None:
        for item_ids in _batches(queryset):
            changes.remove(item_ids)

    @action(description="Make available", permissions=["change"])
    def make_available(self, request: HttpRequest, chosen: QuerySet[Item]) -> None:
        self._patch(request, chosen, {"available": True})

    @action(description="Make unavailable: in no list from now on", permissions=["change"])
    def make_unavailable(self, request: HttpRequest, chosen: QuerySet[Item]) -> None:
        self._patch(request, chosen, {"available": False})

    def _patch(
        self, request: HttpRequest, chosen: QuerySet[Item], fields: Mapping[str, Any]
    ) -> None:
        count = 0
        for item_ids in _batches(chosen):
            count += len(changes.patch_all(dict.fromkeys(item_ids, fields)).contents)
        self.message_user(request, f"Done for {many(count, 'item')}.", messages.SUCCESS)

    @display(description="item", header=True, ordering="title")
    def heading(self, item: Item) -> list[Any]:
        picture = {"path": item.image, "squared": True, "width": 32, "height": 32}
        initials = item.title[:2] or "?"
        return [str(item), item.item_id, initials, picture if _is_web(item.image) else None]

    @display(description="price", ordering="price")
    def shown_price(self, item: Item) -> str:
        return "" if item.price is None else f"{_money(item)} {item.currency}".strip()

    @display(description="stock", ordering="stock")
    def shown_stock(self, item: Item) -> str:
        return "not counted" if item.stock is None else f"{item.stock:,}"

    @display(
        description="state", label={"shown": "success", "sold out": "warning", "off": "danger"}
    )
    def state(self, item: Item) -> str:
        if not item.available:
            return "off"
        return "sold out" if item.stock == 0 else "shown"

    @display(description="picture")
    def picture(self, item: Item) -> str:
        if not _is_web(item.image):
            return "None, or not an http(s) address."
        return format_html(
            '<img src="{}" alt="" loading="lazy" style="max-height:12rem">', item.image
        )


def _batches(chosen: QuerySet[Item]) -> Iterator[list[str]]:
    item_ids = list(chosen.order_by("pk").values_list("item_id", flat=True))
    for start in range(0, len(item_ids), BATCH):
        yield item_ids[start : start + BATCH]


def _is_web(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def _money(item: Item) -> str:
    """Two decimals, more only where they say something."""
    whole, _, places = f"{item.price:,.4f}".partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


@admin.register(Category)
class CategoryAdmin(ModelAdmin):
    """Categories come with the items and stay: nothing to edit, and none is deleted."""

    form = CategoryForm
    formfield_overrides = ONE_LINE
    list_display = ("path", "items_within")
    when_empty = ("No category yet", "Items make their categories when they are imported.")
    list_per_page = 100
    search_fields = ("path",)
    fieldsets = ((None, {
        "fields": ("path",),
        "description": "Items make their categories when they are imported; make one here to "
                       "have it before.",
    }),)  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Category]:
        categories: QuerySet[Category] = super().get_queryset(request)
        return categories.annotate(within=Count("items"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Category, form: Any, change: bool) -> None:
        obj.pk = changes.add_category(form.cleaned_data["path"])

    @display(description="items directly in it", ordering="within")
    def items_within(self, category: Any) -> str:
        return f"{category.within:,}"
