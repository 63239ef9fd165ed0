"""Changes of the catalogue: each one a row and an event, and only where something changed."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from behavior.events import Kind, Rejection
from behavior.names import intern_items
from catalog import changes, shelf, tree
from catalog.changes import Changed, Removed
from catalog.feed import ItemContent
from catalog.models import Category, Item, Rule, Scenario

MUG = ItemContent(
    item_id="mug",
    title="Mug",
    category="Home > Kitchen",
    price=Decimal("7.5"),
    currency="EUR",
    stock=3,
    attributes={"colour": "blue"},
)
SAID = {
    "title": "Mug",
    "description": "",
    "category": "Home > Kitchen",
    "brand": "",
    "seller": "",
    "price": 7.5,
    "currency": "EUR",
    "stock": 3,
    "available": True,
    "image": "",
    "attributes": {"colour": "blue"},
}

Fact = tuple[str, str | None, dict[str, Any] | None]


def facts(begin: int = 0) -> list[Fact]:
    """(kind, item, detail) of the log's facts from the one numbered `begin` on."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT kind, key, detail::text FROM event LEFT JOIN item_key USING (item)"
            " ORDER BY id, item"
        )
        return [
            (Kind(kind).label, key, detail and orjson.loads(detail))
            for kind, key, detail in cursor.fetchall()
        ][begin:]


@pytest.mark.django_db
def test_a_new_item_is_a_row_and_an_event_of_the_same_moment() -> None:
    assert changes.put([MUG]) == Changed(changed=1, unchanged=0, created=1)
    item = Item.objects.get()
    assert shelf.read(["mug"]) == {"mug": shelf.Shelved(MUG, item.changed_at)}
    assert item.category is not None
    assert item.category.path == "Home > Kitchen"
    assert facts() == [("item_changed", "mug", SAID)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT item = %s, occurred_at = date_trunc('milliseconds', %s) FROM event",
            [item.pk, item.changed_at],
        )
        assert cursor.fetchone() == (True, True)


@pytest.mark.django_db
def test_the_same_content_again_is_no_change() -> None:
    changes.put([MUG])
    before = Item.objects.get().changed_at
    assert changes.put([MUG]) == Changed(changed=0, unchanged=1)
    assert Item.objects.get().changed_at == before
    assert len(facts()) == 1


@pytest.mark.django_db
def test_only_the_items_that_differ_are_events() -> None:
    changes.put([MUG, ItemContent("cup"), ItemContent("jug")])
    done = changes.put([ItemContent("cup", title="Cup"), MUG, ItemContent("new")])
    assert done == Changed(changed=2, unchanged=1, created=1)
    assert sorted(f[1] or "" for f in facts()[3:]) == ["cup", "new"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "other",
    [
        {"title": "mug"}, {"description": "x"}, {"category": ""}, {"brand": "x"}, {"seller": "x"},
        {"price": None}, {"currency": "USD"}, {"stock": None}, {"available": False},
        {"image": "x"}, {"attributes": {}},
    ],
)  # fmt: skip
def test_every_field_counts(other: dict[str, Any]) -> None:
    changes.put([MUG])
    assert isinstance(changes.patch("mug", other | {"attributes": {"colour": None}}
                      if other == {"attributes": {}} else other), ItemContent)  # fmt: skip
    assert facts()[1:] == [("item_changed", "mug", SAID | other)]


@pytest.mark.django_db
def test_of_a_repeated_id_the_last_counts() -> None:
    assert changes.put([MUG, ItemContent("mug", title="Other")]) == Changed(1, 0, 1)
    assert Item.objects.get().title == "Other"


@pytest.mark.django_db
def test_nothing_to_put_is_nothing() -> None:
    assert changes.put([]) == Changed(0, 0)
    assert facts() == []


@pytest.mark.django_db
def test_an_item_known_to_the_log_keeps_its_number() -> None:
    number = intern_items(["mug"])["mug"]
    changes.put([MUG])
    assert Item.objects.get().pk == number


@pytest.mark.django_db
def test_rows_and_events_go_together_or_not_at_all() -> None:
    with transaction.atomic():
        changes.put([MUG])
        transaction.set_rollback(True)
    assert (Item.objects.count(), Category.objects.count(), facts()) == (0, 0, [])


@pytest.mark.django_db
def test_a_patch_merges_and_returns_the_whole_content() -> None:
    changes.put([MUG])
    done = changes.patch("mug", {"stock": 0, "material": "clay"})
    assert isinstance(done, ItemContent)
    said = SAID | {"stock": 0, "attributes": {"colour": "blue", "material": "clay"}}
    assert done.as_json() == said
    assert facts()[1:] == [("item_changed", "mug", said)]


@pytest.mark.django_db
def test_a_patch_that_changes_nothing_is_no_event() -> None:
    changes.put([MUG])
    assert changes.patch("mug", {"stock": "3"}) == changes.patch("mug", {})
    assert len(facts()) == 1


