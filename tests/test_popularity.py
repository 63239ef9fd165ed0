"""Popularity by hand: what an event adds, how it fades, and in which categories it counts."""

import math
from typing import Final

import pytest
from django.db import transaction

from behavior.events import BY_NAME, Kind
from catalog import changes
from recommend.pipeline import Ask, compose
from recommend.projections.popularity import HALF_LIFE, REACH, TREND_HALF_LIFE, UNIT
from tests.given import (
    START,
    advance,
    ask,
    cart,
    days,
    did,
    differing,
    given,
    item,
    popular,
    purchase,
    refund,
    uncart,
    view,
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("committed")

DAY: Final = 24 * 60
TODAY: Final = int(START.timestamp()) // 86_400
TO_MIDNIGHT: Final = 15 * 60
"""Minutes from START to the next day."""


def height(total: float, *, day: int = 0, half_life: float = HALF_LIFE) -> int:
    """The score of a sum that is decayed to `day` days after START."""
    return round(UNIT * ((TODAY + day) / half_life + math.log2(total)))


def both(total: float, trend: float, *, day: int = 0) -> tuple[int, int]:
    return height(total, day=day), height(trend, day=day, half_life=TREND_HALF_LIFE)


ADDS: Final = {
    "view_item": 1, "select_item": 1, "add_to_cart": 3, "remove_from_cart": -3, "purchase": 6,
    "refund": -6, "add_to_wishlist": 3, "remove_from_wishlist": -3, "rate": 3, "dismiss": -1,
    "share": 2, "follow": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_an_event_adds_what_its_kind_is_worth(name: str) -> None:
    given(did(BY_NAME[name], "ann", "mug"))
    advance("popularity")
    assert days() == ({("mug", 0): ADDS[name] * UNIT} if name in ADDS else {})


def test_every_line_of_an_event_counts() -> None:
    given(purchase("ann", "mug", "cup", "mug"))
    advance("popularity")
    assert days() == {("mug", 0): 12 * UNIT, ("cup", 0): 6 * UNIT}


def test_days_begin_at_midnight_utc() -> None:
    given(view("ann", "mug", at=TO_MIDNIGHT - 1 / 60_000), view("ann", "mug", at=TO_MIDNIGHT))
    advance("popularity")
    assert days() == {("mug", 0): UNIT, ("mug", 1): UNIT}


def test_events_of_a_day_add_up_whenever_they_are_folded() -> None:
    item("mug")
    for event in (view("ann", "mug"), cart("bob", "mug", at=5), purchase("bob", "mug", at=9)):
        given(event)
        advance("popularity")
    assert days() == {("mug", 0): 10 * UNIT}
    assert popular() == {"mug": both(10, 10)}


def test_a_view_of_today_is_worth_two_of_a_half_life_ago() -> None:
    assert HALF_LIFE == 30
    for name in ("old", "new"):
        item(name)
    given(view("ann", "old"), view("bob", "old", at=1), view("ann", "new", at=30 * DAY))
    advance("popularity")
    assert popular()["old"][0] == popular()["new"][0] == height(1, day=30)


def test_trend_forgets_ten_times_faster() -> None:
    assert TREND_HALF_LIFE == 3
    for name in ("old", "new"):
        item(name)
    given(view("ann", "old"), view("bob", "old", at=1), view("ann", "new", at=3 * DAY))
    advance("popularity")
    assert popular()["old"][1] == popular()["new"][1] == height(1, day=3, half_life=3)
    assert popular()["old"][0] > popular()["new"][0]


def test_an_item_of_many_days_is_the_sum_of_what_is_left_of_each() -> None:
    item("mug")
    given(view("ann", "mug"), view("ann", "mug", at=3 * DAY))
    advance("popularity")
    left = 2.0 ** (-3 / HALF_LIFE)
    assert popular() == {"mug": both(1 + left, 1 + 0.5, day=3)}


def test_days_further_back_than_six_half_lives_count_no_more() -> None:
    item("mug")
    item("jug")
    given(view("ann", "mug"), view("ann", "mug", at=REACH * DAY))
    given(view("ann", "jug", at=DAY), view("ann", "jug", at=REACH * DAY))
    advance("popularity")
    left = 2.0 ** (-(REACH - 1) / HALF_LIFE)
    assert popular()["mug"][0] == height(1, day=REACH)
    assert popular()["jug"][0] == height(1 + left, day=REACH)


def test_what_was_put_back_is_not_popular() -> None:
    item("mug")
    given(cart("ann", "mug"))
    advance("popularity")
    assert set(popular()) == {"mug"}
    given(uncart("ann", "mug", at=1), purchase("bob", "jug"), refund("bob", "jug", at=DAY))
    item("jug")
    advance("popularity")
    assert popular() == {}
    assert days() == {("jug", 0): 6 * UNIT, ("jug", 1): -6 * UNIT}
    assert differing("popularity") == []


def test_an_item_whose_trend_is_used_up_keeps_its_score() -> None:
    """Ten views some weeks ago are more than today's removal in the long run, not of late."""
    item("mug")
    given([view("ann", "mug", at=n) for n in range(10)], uncart("ann", "mug", at=30 * DAY))
    advance("popularity")
    assert popular() == {"mug": (height(10 / 2 - 3, day=30), 0)}


# ── where it counts ────────────────────────────────────────────────────────────────────────


def test_an_item_counts_in_its_category_in_all_above_and_in_the_whole_shop() -> None:
    item("mug", category="Home > Kitchen > Mugs")
    given(view("ann", "mug"))
    advance("popularity")
    once = {"mug": both(1, 1)}
    for path in ("", "Home", "Home > Kitchen", "Home > Kitchen > Mugs"):
        assert popular(path) == once


def test_an_item_that_moves_takes_its_popularity_along() -> None:
    item("mug", category="Home > Mugs")
    given(view("ann", "mug"))
    advance("popularity")
    item("mug", category="Home > Cups")
    assert advance("popularity") == [1]
    assert popular("Home > Mugs") == {}
    assert popular("Home > Cups") == popular("Home") == popular() == {"mug": both(1, 1)}


def test_an_item_that_is_taken_off_the_shelf_is_not_popular_until_it_is_back() -> None:
    item("mug", category="Home")
    given(view("ann", "mug"))
    advance("popularity")
    changes.remove(["mug"])
    advance("popularity")
    assert (popular(), popular("Home")) == ({}, {})
    given(view("ann", "mug", at=1))
    item("mug", category="Home")
    advance("popularity")
    assert popular("Home") == {"mug": both(2, 2)}


def test_what_the_catalogue_does_not_know_is_counted_and_not_shown() -> None:
    given(view("ann", "mug"))
    advance("popularity")
    assert (days(), popular()) == ({("mug", 0): UNIT}, {})
    item("mug")
    advance("popularity")
    assert popular() == {"mug": both(1, 1)}


# ── time ───────────────────────────────────────────────────────────────────────────────────


def test_time_passing_changes_no_row_and_new_events_only_their_own_items() -> None:
    item("mug")
    item("cup")
    given(view("ann", "mug"))
    advance("popularity")
    mug = "SELECT p.xmin::text FROM popularity p JOIN item_key USING (item) WHERE key = 'mug'"
    before = ask(mug)
    given(view("ann", "cup", at=400 * DAY))
    advance("popularity")
    assert ask(mug) == before
    assert popular()["cup"] == both(1, 1, day=400)


@pytest.mark.parametrize("name", ["add_to_cart", "remove_from_cart"])
def test_events_a_quarter_of_a_century_apart_are_counted_like_any_others(name: str) -> None:
    """2 to the power of -3,185 is nothing that a float can hold."""
    years = -9_550 * DAY
    item("mug")
    given(view("ann", "mug", at=years), view("ann", "mug", at=0))
    advance("popularity")
    assert days() == {("mug", -9_550): UNIT, ("mug", 0): UNIT}
    assert popular() == {"mug": both(1, 1)}
    given(did(Kind[name.upper()], "ann", "mug", at=1))
    advance("popularity")
    assert days()["mug", 0] == (4 if name == "add_to_cart" else -2) * UNIT
    assert differing("popularity") == []


# ── what is proposed ───────────────────────────────────────────────────────────────────────


def listed() -> list[str]:
    """The items of the popular list, the best first."""
    with transaction.atomic():
        return [shown.item_id for shown in compose(Ask("popular"), START).items]


def test_the_popular_list_stands_by_score() -> None:
    for name in ("mug", "cup", "jug"):
        item(name, title=name, category=f"Home > {name}")
    given(view("ann", "cup"), purchase("ann", "jug", at=1), cart("bob", "mug", at=2))
    advance("popularity")
    assert listed() == ["jug", "mug", "cup"]


def test_items_that_nobody_has_touched_for_ages_stand_last_and_break_nothing() -> None:
    """Neither a trend that is used up nor one of long ago may vanish into an error."""
    for name in ("used up", "of old", "new"):
        item(name, title=name, category=f"Home > {name}")
    given(view("ann", "of old", at=-9_550 * DAY), purchase("ann", "new", at=40 * DAY))
    given([view("ann", "used up", at=n) for n in range(10)])
    given(uncart("ann", "used up", at=30 * DAY))
    advance("popularity")
    assert listed() == ["new", "used up", "of old"]
