"""The pages of rules and scenarios: sentences to read, and an event for every change."""

from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from behavior.events import Kind
from catalog import changes
from catalog.feed import ItemContent
from catalog.models import Rule, Scenario
from catalog.scenarios import LATER
from recsite.db import cursor

pytestmark = pytest.mark.django_db

PIN = {
    "title": "Christmas",
    "action": "pin",
    "slot": "1",
    "factor": "",
    "enabled": "on",
    "item_id": "milk",
    "category": "",
    "brand": "",
    "attribute": "",
    "value": "",
    "starts_at_0": "2031-12-01",
    "starts_at_1": "00:00:00",
    "ends_at_0": "2031-12-15",
    "ends_at_1": "00:00:00",
}
LIST = reverse("admin:catalog_rule_changelist")
ADD = reverse("admin:catalog_rule_add")


@pytest.fixture
def merchant() -> Client:
    changes.put([ItemContent("milk", title="Oat milk", category="Food > Drinks")])
    client = Client()
    client.force_login(User.objects.create_superuser("merchant"))
    return client


def wishes_told() -> list[dict[str, Any]]:
    with cursor() as hot:
        hot.execute(
            "SELECT detail::text FROM event WHERE kind = %s ORDER BY id", [Kind.RULE_CHANGED.value]
        )
        return [orjson.loads(detail) for (detail,) in hot.fetchall()]


def home() -> Scenario:
    return Scenario.objects.get(name="home")


def test_a_rule_is_an_event_and_a_sentence(merchant: Client) -> None:
    assert merchant.post(ADD, PIN | {"scenarios": [home().pk]}).status_code == 302
    rule = Rule.objects.get()
    assert [s.name for s in rule.scenarios.all()] == ["home"]
    (told,) = wishes_told()
    assert told == {
        "rule": {
            "id": rule.pk,
            "title": "Christmas",
            "action": "pin",
            "slot": 1,
            "factor": None,
            "item_id": "milk",
            "brand": "",
            "attribute": "",
            "value": "",
            "enabled": True,
            "category": "",
            "scenarios": ["home"],
            "starts_at": "2031-12-01T00:00:00+00:00",
            "ends_at": "2031-12-15T00:00:00+00:00",
        },
        "before": None,
    }
    html = merchant.get(LIST).content.decode()
    assert "Pin “Oat milk” to slot 1 in home, 1–14 Dec 2031" in html
    assert "scheduled" in html


def test_saving_a_rule_again_is_an_event_only_where_it_changed(merchant: Client) -> None:
    merchant.post(ADD, PIN | {"scenarios": [home().pk]})
    page = reverse("admin:catalog_rule_change", args=[Rule.objects.get().pk])
    assert merchant.get(page).status_code == 200
    merchant.post(page, PIN | {"scenarios": [home().pk]})
    assert len(wishes_told()) == 1
    merchant.post(page, PIN)
    assert [told["rule"]["scenarios"] for told in wishes_told()] == [["home"], []]


def test_fields_that_the_action_hides_are_emptied(merchant: Client) -> None:
    assert merchant.post(ADD, PIN | {"action": "boost", "factor": "3"}).status_code == 302
    assert merchant.post(ADD, PIN | {"action": "hide", "factor": "3"}).status_code == 302
    assert merchant.post(ADD, PIN | {"action": "bury"}).status_code == 302
    assert list(Rule.objects.values_list("action", "slot", "factor")) == [
        ("boost", None, 3.0),
        ("hide", None, None),
        ("bury", None, 0.5),
    ]


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"item_id": "none"}, "item_id", "The catalogue has no item with this id."),
        ({"item_id": ""}, "item_id",
         "Say what the rule is about: an item, category, brand or attribute."),
        ({"brand": "Oatly"}, "brand",
         "A rule is about one thing: an item, category, brand or attribute."),
        ({"slot": ""}, "slot", "A pin needs a slot: 1 is the first place of the list."),
        ({"slot": "0"}, "slot", "Ensure this value is greater than or equal to 1."),
        ({"action": "boost", "factor": "0.5"}, "factor", "A boost multiplies by more than 1."),
        ({"action": "bury", "factor": "2"}, "factor", "Burying multiplies by less than 1."),
        ({"ends_at_0": "2031-12-01"}, "ends_at", "The end must be after the start."),
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_told_at_its_field(
    merchant: Client, fields: dict[str, str], field: str, said: str
) -> None:
    answer = merchant.post(ADD, PIN | fields)
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors[field] == [said]
    assert (Rule.objects.count(), wishes_told()) == (0, [])