@pytest.mark.django_db
def test_a_patch_of_many_says_what_became_of_each() -> None:
    changes.put([MUG, ItemContent("cup")])
    done = changes.patch_all({"mug": {"stock": 1}, "cup": {"stock": -1}, "none": {}})
    assert [c.stock for c in done.contents.values()] == [1]
    assert done.rejected == {
        "cup": Rejection("bad_stock", "stock -1 is not a whole number from 0 up."),
        "none": Rejection("unknown_item", "The catalogue has no item 'none'."),
    }
    assert [f[1] for f in facts()[2:]] == ["mug"]


@pytest.mark.django_db
def test_removing_deletes_the_row_and_keeps_the_history() -> None:
    changes.put([MUG, ItemContent("cup")])
    assert changes.remove(["mug", "none"]) == Removed(removed=("mug",), unknown=("none",))
    assert [item.item_id for item in Item.objects.all()] == ["cup"]
    assert facts()[2:] == [("item_removed", "mug", None)]


@pytest.mark.django_db
def test_an_item_that_comes_back_is_the_same_item() -> None:
    changes.put([MUG])
    number = Item.objects.get().pk
    changes.remove(["mug"])
    changes.put([MUG])
    assert Item.objects.get().pk == number


# ── the tree ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_a_path_makes_its_ancestors_once() -> None:
    first = tree.grow(["Home > Kitchen > Mugs", "Home > Garden", ""])
    assert set(first) == {"Home > Kitchen > Mugs", "Home > Garden"}
    assert tree.grow(first) == first
    rows = {c.path: c for c in Category.objects.all()}
    assert list(rows) == ["Home", "Home > Garden", "Home > Kitchen", "Home > Kitchen > Mugs"]
    mugs, kitchen, home = (rows[p] for p in ("Home > Kitchen > Mugs", "Home > Kitchen", "Home"))
    assert (mugs.name, mugs.parent_id, mugs.lineage) == (
        "Mugs",
        kitchen.pk,
        [home.pk, kitchen.pk, mugs.pk],
    )
    assert (home.name, home.parent_id, home.lineage) == ("Home", None, [home.pk])


@pytest.mark.django_db
def test_a_deeper_path_hangs_below_what_is_there() -> None:
    home = tree.grow(["Home"])["Home"]
    mugs = Category.objects.get(pk=tree.grow(["Home > Mugs"])["Home > Mugs"])
    assert (mugs.parent_id, mugs.lineage) == (home, [home, mugs.pk])


# ── races ──────────────────────────────────────────────────────────────────────────────────


