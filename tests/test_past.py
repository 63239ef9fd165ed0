"""The catalogue from the log: as of now it is the live one, as of then what it was."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.db import transaction

from catalog import changes, past
from catalog.models import Category, Rule, Scenario
from catalog.scenarios import LATER
from recsite.db import cursor
from tests.given import Row, ask, item, rule

pytestmark = pytest.mark.usefixtures("committed", "schema")

# `changed_at` is the fact's time, which is cut to the millisecond.
READ: Final = {
    "catalog_category": "id, path, name, parent_id, lineage",
    "catalog_item": "id, item_id, title, description, category_id, brand, seller, price, currency,"
    " stock, available, image, attributes",
    "catalog_scenario": "*",
    "catalog_rule": "*",
    "catalog_rule_scenarios": "rule_id, scenario_id",
}


@pytest.fixture
def schema(committed: None) -> Iterator[None]:
    with cursor() as hot:
        hot.execute("CREATE SCHEMA of_then")
    yield
    with cursor() as hot:
        hot.execute("DROP SCHEMA of_then CASCADE")


def rows(schema: str) -> dict[str, list[Row]]:
    return {
        table: ask(f"SELECT {columns} FROM {schema}.{table} ORDER BY 1, 2")
        for table, columns in READ.items()
    }


def built(facts: str = "true", *named: str) -> dict[str, list[Row]]:
    """The tables made from the facts that the condition leaves, without touching the live ones."""
    live = rows("public")
    with cursor() as hot:
        hot.execute(
            f"CREATE OR REPLACE VIEW of_then.event AS SELECT * FROM rec.event WHERE {facts}"
        )
        hot.execute("SET search_path = of_then, public, rec")
    try:
        past.build("of_then", named)
    finally:
        with cursor() as hot:
            hot.execute("RESET search_path")
    assert rows("public") == live
    return rows("of_then")


def end() -> str:
    """A condition that holds for the facts there are now."""
    return f"id <= '{ask('SELECT id FROM event ORDER BY id DESC LIMIT 1')[0][0]}'"


def full() -> None:
    """Something of everything."""
    item("mug", title="Mug", description="Tea", category="Home > Kitchen > Mugs", brand="Ono",
         seller="Us", price="12.3456", currency="EUR", stock=3, image="i.png",
         attributes={"sizes": ["S", "L"], "new": True})  # fmt: skip
    item("gone", category="Garden")
    changes.remove(["gone"])
    item("hidden", available=False)
    rule(("home", "cart"), action="pin", item_id="mug", slot=3, title="A pin")
    rule(action="bury", category=Category.objects.get(path="Home"), factor=0.25)
    rule(action="boost", attribute="new", value="true", starts_at="2026-03-02T09:00:00.123456Z",
         ends_at="2027-01-01T00:00:00+02:00", enabled=False)  # fmt: skip


def test_as_of_now_it_is_the_live_catalogue() -> None:
    full()
    assert built() == rows("public")


def test_as_of_then_it_is_what_it_was() -> None:
    full()
    then, facts = rows("public"), end()
    changes.patch("mug", {"price": 1, "category": "Garden > Tea"})
    changes.remove(["hidden"])
    pin, bury, boost = Rule.objects.order_by("id")
    changes.delete_rule(bury)
    changes.save_rule(pin, [])
    boost.enabled = True
    changes.save_rule(boost, Scenario.objects.filter(name="popular"))
    for name in ("home", "home", "cart"):
        one = Scenario.objects.get(name=name)
        one.viewed += 1
        changes.save_scenario(one)
    changes.save_scenario(Scenario(name="corner", title="Corner"))
    assert built(facts) == then
    assert built() == rows("public")


def test_before_the_first_fact_there_are_the_scenarios_that_ship_as_they_shipped() -> None:
    shipped: Any = rows("public")["catalog_scenario"]
    full()
    home = Scenario.objects.get(name="home")
    home.enabled = False
    changes.save_scenario(home)
    assert built("false") == {table: [] for table in READ} | {"catalog_scenario": shipped}


def test_a_fact_from_before_a_setting_means_that_it_was_off() -> None:
    home = Scenario.objects.get(name="home")
    home.viewed, home.shoppers, home.linked = home.viewed + 1, 0.0, 0.0
    home.factors, home.sequence = 0.0, 0.0
    changes.save_scenario(home)
    with transaction.atomic(), cursor() as hot:
        hot.execute("SET LOCAL rec.erasing = 'on'")
        hot.execute("UPDATE event SET detail = jsonb_build_object('before', detail->'before',"
                    " 'scenario', (detail->'scenario') - %s::text[])", [list(LATER)])  # fmt: skip
    then, facts = rows("public"), end()
    home.serendipity, home.most_per_brand, home.explore_slot, home.shoppers = 0.5, 2, 8, 1.0
    changes.save_scenario(home)
    assert built(facts) == then
    assert built() == rows("public")


def test_a_category_is_there_from_the_first_fact_that_names_it() -> None:
    changes.add_category("Home > Empty")
    changes.add_category("Sale")
    rule(action="hide", category=Category.objects.get(path="Sale"))
    paths = [path for _, path, *_ in built()["catalog_category"]]
    assert paths == ["Sale"]
    paths = [path for _, path, *_ in built("true", "Home > Empty")["catalog_category"]]
    assert sorted(paths) == ["Home", "Home > Empty", "Sale"]


def test_a_category_that_is_not_there_any_more_gets_an_id_of_nobody() -> None:
    item("mug", category="Home > Kitchen")
    changes.patch("mug", {"category": ""})
    ((home,),) = ask("SELECT id FROM catalog_category WHERE path = 'Home'")
    with cursor() as hot:
        hot.execute("DELETE FROM catalog_category WHERE path = 'Home > Kitchen'")
    assert built()["catalog_category"] == [
        (-2, "Home > Kitchen", "Kitchen", home, [home, -2]), (home, "Home", "Home", None, [home]),
    ]  # fmt: skip


def test_a_rule_that_no_fact_speaks_of_stands_as_it_is() -> None:
    item("mug")
    made = Rule.objects.create(action="hide", brand="Ono")
    made.scenarios.set(Scenario.objects.filter(name="home"))
    assert built("false")["catalog_rule"] == rows("public")["catalog_rule"]
    assert built() == rows("public")