def test_deleting_a_rule_is_an_event(merchant: Client) -> None:
    merchant.post(ADD, PIN)
    merchant.post(ADD, PIN | {"slot": "2"})
    first, second = Rule.objects.all()
    merchant.post(reverse("admin:catalog_rule_delete", args=[first.pk]), {"post": "yes"})
    merchant.post(
        LIST, {"action": "delete_selected", "_selected_action": [second.pk], "post": "yes"}
    )
    assert Rule.objects.count() == 0
    assert [(t["rule"]["slot"], t.get("deleted")) for t in wishes_told()] == [
        (1, None),
        (2, None),
        (1, True),
        (2, True),
    ]


def settings_of(scenario: Scenario) -> dict[str, Any]:
    names = ("name", "title", "recipe", "viewed", "bought", "led", "content", "popular",
             "trending", "again", "exclude_seen", "diversity", "count", *LATER)  # fmt: skip
    given = {name: getattr(scenario, name) for name in names} | {"enabled": "on"}
    return {name: "" if value is None else value for name, value in given.items()}


def test_saving_a_scenario_is_an_event(merchant: Client) -> None:
    page = reverse("admin:catalog_scenario_change", args=[home().pk])
    assert merchant.get(page).status_code == 200
    merchant.post(page, settings_of(home()))
    assert wishes_told() == []
    merchant.post(page, settings_of(home()) | {"viewed": "0.5", "name": "renamed"})
    assert (home().viewed, home().name) == (0.5, "home")
    assert [told["scenario"]["viewed"] for told in wishes_told()] == [0.5]
    assert (
        "again 2 · linked 1 · viewed 0.5"
        in merchant.get(reverse("admin:catalog_scenario_changelist")).content.decode()
    )


def test_what_makes_a_list_various_is_set_and_emptied_again(merchant: Client) -> None:
    page = reverse("admin:catalog_scenario_change", args=[home().pk])
    various = {"serendipity": 0.3, "most_per_category": 4, "most_per_brand": 3, "most_per_seller": 2,
               "explore_slot": 8}  # fmt: skip
    merchant.post(page, settings_of(home()) | various)
    merchant.post(page, settings_of(home()) | dict.fromkeys(various, "") | {"serendipity": "0"})
    told = [{name: told["scenario"][name] for name in various} for told in wishes_told()]
    assert told == [various, {name: LATER[name] for name in various}]
    assert wishes_told()[0]["before"]["explore_slot"] is None


def test_a_new_scenario(merchant: Client) -> None:
    add = reverse("admin:catalog_scenario_add")
    new = settings_of(home()) | {"name": "category-page", "title": "Category page"}
    assert merchant.post(add, new).status_code == 302
    assert [told["scenario"]["name"] for told in wishes_told()] == ["category-page"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"viewed": "-1"}, "viewed"), ({"viewed": "nan"}, "viewed"), ({"recipe": "magic"}, "recipe"),
     ({"count": "101"}, "count"), ({"diversity": "1.1"}, "diversity"),
     ({"serendipity": "1.1"}, "serendipity"), ({"serendipity": "nan"}, "serendipity"),
     ({"most_per_category": "0"}, "most_per_category"), ({"most_per_brand": "-1"}, "most_per_brand"),
     ({"most_per_seller": "2.5"}, "most_per_seller"), ({"explore_slot": "101"}, "explore_slot")],
)  # fmt: skip
def test_settings_out_of_bounds_are_told(
    merchant: Client, fields: dict[str, str], field: str
) -> None:
    page = reverse("admin:catalog_scenario_change", args=[home().pk])
    answer = merchant.post(page, settings_of(home()) | fields)
    assert list(answer.context["adminform"].form.errors) == [field]
    assert wishes_told() == []


def test_a_scenario_is_switched_off_not_deleted(merchant: Client) -> None:
    page = reverse("admin:catalog_scenario_delete", args=[home().pk])
    assert merchant.post(page, {"post": "yes"}).status_code == 403
    assert Scenario.objects.count() == 4
