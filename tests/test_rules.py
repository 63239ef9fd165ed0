"""Rules: what is hidden, boosted, buried and pinned, and which rule is named for it."""

from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from catalog.wishes import RuleRow
from recommend.candidates import Candidate
from recommend.rules import is_about, pin, weigh


def candidate(item: int, score: float = 1.0, **about: Any) -> Candidate:
    plain: dict[str, Any] = {"parts": (), "lineage": (), "brand": "", "said": None}
    known = plain | {"attributes": {}} | about
    return Candidate(item=item, item_id=f"i{item}", score=score, **known)


EMPTY = ("slot", "factor", "item", "category", "brand", "attribute", "value")


def rule(number: int, action: str, **about: Any) -> RuleRow:
    """A rule with that id; `about` is its one target, and its slot or factor."""
    empty: dict[str, Any] = dict.fromkeys(EMPTY)
    return RuleRow(id=number, title="", action=action, **(empty | about))


A, B, C, D = (candidate(n, 1.0 - n / 10) for n in (1, 2, 3, 4))
LIST = [A, B, C, D]


def items(candidates: list[Candidate]) -> list[int]:
    return [c.item for c in candidates]


# ── what a rule is about ───────────────────────────────────────────────────────────────────

MUG = candidate(
    1,
    lineage=(1, 5, 9),
    brand="Acme",
    attributes={
        "colour": "blue", "sizes": ["S", "M", 42], "new": True, "weight": 12.5, "count": 3,
        "note": "true story", "empty": None,
    },
)  # fmt: skip


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"item": 1}, True),
        ({"item": 2}, False),
        ({"category": 9}, True),
        ({"category": 1}, True),  # a category covers all below it
        ({"category": 2}, False),
        ({"brand": "Acme"}, True),
        ({"brand": "acme"}, False),
        ({"attribute": "colour", "value": "blue"}, True),
        ({"attribute": "colour", "value": "red"}, False),
        ({"attribute": "sizes", "value": "M"}, True),  # one of a list's values is enough
        ({"attribute": "sizes", "value": "42"}, True),
        ({"attribute": "sizes", "value": "L"}, False),
        ({"attribute": "new", "value": "true"}, True),
        ({"attribute": "new", "value": "True"}, False),
        ({"attribute": "weight", "value": "12.5"}, True),
        ({"attribute": "count", "value": "3"}, True),
        ({"attribute": "count", "value": "3.0"}, False),
        ({"attribute": "note", "value": "true"}, False),
        ({"attribute": "missing", "value": "x"}, False),
        ({}, False),
    ],
)
def test_a_rule_is_about_its_one_target(about: dict[str, Any], expected: bool) -> None:
    assert is_about(rule(1, "hide", **about), MUG) is expected


def test_a_rule_about_a_category_or_brand_does_not_touch_items_without_one() -> None:
    plain = candidate(1)
    assert not is_about(rule(1, "hide", category=1), plain)
    assert not is_about(rule(1, "hide", brand="Acme"), plain)


# ── hide, boost, bury ──────────────────────────────────────────────────────────────────────


def test_without_rules_the_list_stays() -> None:
    weighed = weigh(LIST, [])
    assert (weighed.candidates, weighed.hidden, weighed.moved) == (LIST, {}, {})


def test_what_is_hidden_is_gone_and_the_rule_is_named() -> None:
    weighed = weigh(LIST, [rule(7, "hide", item=2)])
    assert items(weighed.candidates) == [1, 3, 4]
    assert (weighed.hidden, weighed.moved) == ({2: 7}, {})


def test_of_two_rules_that_hide_the_first_is_named_and_a_boost_does_not_help() -> None:
    rules = [rule(1, "boost", item=2, factor=9.0), rule(2, "hide", item=2), rule(3, "hide", item=2)]
    weighed = weigh(LIST, rules)
    assert items(weighed.candidates) == [1, 3, 4]
    assert (weighed.hidden, weighed.moved) == ({2: 2}, {})


def test_a_boost_multiplies_and_sorts_again() -> None:
    weighed = weigh(LIST, [rule(7, "boost", item=4, factor=2.0)])
    assert [(c.item, c.score) for c in weighed.candidates] == [
        (4, 1.2),
        (1, 0.9),
        (2, 0.8),
        (3, 0.7),
    ]
    assert weighed.moved == {4: (7,)}


