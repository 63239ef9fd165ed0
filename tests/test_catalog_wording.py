"""Rules in words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from catalog import wording
from catalog.models import Category, Rule

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def at(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None


@pytest.mark.parametrize(
    ("rule", "scenarios", "said"),
    [
        ({"action": "pin", "item_id": "42", "slot": 1, "starts_at": at("2026-12-01"),
          "ends_at": at("2026-12-15")}, ["home"],
         "Pin “Oat milk” to slot 1 in home, 1–14 Dec"),
        ({"action": "boost", "brand": "Acme", "factor": 2.0}, [],
         "Boost brand “Acme” ×2 everywhere"),
        ({"action": "bury", "category": Category(path="Home > Toys"), "factor": 0.25},
         ["cart", "home"], "Bury category “Home > Toys” ×0.25 in cart and home"),
        ({"action": "hide", "attribute": "colour", "value": "red"}, ["a", "b", "c"],
         "Hide colour “red” in a, b and c"),
    ],
)  # fmt: skip
def test_a_rule_is_a_sentence(rule: dict[str, Any], scenarios: list[str], said: str) -> None:
    assert wording.sentence(Rule(**rule), "Oat milk", scenarios, NOW) == said


def test_an_item_without_a_title_is_its_id() -> None:
    assert (
        wording.sentence(Rule(action="hide", item_id="42"), "", [], NOW) == "Hide “42” everywhere"
    )


@pytest.mark.parametrize(
    ("starts", "ends", "said"),
    [
        (None, None, ""),
        ("2026-12-01", None, "from 1 Dec"),
        (None, "2026-12-15", "until 14 Dec"),
        (None, "2026-12-15T09:30", "until 15 Dec 09:30"),
        ("2026-12-01", "2026-12-02", "1 Dec"),
        ("2026-11-28", "2026-12-04", "28 Nov – 3 Dec"),
        ("2026-12-24", "2027-01-01", "24–31 Dec"),
        ("2026-12-24", "2027-01-02", "24 Dec – 1 Jan 2027"),
        ("2027-01-01", "2027-02-01", "1–31 Jan 2027"),
        ("2026-12-01T09:00", "2026-12-01T17:00", "1 Dec 09:00 – 1 Dec 17:00"),
        ("2026-12-01T09:00", "2026-12-15", "1 Dec 09:00 – 14 Dec"),
        ("2026-12-01", "2026-12-15T09:00", "1 Dec – 15 Dec 09:00"),
        ("2026-12-01T09:00", None, "from 1 Dec 09:00"),
    ],
)  # fmt: skip
def test_a_period_in_words(starts: str | None, ends: str | None, said: str) -> None:
    assert wording.period(at(starts), at(ends), NOW) == said


@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ({}, "active"),
        ({"enabled": False, "ends_at": NOW}, "off"),
        ({"ends_at": NOW}, "over"),
        ({"starts_at": NOW}, "active"),
        ({"starts_at": at("2026-12-01")}, "scheduled"),
    ],
)
def test_a_rule_is_active_scheduled_over_or_off(rule: dict[str, Any], state: str) -> None:
    assert wording.state(Rule(**rule), NOW) == state
