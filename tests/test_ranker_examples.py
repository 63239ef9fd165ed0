"""Examples: which windows a log gives, and what should have stood first."""

from datetime import timedelta
from typing import Final

from behavior.events import Kind
from recommend import goals, learn
from recommend.candidates import RANKED
from recommend.ranker import examples
from tests.given import advance, did, given, item, minute, purchase, view
from tests.test_ranker_habits import DAY

MOMENT: Final = timedelta(milliseconds=1)


# ── windows ────────────────────────────────────────────────────────────────────────────────


def lengths(until: float) -> list[tuple[float, float]]:
    """(days from the cut to the log's end, days that the window is long) of each."""
    spans = examples.windows(minute(until))
    end = spans[0][1]
    return [((end - cut) / timedelta(days=1), (to - cut) / timedelta(days=1)) for cut, to in spans]


def test_a_young_log_gives_windows_of_a_sixth_of_it(committed: None) -> None:
    given(view("ann", "mug"), view("ann", "cup", at=5 * DAY), view("bob", "mug", at=12 * DAY))
    assert lengths(20 * DAY) == [(2, 2), (4, 2), (6, 2)]
    assert examples.windows(minute(20 * DAY))[0][1] == minute(12 * DAY) + MOMENT


def test_a_lone_event_of_long_ago_makes_a_young_log_no_older(committed: None) -> None:
    given(view("eve", "mug", at=-3_000 * DAY))
    given(view("ann", "mug"), view("bob", "mug", at=12 * DAY))
    assert lengths(20 * DAY) == [(2, 2), (4, 2), (6, 2)]


def test_an_old_log_gives_windows_of_thirty_days(committed: None) -> None:
    given([view("ann", "mug", at=n * 12 * DAY) for n in range(50)])
    assert lengths(600 * DAY) == [(30, 30), (60, 30), (90, 30)]


def test_what_no_shopper_did_is_no_end_of_the_log(committed: None) -> None:
    given(view("ann", "mug"), view("bob", "mug", at=12 * DAY))
    given(did(Kind.VIEW_ITEM_LIST, "bob", "mug", at=18 * DAY))
    item("cup")
    assert examples.windows(minute(20 * DAY))[0][1] == minute(12 * DAY) + MOMENT


# ── lists ──────────────────────────────────────────────────────────────────────────────────


def test_what_was_dealt_with_before_is_not_missed_in_a_list_of_new_items(committed: None) -> None:
    """Ann buys the mug again, a cup that is new, and a jug that nothing proposes."""
    for name in ("mug", "cup", "jug"):
        item(name, title=name)
    given(view("ann", "mug"), purchase("ann", "mug", at=1))
    given(view("bob", "mug", at=2), purchase("bob", "cup", at=3))
    given(purchase("ann", "mug", at=5 * DAY), purchase("ann", "cup", at=5 * DAY))
    given(purchase("ann", "jug", at=5 * DAY))
    advance()
    found = list(examples.collect(learn.WANTED, minute(4 * DAY), minute(6 * DAY), goals.PURCHASE))
    assert [(int(e.wanted.sum()), e.missed, e.is_new) for e in found] == [
        (2, 1, False), (1, 1, True)
    ]  # fmt: skip
    assert [(int(e.heard.wanted.sum()), e.heard.missed) for e in found] == [(2, 1), (1, 1)]


def test_what_was_found_new_last_should_have_stood_first(committed: None) -> None:
    """Ann found the cup after the mug, weeks ago, and had both again."""
    for name in ("mug", "cup"):
        item(name, title=name)
    given(view("bob", "mug", at=2), purchase("bob", "cup", at=3))
    given(view("ann", "mug", at=4), purchase("ann", "mug", at=5), purchase("ann", "cup", at=9))
    given(purchase("ann", "mug", "cup", at=20 * DAY))
    given(view("eve", "mug", at=30 * DAY), view("eve", "cup", at=30 * DAY + 1))
    advance()
    end = minute(40 * DAY)
    found = list(examples.collect_last(learn.WANTED, end, goals.PURCHASE))
    assert [(int(e.wanted.sum()), e.missed, e.is_new, e.cut) for e in found if e.wanted.sum() == 2] == [
        (2, 0, False, end)
    ]  # fmt: skip
    assert {(int(e.wanted.sum()), e.missed) for e in found if e.is_new} == {(1, 0)}


def test_a_shop_in_which_most_did_all_in_one_visit_is_told_from_one_to_which_they_come_again(
    committed: None,
) -> None:
    assert not examples.comes_once()
    given(view("ann", "a"), view("ann", "b", at=29), view("ann", "c", at=58))
    given(view("bob", "a"), view("bob", "b", at=31), view("cat", "a"))
    assert not examples.comes_once()
    given(view("eve", "a"), view("eve", "b", at=5))
    assert examples.comes_once()


def test_lists_are_as_deep_as_those_that_are_ranked() -> None:
    assert learn.WANTED.pool == RANKED