def test_rules_about_the_same_item_multiply_each_other() -> None:
    red = candidate(9, 0.5, brand="Acme", lineage=(3,))
    rules = [
        rule(1, "boost", brand="Acme", factor=4.0),
        rule(2, "bury", category=3, factor=0.25),
        rule(3, "bury", item=1, factor=0.5),
    ]
    weighed = weigh([A, red], rules)
    assert [(c.item, c.score) for c in weighed.candidates] == [(9, 0.5), (1, 0.45)]
    assert weighed.moved == {9: (1, 2), 1: (3,)}


def test_equal_scores_keep_the_order_in_which_they_came() -> None:
    ranked = [candidate(5, 0.5), candidate(3, 0.5), candidate(4, 0.5)]
    assert items(weigh(ranked, []).candidates) == [5, 3, 4]
    boosted = weigh(ranked, [rule(1, "boost", item=4, factor=2.0)])
    assert items(boosted.candidates) == [4, 5, 3]


def test_a_pin_is_no_weight() -> None:
    weighed = weigh(LIST, [rule(1, "pin", item=4, slot=1)])
    assert (weighed.candidates, weighed.moved) == (LIST, {})


# ── pin ────────────────────────────────────────────────────────────────────────────────────


def pinned(*rules: RuleRow, live: list[Candidate] = LIST) -> list[int]:
    return items(pin(LIST, rules, {c.item: c for c in live})[0])


@pytest.mark.parametrize(
    ("slot", "expected"),
    [(1, [4, 1, 2, 3]), (2, [1, 4, 2, 3]), (4, [1, 2, 3, 4]), (99, [1, 2, 3, 4])],
)
def test_a_pin_takes_its_slot_and_beyond_the_end_the_end(slot: int, expected: list[int]) -> None:
    assert pinned(rule(1, "pin", item=4, slot=slot)) == expected


def test_a_pin_brings_in_what_was_not_in_the_list() -> None:
    new = candidate(9, 0.0)
    result, by = pin(LIST, [rule(7, "pin", item=9, slot=2)], {9: new})
    assert (items(result), by) == ([1, 9, 2, 3, 4], {9: 7})


def test_what_may_not_be_shown_is_not_pinned() -> None:
    result, by = pin(LIST, [rule(7, "pin", item=9, slot=2)], {})
    assert (result, by) == (LIST, {})


def test_of_two_pins_for_a_slot_the_older_takes_it_and_the_other_the_next() -> None:
    older, newer = rule(1, "pin", item=4, slot=2), rule(2, "pin", item=3, slot=2)
    assert pinned(older, newer) == pinned(newer, older) == [1, 4, 3, 2]


def test_a_pin_whose_slot_was_taken_by_one_that_stepped_aside_steps_aside_too() -> None:
    rules = [
        rule(1, "pin", item=4, slot=1),
        rule(2, "pin", item=3, slot=1),
        rule(3, "pin", item=2, slot=2),
    ]
    assert pinned(*rules) == [4, 3, 2, 1]


def test_of_two_pins_of_one_item_the_first_counts() -> None:
    rules = [rule(1, "pin", item=4, slot=2), rule(2, "pin", item=4, slot=1)]
    result, by = pin(LIST, rules, {4: D})
    assert (items(result), by) == ([1, 4, 2, 3], {4: 1})


def test_a_pin_into_an_empty_list_is_a_list() -> None:
    assert items(pin([], [rule(1, "pin", item=4, slot=3)], {4: D})[0]) == [4]


pins = st.lists(
    st.builds(lambda n, item, slot: (n, item, slot), st.integers(1, 99), st.integers(1, 6),
              st.integers(1, 9)), max_size=6, unique_by=lambda p: p[0],
)  # fmt: skip


@hypothesis.given(st.integers(0, 4), pins)
def test_pins_lose_and_repeat_nothing_and_keep_the_order_of_the_rest(
    length: int, drawn: list[tuple[int, int, int]]
) -> None:
    live = {n: candidate(n) for n in range(1, 6)}
    rules = [rule(n, "pin", item=item, slot=slot) for n, item, slot in sorted(drawn)]
    result, by = pin(LIST[:length], rules, live)
    assert sorted(items(result)) == sorted({*items(LIST[:length]), *by})
    assert set(by) == {item for _, item, _ in drawn} & set(live)
    unpinned = [item for item in items(result) if item not in by]
    assert unpinned == [item for item in items(LIST[:length]) if item not in by]
