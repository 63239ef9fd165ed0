"""Co-visitation by hand: which pairs count, how much, and what a late event changes."""

import math
from collections.abc import Callable
from typing import Final

import pytest

from behavior.events import Event, Kind
from behavior.user_state import RECENT
from catalog.countings import SHIPPED
from catalog.models import Scenario
from catalog.scenarios import SOURCES
from recommend.pipeline import Ask, compose
from recommend.projections.covisit import POPULAR_POWER, SEED_POWER
from recommend.projections.neighbours import NEIGHBOURS
from recommend.projections.pairs import UNIT, WINDOW
from tests.given import (
    advance,
    all_neighbours,
    ask,
    cart,
    counts,
    did,
    differing,
    dismiss,
    given,
    item,
    minute,
    neighbours,
    pairs,
    purchase,
    rate,
    refund,
    shown,
    uncart,
    unwish,
    view,
    wish,
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("committed")

HALF_AN_HOUR: Final = 30.0
MILLISECOND: Final = 1 / 60_000
Did = Callable[..., Event]
WEIGHTS: Final = SHIPPED["covisit"].weights


def weight(gap: int, earlier: Kind = Kind.VIEW_ITEM, later: Kind = Kind.VIEW_ITEM) -> int:
    """What a pair counts that stands `gap` events apart."""
    return round(UNIT / math.sqrt(gap) * WEIGHTS[earlier] * WEIGHTS[later])


def after(*deliveries: Event | list[Event]) -> dict[tuple[str, str], tuple[int, ...]]:
    """(at, to) → (viewed, bought, led) once these were delivered and folded, one by one."""
    for delivery in deliveries:
        given(delivery)
        advance("covisit")
    assert differing("covisit") == []
    return pairs()


def test_two_views_are_a_pair_and_backwards_counts_half() -> None:
    assert after(view("ann", "a"), view("ann", "b", at=1)) == {
        ("a", "b"): (65_536, 0, 0),
        ("b", "a"): (32_768, 0, 0),
    }


def test_a_pair_counts_less_the_more_events_lie_between() -> None:
    walk = [view("ann", item, at=n) for n, item in enumerate("abc")]
    assert after(walk) == {
        ("a", "b"): (65_536, 0, 0),
        ("b", "a"): (32_768, 0, 0),
        ("b", "c"): (65_536, 0, 0),
        ("c", "b"): (32_768, 0, 0),
        ("a", "c"): (46_341, 0, 0),  # 65,536 / √2, rounded
        ("c", "a"): (23_170, 0, 0),  # half of that, cut off
    }


def test_events_further_apart_than_the_window_are_no_pair() -> None:
    walk = [view("ann", "a"), *(view("ann", "b", at=n) for n in range(1, WINDOW))]
    near = after([*walk, view("ann", "c", at=50)])
    assert near["a", "c"] == (weight(WINDOW), 0, 0)
    far = after(view("ann", "d", at=60))
    assert ("a", "d") not in far
    assert far["c", "d"] == (weight(1), 0, 0)


def test_an_item_is_no_pair_with_itself_and_yet_takes_a_place() -> None:
    assert after(view("ann", "a"), view("ann", "a", at=1)) == {}
    assert after(view("ann", "b", at=2)) == {
        ("a", "b"): (65_536 + 46_341, 0, 0),
        ("b", "a"): (32_768 + 23_170, 0, 0),
    }


def test_how_long_ago_an_event_was_does_not_matter_only_what_came_between() -> None:
    a_year = 365 * 24 * 60
    assert after(view("ann", "a", at=-a_year), view("ann", "b"))["a", "b"] == (65_536, 0, 0)


@pytest.mark.parametrize("silent", [dismiss, shown, uncart, refund])
def test_events_that_say_nothing_of_liking_take_no_place(
    silent: Callable[..., Event],
) -> None:
    between = [silent("ann", "x", at=n / 100) for n in range(1, 30)]
    assert after(view("ann", "a"), between, view("ann", "b", at=1)) == {
        ("a", "b"): (65_536, 0, 0),
        ("b", "a"): (32_768, 0, 0),
    }


@pytest.mark.parametrize("kind", sorted(WEIGHTS))
def test_a_pair_weighs_as_the_kinds_of_its_two_events(kind: Kind) -> None:
    found = after(view("ann", "a"), did(kind, "ann", "b", at=1))
    expected = weight(1, Kind.VIEW_ITEM, kind)
    assert found["a", "b"][0] == expected
    assert found["b", "a"][0] == expected // 2


# ── purchases ──────────────────────────────────────────────────────────────────────────────


def test_what_stands_in_one_order_is_bought_together_and_not_viewed() -> None:
    both = weight(1, Kind.PURCHASE, Kind.PURCHASE)
    assert after(purchase("ann", "a", "b")) == {("a", "b"): (0, both, 0), ("b", "a"): (0, both, 0)}


def test_purchases_less_than_half_an_hour_apart_are_one_order() -> None:
    both = weight(1, Kind.PURCHASE, Kind.PURCHASE)
    found = after(purchase("ann", "a"), purchase("ann", "b", at=HALF_AN_HOUR - MILLISECOND))
    assert found == {("a", "b"): (0, both, 0), ("b", "a"): (0, both, 0)}


def test_of_purchases_half_an_hour_apart_the_first_led_to_the_second() -> None:
    both = weight(1, Kind.PURCHASE, Kind.PURCHASE)
    found = after(purchase("ann", "a"), purchase("ann", "b", at=HALF_AN_HOUR))
    assert found == {("a", "b"): (0, 0, both), ("b", "a"): (0, 0, 0)}


def test_a_view_leads_to_a_purchase_and_not_the_other_way_round() -> None:
    once = weight(1, Kind.VIEW_ITEM, Kind.PURCHASE)
    assert after(view("ann", "a"), purchase("ann", "b", at=1)) == {
        ("a", "b"): (once, 0, once),
        ("b", "a"): (once // 2, 0, 0),
    }
    assert after(purchase("bob", "c"), view("bob", "d", at=1))["c", "d"] == (once, 0, 0)


def test_two_lines_of_one_order_are_a_gap_of_one_in_the_order_of_lines() -> None:
    found = after(view("ann", "v"), purchase("ann", "a", "b", at=1))
    assert found["v", "a"][2] == weight(1, Kind.VIEW_ITEM, Kind.PURCHASE)
    assert found["v", "b"][2] == weight(2, Kind.VIEW_ITEM, Kind.PURCHASE)


# ── whose events ───────────────────────────────────────────────────────────────────────────


def test_events_of_different_shoppers_never_pair() -> None:
    walk = [view("ann", "a"), view("bob", "b", at=1), view("anonymous:ann", "c", at=2)]
    assert after(walk) == {}


def test_shoppers_add_up() -> None:
    found = after(
        [view(user, item, at=at) for user in ("u1", "u2", "u3") for at, item in enumerate("ab")]
    )
    assert found["a", "b"] == (3 * 65_536, 0, 0)


def test_an_item_counts_its_engagements_and_its_purchases() -> None:
    given([view("ann", "a"), cart("ann", "a", at=1), purchase("ann", "a", at=2)])
    given([wish("bob", "a"), shown("bob", "a", at=1), view("bob", "b", at=2)])
    advance("covisit")
    kinds = (Kind.VIEW_ITEM, Kind.ADD_TO_CART, Kind.PURCHASE, Kind.ADD_TO_WISHLIST)
    seen = sum(round(UNIT * WEIGHTS[kind]) for kind in kinds)
    assert counts() == {"a": (seen, UNIT), "b": (UNIT, 0)}


# ── what was taken back ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("do", "undo"), [(cart, uncart), (purchase, refund), (wish, unwish)])
def test_what_was_taken_back_pairs_with_nothing_and_counts_nothing(do: Did, undo: Did) -> None:
    found = after(view("ann", "a"), do("ann", "b", at=1), undo("ann", "b", at=2))
    assert {pair: weights for pair, weights in found.items() if any(weights)} == {}
    assert counts() == {"a": (UNIT, 0)}


def test_of_two_purchases_a_refund_takes_back_the_one_before_it() -> None:
    found = after(
        view("ann", "a"), purchase("ann", "b", at=1), purchase("ann", "b", at=2), refund("ann", "b", at=3)
    )  # fmt: skip
    assert found["a", "b"] == (
        weight(1, later=Kind.PURCHASE), 0, weight(1, later=Kind.PURCHASE),
    )  # fmt: skip
    assert counts()["b"] == (round(UNIT * WEIGHTS[Kind.PURCHASE]), UNIT)


def test_a_dismissal_takes_back_every_look_before_it_and_none_after() -> None:
    walk = [view("ann", "b"), view("ann", "a", at=1), view("ann", "b", at=2)]
    assert after(*walk, dismiss("ann", "b", at=3)) == {}
    assert after(view("ann", "b", at=4)) == {
        ("a", "b"): (65_536, 0, 0), ("b", "a"): (32_768, 0, 0),
    }  # fmt: skip


def test_a_deed_that_comes_late_takes_the_place_of_the_one_taken_back() -> None:
    after(cart("ann", "b"), view("ann", "a", at=1), uncart("ann", "b", at=5))
    found = after(cart("ann", "b", at=3))
    both = weight(1, earlier=Kind.ADD_TO_CART)
    assert found == {("b", "a"): (both, 0, 0), ("a", "b"): (both // 2, 0, 0)}


@pytest.mark.parametrize(("stars", "share"), [(5, 1.0), (4, 0.6 ** (1 / 3)), (2.5, 0.0), (0, 0.0)])
def test_a_rating_pairs_by_its_stars(stars: float, share: float) -> None:
    found = after(view("ann", "a"), rate("ann", "b", stars, at=1))
    assert found.get(("a", "b"), (0, 0, 0)) == (round(UNIT * share), 0, 0)


# ── events that come late ──────────────────────────────────────────────────────────────────


def test_a_late_event_between_two_widens_their_gap() -> None:
    after(view("ann", "a"), view("ann", "b", at=2))
    assert after(view("ann", "c", at=1)) == {
        ("a", "b"): (46_341, 0, 0),
        ("b", "a"): (23_170, 0, 0),
        ("a", "c"): (65_536, 0, 0),
        ("c", "a"): (32_768, 0, 0),
        ("c", "b"): (65_536, 0, 0),
        ("b", "c"): (32_768, 0, 0),
    }
    assert neighbours("a", "viewed") == {"c": 65_536, "b": 46_341}


def test_a_pair_that_a_late_event_pushes_out_of_the_window_is_gone() -> None:
    between = [view("ann", "b", at=n) for n in range(1, WINDOW)]
    assert ("a", "c") in after([view("ann", "a"), *between, view("ann", "c", at=50)])
    assert neighbours("c", "viewed")["a"] == weight(WINDOW) // 2
    found = after(view("ann", "b", at=0.5))
    assert ("a", "c") not in found
    assert set(neighbours("a", "viewed")) == {"b"}
    assert set(neighbours("c", "viewed")) == {"b"}


def test_the_last_pair_of_an_item_leaves_no_neighbours_behind() -> None:
    between = [view("ann", "x", at=n) for n in range(1, WINDOW)]
    after([view("ann", "a"), *between, purchase("ann", "c", at=50)])
    assert neighbours("a", "led") == {"c": weight(WINDOW, Kind.VIEW_ITEM, Kind.PURCHASE)}
    after(view("ann", "x", at=0.5))
    assert ("a", "led") not in all_neighbours()


def test_an_event_later_than_all_that_user_state_holds_is_counted_from_the_log() -> None:
    walk = [view("ann", "ab"[n % 2], at=n) for n in range(RECENT + 20)]
    before = after(walk)
    found = after(view("ann", "late", at=-1))
    assert found["late", "a"][0] == sum(weight(gap) for gap in (1, 3, 5, 7, 9))
    assert found["late", "b"][0] == sum(weight(gap) for gap in (2, 4, 6, 8, 10))
    assert {pair: found[pair] for pair in before} == before


# ── the fifty heaviest ─────────────────────────────────────────────────────────────────────


def hub(times: int, item: str, user: str) -> list[Event]:
    """`times` visits of the hub, each followed by the item."""
    return [view(user, ("hub", item)[n % 2], at=n) for n in range(2 * times)]


def test_neighbours_stand_by_weight_and_of_equal_ones_the_one_heard_of_first() -> None:
    given(hub(1, "x", "u1"), hub(2, "y", "u2"), hub(1, "z", "u3"))
    advance("covisit")
    (own,) = (found for of, found in all_neighbours().items() if of == ("hub", "viewed"))
    assert [item for item, _ in own] == ["y", "x", "z"]


def test_only_the_fifty_heaviest_are_kept_and_a_heavier_one_pushes_the_lightest_out() -> None:
    given(*(hub(1, f"i{n:02}", f"u{n}") for n in range(NEIGHBOURS + 5)))
    advance("covisit")
    first_heard = [f"i{n:02}" for n in range(NEIGHBOURS)]
    assert list(neighbours("hub", "viewed")) == first_heard
    after(hub(2, f"i{NEIGHBOURS + 2}", "again"))
    assert list(neighbours("hub", "viewed")) == [f"i{NEIGHBOURS + 2}", *first_heard[:-1]]


def test_an_equal_one_that_was_heard_of_earlier_pushes_the_last_of_the_fifty_out() -> None:
    given(view("nobody", "early"))
    after(*(hub(1, f"i{n:02}", f"u{n}") for n in range(NEIGHBOURS)))
    after(hub(1, "early", "again"))
    kept = [f"i{n:02}" for n in range(NEIGHBOURS - 1)]
    assert list(neighbours("hub", "viewed")) == ["early", *kept]


def test_one_that_was_outside_the_fifty_comes_in_where_one_inside_shrinks() -> None:
    crowd = [hub(1, f"i{n:02}", f"u{n}") for n in range(NEIGHBOURS + 1)]
    after(*crowd)
    last = f"i{NEIGHBOURS}"
    assert last not in neighbours("hub", "viewed")
    after(view("u0", "late", at=0.5))
    # i00 is two steps from the hub now, so it is lighter than the fifty others.
    found = neighbours("hub", "viewed")
    assert last in found
    assert "i00" not in found
    assert len(found) == NEIGHBOURS


def test_a_row_of_which_nothing_is_left_is_gone() -> None:
    after(view("ann", "a"), cart("ann", "b", at=1))
    assert neighbours("a", "viewed")
    after(did(Kind.REMOVE_FROM_CART, "ann", "b", at=2))
    assert all_neighbours() == {}
    after(view("ann", "c", at=3))
    assert list(neighbours("a", "viewed")) == ["c"]


def test_a_fold_of_nothing_writes_nothing() -> None:
    after(view("ann", "a"), view("ann", "b", at=1))
    rows = "SELECT xmin::text, item FROM neighbours UNION ALL SELECT xmin::text, lo FROM covisit"
    before = ask(rows)
    after(shown("ann", "a", at=3), view("bob", "c"))
    assert ask(rows) == before


# ── the score ──────────────────────────────────────────────────────────────────────────────


def scores(user: str) -> dict[str, float]:
    """What *viewed* alone says to this shopper."""
    Scenario.objects.filter(name="home").update(
        diversity=0.0, **dict.fromkeys(SOURCES, 0.0) | {"viewed": 1.0}
    )
    made = compose(Ask("home", f"user:{user}", exclude_seen="interacted"), minute(90))
    return {shown.item_id: shown.score for shown in made.items}


def test_of_two_neighbours_that_are_as_near_the_better_known_counts_less() -> None:
    """C[a, b] = C[a, c]: b was viewed eight times, c twice."""
    for name in "abc":
        item(name)
    for user, other in (("u1", "b"), ("u2", "b"), ("u3", "c"), ("u4", "c")):
        given(view(user, "a"), view(user, other, at=1))
    given([view(f"passer{n}", "b") for n in range(6)], view("ann", "a"))
    advance()
    assert scores("ann") == {"c": 1.0, "b": pytest.approx((2 / 8) ** POPULAR_POWER)}


def test_a_seed_that_everybody_knows_says_less_of_the_shopper() -> None:
    """C[a, b] = C[x, y] and both were dealt with once by ann, a a moment later; x was viewed by
    eight others, a by none."""
    for name in "abxy":
        item(name)
    given([view("u1", "a"), view("u1", "b", at=1)], [view("u2", "x"), view("u2", "y", at=1)])
    given([view(f"passer{n}", "x") for n in range(6)], [view("ann", "x"), view("ann", "a", at=1)])
    advance()
    found = scores("ann")
    # Seen by their neighbour and ann: a twice, x eight times; x is one step further back.
    assert found["y"] / found["b"] == pytest.approx((2 / 8) ** SEED_POWER * 2**-0.3)
