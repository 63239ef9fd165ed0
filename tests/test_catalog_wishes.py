"""The merchant's wishes: a scenario's settings and the rules in force, in one statement."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog import changes
from catalog.feed import ItemContent
from catalog.models import Category, Item, Rule, Scenario
from catalog.wishes import ASK, RuleRow, ScenarioSettings, wishes
from recsite.db import cursor

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


def rule(*scenarios: str, **fields: Any) -> int:
    made = Rule(**fields)
    changes.save_rule(made, Scenario.objects.filter(name__in=scenarios))
    return made.pk


def in_force(scenario: str, now: datetime = NOW) -> tuple[RuleRow, ...]:
    asked = wishes(scenario, now)
    assert asked is not None
    return asked[1]


def row(number: int, action: str, **fields: Any) -> RuleRow:
    nothing: dict[str, Any] = dict.fromkeys(f.name for f in dataclasses.fields(RuleRow))
    return RuleRow(**nothing | {"id": number, "title": "", "action": action} | fields)


def test_settings_without_rules() -> None:
    home = Scenario.objects.get(name="home")
    assert wishes("home", NOW) == (
        ScenarioSettings(
            id=home.pk, name="home", recipe="personal", viewed=1.0, bought=0.3, led=0.1,
            content=0.1, popular=0.05, trending=0.05, again=2.0, exclude_seen="none",
            diversity=0.2, count=10, shoppers=0.1, linked=1.0, factors=0.1,
            sequence=0.3,
        ),
        (),
    )  # fmt: skip


def test_a_scenario_that_is_unknown_or_off_is_none() -> None:
    Scenario.objects.filter(name="cart").update(enabled=False)
    assert wishes("cart", NOW) is None
    assert wishes("nowhere", NOW) is None


def test_every_target_in_the_order_of_the_rules() -> None:
    changes.put([ItemContent("mug", category="Home > Mugs")])
    item, mugs = Item.objects.get(), Category.objects.get(name="Mugs")
    pin = rule(action="pin", item_id="mug", slot=2, title="Feature it")
    boost = rule(action="boost", category=mugs)
    bury = rule(action="bury", brand="Ono")
    hide = rule(action="hide", attribute="colour", value="red")
    assert in_force("home") == (
        row(pin, "pin", title="Feature it", slot=2, item=item.pk),
        row(boost, "boost", factor=2.0, category=mugs.pk),
        row(bury, "bury", factor=0.5, brand="Ono"),
        row(hide, "hide", attribute="colour", value="red"),
    )


def test_a_rule_applies_where_it_says_and_else_everywhere() -> None:
    everywhere = rule(action="hide", brand="a")
    home = rule("home", action="hide", brand="b")
    both = rule("home", "cart", action="hide", brand="c")
    rule(action="hide", brand="d", enabled=False)
    assert [r.id for r in in_force("home")] == [everywhere, home, both]
    assert [r.id for r in in_force("cart")] == [everywhere, both]
    assert [r.id for r in in_force("popular")] == [everywhere]


def test_a_rule_begins_at_its_start_and_is_over_at_its_end() -> None:
    hour = timedelta(hours=1)
    number = rule(action="hide", brand="a", starts_at=NOW, ends_at=NOW + hour)
    moments = (
        NOW - timedelta(microseconds=1),
        NOW,
        NOW + hour - timedelta(microseconds=1),
        NOW + hour,
    )
    assert [[r.id for r in in_force("home", now)] for now in moments] == [
        [],
        [number],
        [number],
        [],
    ]


def test_an_item_that_nobody_has_heard_of_is_left_out() -> None:
    rule(action="hide", item_id="never-seen")
    assert in_force("home") == ()


def test_the_plan_looks_items_up_by_their_index() -> None:
    changes.put([ItemContent(f"item-{n}") for n in range(500)])
    rule(action="hide", item_id="item-7")
    with cursor() as hot:
        hot.execute("ANALYZE item_key")
        hot.execute(f"EXPLAIN {ASK}", {"name": "home", "now": NOW})
        plan = "\n".join(line for (line,) in hot.fetchall())
    assert "item_key_key_key" in plan
    assert "Seq Scan on item_key" not in plan
