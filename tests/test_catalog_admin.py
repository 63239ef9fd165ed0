"""The pages of items and categories: whatever is saved there is an event of the log."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from behavior.events import Kind
from catalog import changes
from catalog.feed import ItemContent
from catalog.models import Category, Item
from recsite.db import cursor

pytestmark = pytest.mark.django_db

FORM = {
    "title": "Mug",
    "description": "Holds 300 ml.",
    "category": "",
    "brand": "Ono",
    "seller": "",
    "price": "7.50",
    "currency": "EUR",
    "stock": "3",
    "available": "on",
    "image": "",
    "attributes": '{"colour": "blue", "size": "M"}',
}
LIST = reverse("admin:catalog_item_changelist")
ADD = reverse("admin:catalog_item_add")


@pytest.fixture
def merchant() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("merchant"))
    return client


def facts() -> list[tuple[str, str | None, Any]]:
    with cursor() as hot:
        hot.execute(
            "SELECT kind, key, detail::text FROM event LEFT JOIN item_key USING (item)"
            " ORDER BY id, key"
        )
        return [(Kind(k).label, key, d and orjson.loads(d)) for k, key, d in hot.fetchall()]


def page(item: Item) -> str:
    return reverse("admin:catalog_item_change", args=[item.pk])


def test_adding_an_item_is_an_event(merchant: Client) -> None:
    kitchen = Category.objects.get(pk=changes.add_category("Home > Kitchen"))
    answer = merchant.post(ADD, FORM | {"item_id": "mug", "category": kitchen.pk})
    assert (answer.status_code, answer.headers["Location"]) == (302, LIST)
    said = {
        "title": "Mug",
        "description": "Holds 300 ml.",
        "category": "Home > Kitchen",
        "brand": "Ono",
        "seller": "",
        "price": 7.5,
        "currency": "EUR",
        "stock": 3,
        "available": True,
        "image": "",
        "attributes": {"colour": "blue", "size": "M"},
    }
    assert facts() == [("item_changed", "mug", said)]
    item = Item.objects.get()
    assert (item.item_id, item.category) == ("mug", kitchen)
    assert LogEntry.objects.get().object_id == str(item.pk)


def test_saving_changes_only_what_the_merchant_changed(merchant: Client) -> None:
    merchant.post(ADD, FORM | {"item_id": "mug"})
    item = Item.objects.get()
    form = merchant.get(page(item)).context["adminform"].form
    assert form.initial["stock"] == 3
    changes.patch("mug", {"attributes": {"new": 1}})
    answer = merchant.post(page(item), FORM | {"title": "Cup"})
    assert answer.status_code == 302
    item.refresh_from_db()
    assert (item.title, item.stock) == ("Cup", 3)
    assert [(kind, key) for kind, key, _ in facts()] == [("item_changed", "mug")] * 3


def test_an_attribute_that_is_taken_out_is_gone(merchant: Client) -> None:
    merchant.post(ADD, FORM | {"item_id": "mug"})
    merchant.post(page(Item.objects.get()), FORM | {"attributes": '{"size": "L"}'})
    assert Item.objects.get().attributes == {"size": "L"}


def test_saving_without_a_change_is_no_event(merchant: Client) -> None:
    merchant.post(ADD, FORM | {"item_id": "mug"})
    before = Item.objects.values().get()
    assert merchant.post(page(Item.objects.get()), FORM).status_code == 302
    assert Item.objects.values().get() == before
    assert len(facts()) == 1


def test_the_id_cannot_be_edited(merchant: Client) -> None:
    merchant.post(ADD, FORM | {"item_id": "mug"})
    merchant.post(page(Item.objects.get()), FORM | {"item_id": "cup"})
    assert Item.objects.get().item_id == "mug"


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"price": "-1"}, "price", "price Decimal('-1') is not from 0 to below 10^10."),
        ({"stock": "-1"}, "stock", "stock -1 is not a whole number from 0 up."),
        ({"currency": "EURO"}, "currency", "currency 'EURO' is not three letters, as EUR."),
        ({"attributes": "[1]"}, "attributes", "attributes [1] is not an object."),
        ({"attributes": "{"}, "attributes", "Enter a valid JSON."),
        ({"item_id": "old"}, "__all__", "An item with this id is there already."),
        ({"item_id": "x" * 129}, "item_id", "item_id must be text of 1 to 128 characters."),
        ({"item_id": ""}, "item_id", "This field is required."),
    ],
)
def test_a_bad_value_is_told_at_its_field(
    merchant: Client, fields: dict[str, str], field: str, said: str
) -> None:
    changes.put([ItemContent("old")])
    answer = merchant.post(ADD, FORM | {"item_id": "mug"} | fields)
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors[field] == [said]
    assert (Item.objects.count(), len(facts())) == (1, 1)


def test_deleting_is_an_event(merchant: Client) -> None:
    changes.put([ItemContent("mug"), ItemContent("cup")])
    mug = Item.objects.get(item_id="mug")
    merchant.post(reverse("admin:catalog_item_delete", args=[mug.pk]), {"post": "yes"})
    chosen = [Item.objects.get().pk]
    merchant.post(LIST, {"action": "delete_selected", "_selected_action": chosen, "post": "yes"})
    assert Item.objects.count() == 0
    assert facts()[2:] == [("item_removed", "mug", None), ("item_removed", "cup", None)]


@pytest.mark.parametrize(
    ("action", "available"), [("make_unavailable", False), ("make_available", True)]
)
def test_actions_change_availability(merchant: Client, action: str, available: bool) -> None:
    changes.put(
        [ItemContent("mug", available=not available), ItemContent("cup", available=available)]
    )
    chosen = list(Item.objects.values_list("pk", flat=True))
    merchant.post(LIST, {"action": action, "_selected_action": chosen})
    assert set(Item.objects.values_list("available", flat=True)) == {available}
    assert [(kind, key) for kind, key, _ in facts()[2:]] == [("item_changed", "mug")]


def test_the_list_shows_what_matters(merchant: Client) -> None:
    changes.put(
        [
            ItemContent("mug", title="Mug", image="https://shop.example/mug.jpg", stock=0),
            ItemContent(
                "cup",
                title="Cup",
                image="javascript:alert(1)",
                price=Decimal("7.125"),
                currency="EUR",
                category="Home > Cups",
            ),
        ]
    )
    html = merchant.get(LIST).content.decode()
    assert all(page(item) in html for item in Item.objects.all())
    assert "7.125 EUR" in html
    assert "https://shop.example/mug.jpg" in html
    assert "javascript:" not in html
    assert "sold out" in html
    home = Category.objects.get(path="Home")
    found = merchant.get(LIST, {"category__id__exact": home.pk}).context["cl"].result_list
    assert [item.item_id for item in found] == ["cup"]
    found = merchant.get(LIST, {"q": "mug", "sellable": "sold-out"}).context["cl"].result_list
    assert [item.item_id for item in found] == ["mug"]
    for nonsense in ("x", "9" * 20):
        assert merchant.get(LIST, {"category__id__exact": nonsense}).status_code == 200


def test_a_picture_is_shown_only_from_the_web(merchant: Client) -> None:
    changes.put(
        [ItemContent("a", image="https://shop.example/a.jpg"), ItemContent("b", image="data:x")]
    )
    a, b = (merchant.get(page(item)).content.decode() for item in Item.objects.all())
    assert '<img src="https://shop.example/a.jpg"' in a
    assert '<img src="data:x"' not in b


def test_a_category_can_be_made_and_is_then_fixed(merchant: Client) -> None:
    add = reverse("admin:catalog_category_add")
    assert merchant.post(add, {"path": "Home>Garden"}).status_code == 302
    garden = Category.objects.get(name="Garden")
    assert (garden.path, len(garden.lineage)) == ("Home > Garden", 2)
    again = merchant.post(add, {"path": "Home > Garden"})
    assert again.context["adminform"].form.errors["__all__"] == ["This category is there already."]
    nameless = merchant.post(add, {"path": " > "})
    assert nameless.context["adminform"].form.errors["path"] == ["Name at least one level."]
    change = reverse("admin:catalog_category_change", args=[garden.pk])
    assert merchant.get(change).status_code == 200
    assert merchant.post(change, {"path": "Other"}).status_code == 403
    assert merchant.get(reverse("admin:catalog_category_changelist")).status_code == 200
    assert facts() == []