def elsewhere(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Run on another connection; the results come in the list."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def wait_for_a_lock() -> None:
    """Until the other connection waits for this one."""
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_stat_clear_snapshot(), count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            _, waiting = cursor.fetchone()
        if waiting:
            return
        time.sleep(0.01)
    pytest.fail("nobody waits")


@pytest.mark.usefixtures("committed")
def test_two_writers_that_make_the_same_category_get_the_same_one() -> None:
    with transaction.atomic():
        ours = tree.grow(["Race > Here"])
        thread, theirs = elsewhere(lambda: tree.grow(["Race > Here", "Race > There"]))
        wait_for_a_lock()
    thread.join(10)
    assert theirs[0]["Race > Here"] == ours["Race > Here"]
    assert Category.objects.count() == 3
    race, there = Category.objects.get(path="Race"), Category.objects.get(path="Race > There")
    assert there.lineage == [race.pk, there.pk]


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("known", [False, True])
def test_two_writers_that_put_the_same_new_item_both_succeed(known: bool) -> None:
    item_id = "race"
    if known:
        intern_items([item_id])
    with transaction.atomic():
        assert changes.put([ItemContent(item_id, title="ours")]) == Changed(1, 0, 1)
        thread, theirs = elsewhere(lambda: changes.put([ItemContent(item_id, title="theirs")]))
        wait_for_a_lock()
    thread.join(10)
    assert theirs == [Changed(1, 0, 0)]
    assert Item.objects.get().title == "theirs"


@pytest.mark.usefixtures("committed")
def test_a_patch_keeps_what_another_changed_while_it_waited() -> None:
    item_id = "race"
    changes.put([ItemContent(item_id, stock=5)])
    with transaction.atomic():
        changes.patch(item_id, {"stock": 4, "category": "Moved"})
        thread, theirs = elsewhere(lambda: changes.patch(item_id, {"title": "New"}))
        wait_for_a_lock()
    thread.join(10)
    assert theirs == [ItemContent(item_id, title="New", stock=4, category="Moved")]
    assert shelf.read([item_id])[item_id].content == theirs[0]


# ── what the merchant wants ────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_the_shipped_scenarios_are_there() -> None:
    rows = Scenario.objects.values_list("name", "recipe", "exclude_seen", "diversity", "count")
    assert list(rows) == [
        ("home", "personal", "none", 0.2, 10),
        ("similar", "similar", "none", 0.2, 10),
        ("cart", "basket", "none", 0.2, 10),
        ("popular", "popular", "none", 0.0, 10),
    ]


@pytest.mark.django_db
def test_a_saved_rule_is_an_event_with_the_whole_rule() -> None:
    rule = Rule(action="boost", brand="Ono", starts_at=datetime(2026, 12, 1, tzinfo=UTC))
    changes.save_rule(rule, [Scenario.objects.get(name="home")])
    said = {
        "id": rule.pk,
        "title": "",
        "action": "boost",
        "slot": None,
        "factor": 2.0,
        "item_id": "",
        "brand": "Ono",
        "attribute": "",
        "value": "",
        "enabled": True,
        "category": "",
        "scenarios": ["home"],
        "starts_at": "2026-12-01T00:00:00+00:00",
        "ends_at": None,
    }
    assert facts() == [("rule_changed", None, {"rule": said, "before": None})]
    changes.save_rule(rule, [Scenario.objects.get(name="home")])
    assert len(facts()) == 1
    changes.save_rule(rule, [])
    everywhere = said | {"scenarios": []}
    assert facts()[1:] == [("rule_changed", None, {"rule": everywhere, "before": said})]
    changes.delete_rule(rule)
    assert facts()[2:] == [("rule_changed", None, {"rule": everywhere, "deleted": True})]


@pytest.mark.django_db
def test_a_saved_scenario_is_an_event_only_where_it_changed() -> None:
    home = Scenario.objects.get(name="home")
    changes.save_scenario(home)
    assert facts() == []
    home.diversity = 0.5
    changes.save_scenario(home)
    ((kind, item, detail),) = facts()
    assert (kind, item) == ("rule_changed", None)
    assert detail is not None
    assert (detail["scenario"]["name"], detail["scenario"]["diversity"]) == ("home", 0.5)
    assert detail["before"] == detail["scenario"] | {"diversity": 0.2}
    assert detail["by"] == "merchant"


NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rule", "field", "sentence"),
    [
        ({"action": "hide"}, "item_id",
         "Say what the rule is about: an item, category, brand or attribute."),
        ({"action": "hide", "item_id": "a", "brand": "b"}, "brand",
         "A rule is about one thing: an item, category, brand or attribute."),
        ({"action": "hide", "attribute": "colour"}, "value", "Which value of colour?"),
        ({"action": "hide", "brand": "b", "value": "red"}, "attribute",
         "Which attribute has this value?"),
        ({"action": "pin", "brand": "b", "slot": 1}, "item_id",
         "Only an item can be pinned to a slot."),
        ({"action": "pin", "item_id": "a"}, "slot",
         "A pin needs a slot: 1 is the first place of the list."),
        ({"action": "hide", "item_id": "a", "slot": 1}, "slot", "Only a pin has a slot."),
        ({"action": "boost", "brand": "b", "factor": 1.0}, "factor",
         "A boost multiplies by more than 1."),
        ({"action": "bury", "brand": "b", "factor": 1.0}, "factor",
         "Burying multiplies by less than 1."),
        ({"action": "hide", "brand": "b", "factor": 2.0}, "factor",
         "Only boost and bury have a factor."),
        ({"action": "hide", "brand": "b", "starts_at": NOON, "ends_at": NOON}, "ends_at",
         "The end must be after the start."),
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_gets_a_sentence(
    rule: dict[str, Any], field: str, sentence: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        changes.save_rule(Rule(**rule), [])
    assert refused.value.message_dict[field] == [sentence]
    assert (Rule.objects.count(), facts()) == (0, [])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rule", "constraint"),
    [
        ({"action": "hide"}, "catalog_rule_one_target"),
        ({"action": "hide", "item_id": "a", "brand": "b"}, "catalog_rule_one_target"),
        ({"action": "pin", "item_id": "a"}, "catalog_rule_slot"),
        ({"action": "pin", "brand": "b", "slot": 1}, "catalog_rule_slot"),
        ({"action": "boost", "brand": "b"}, "catalog_rule_factor"),
        ({"action": "bury", "brand": "b", "factor": float("nan")}, "catalog_rule_factor"),
        ({"action": "hide", "brand": "b", "starts_at": NOON, "ends_at": NOON},
         "catalog_rule_period"),
    ],
)  # fmt: skip
def test_the_database_refuses_such_a_rule_too(rule: dict[str, Any], constraint: str) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Rule.objects.create(**rule)


@pytest.mark.django_db
@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_weight_is_a_number_from_zero(weight: float) -> None:
    home = Scenario.objects.get(name="home")
    home.viewed = weight
    with pytest.raises(IntegrityError, match="catalog_scenario_viewed"), transaction.atomic():
        home.save()
