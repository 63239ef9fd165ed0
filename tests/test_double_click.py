"""A double click counts once: any split, order and lateness gives what the set of facts says.

The contract of tests.test_projections again, for popularity and covisit with `double_click`
set: times lie within seconds of each other, on both sides of the bound and exactly on it.
"""

from collections.abc import Iterator
from typing import Any, Final

import hypothesis
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from behavior import people
from behavior.events import BY_NAME, Event, Kind
from behavior.user_state import RECENT
from catalog.countings import SHIPPED, Counting
from catalog.models import SignalWeights
from recommend import fold
from recommend.erase import erase
from tests import oracle
from tests.given import (
    advance,
    all_neighbours,
    contents,
    counts,
    days,
    did,
    differing,
    given,
    identify,
    pairs,
    purchase,
    quarantine,
    rate,
    refund,
    view,
)
from tests.test_projections import (
    USERS,
    Delivery,
    deliver,
    fold_state,
    items,
    ranked,
    steps_of,
    users,
)

WITHIN: Final = 2.0
SECOND: Final = 1 / 60
ONCE: Final = {
    name: Counting(SHIPPED[name].weights, WITHIN) for name in ("popularity", "covisit")
}  # fmt: skip


@pytest.fixture
def once(committed: None) -> Iterator[None]:
    """Both projections count a click repeated within two seconds once."""
    before = dict(SignalWeights.objects.values_list("projection", "double_click"))
    SignalWeights.objects.update(double_click=WITHIN)
    yield
    for name, seconds in before.items():
        SignalWeights.objects.filter(projection=name).update(double_click=seconds)


pytestmark = pytest.mark.usefixtures("once")

# ── what is drawn ──────────────────────────────────────────────────────────────────────────

kinds = st.one_of(
    st.just(Kind.VIEW_ITEM),
    st.sampled_from((Kind.ADD_TO_CART, Kind.PURCHASE, Kind.RATE)),
    st.sampled_from((*BY_NAME.values(), Kind.SUBJECT_QUARANTINED)),
)
# Half seconds, so that the bound is met exactly, and a millisecond to either side of it.
seconds = st.tuples(st.integers(0, 24).map(lambda n: n / 2), st.sampled_from((0, 0, -0.001, 0.001)))
moments = seconds.map(lambda parts: sum(parts) * SECOND)


@st.composite
def clicks(
    draw: st.DrawFn,
    when: st.SearchStrategy[float] = moments,
    who: st.SearchStrategy[str] = users,
) -> Event:
    kind, name, at, undo = draw(kinds), draw(who), draw(when), draw(st.booleans())
    if kind is Kind.IDENTIFY:
        return identify(name, draw(users.filter(lambda other: other != name)), at=at, undo=undo)
    if kind is Kind.SUBJECT_QUARANTINED:
        return quarantine(name, at=at, undo=undo)
    if kind is Kind.RATE:
        return rate(name, draw(items), draw(st.sampled_from((1, 4.2, 5))), at=at)
    return did(kind, name, *draw(st.lists(items, min_size=1, max_size=2)), at=at)


@st.composite
def long_clicks(draw: st.DrawFn) -> list[Event]:
    """More clicks of one shopper than user_state keeps, then late ones among them."""
    walk = draw(st.lists(st.tuples(kinds_of_looks, items, gaps), min_size=2, max_size=9))
    made, at = [], 0.0
    for n in range(draw(st.integers(RECENT - 5, RECENT + 25))):
        kind, item, gap = walk[n % len(walk)]
        at += gap * SECOND
        made.append(did(kind, USERS[0], item, at=at))
    within = st.integers(0, int(at / SECOND * 2)).map(lambda n: n / 2 * SECOND)
    return made + draw(st.lists(clicks(within, st.just(USERS[0])), max_size=5))


kinds_of_looks = st.sampled_from((Kind.VIEW_ITEM, Kind.SELECT_ITEM, Kind.ADD_TO_CART))
gaps = st.sampled_from((0.5, 1.0, 2.0, 2.001, 3.0))


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    """A history of quick clicks and a way to deliver it."""
    drawn = draw(st.one_of(st.lists(clicks(), min_size=1, max_size=25), long_clicks()))
    events = [event._replace(key=f"k{n}") for n, event in enumerate(drawn)]
    return Delivery(events, [], draw(steps_of(events, [])))


# ── the contract ───────────────────────────────────────────────────────────────────────────


@settings(max_examples=120)
@hypothesis.given(deliveries())
def test_the_tables_hold_what_the_set_of_facts_says(delivery: Delivery) -> None:
    deliver(delivery.steps)
    facts = oracle.facts(delivery.events)
    assert days() == oracle.days(facts, ONCE["popularity"])
    assert counts() == oracle.counts(facts, ONCE["covisit"])
    assert pairs() == oracle.pairs(facts, ONCE["covisit"])
    assert all_neighbours() == ranked()
    assert differing() == []


@settings(max_examples=25)
@hypothesis.given(deliveries(), st.sampled_from(USERS))
def test_whoever_is_erased_leaves_nothing(delivery: Delivery, name: str) -> None:
    deliver(delivery.steps)
    if people.members([name]):
        erase(name, asked_by="a test")
        assert differing() == []
        before = contents()
        assert advance() == [0, 0, 0, 0]
        assert contents() == before


@pytest.mark.parametrize("name", ONCE)
@settings(max_examples=15)
@hypothesis.given(delivery=deliveries())
def test_a_rebuild_equals_what_grew(name: str, delivery: Delivery) -> None:
    deliver(delivery.steps, name)
    (one,) = fold.named(name)
    grown = fold_state(one)
    fold.rebuild(one)
    assert fold_state(one) == grown


# ── by hand ────────────────────────────────────────────────────────────────────────────────

UNIT: Final = 65_536


def clicked(*seconds: float, item: str = "mug") -> list[Event]:
    return [view("ann", item, at=at * SECOND, key=f"{item} {at}") for at in seconds]


@pytest.mark.parametrize(
    ("seconds", "counted"),
    [((0,), 1), ((0, 2), 1), ((0, 2.001), 2), ((0, 2, 4), 1), ((0, 2, 4, 6.5), 2)],
)
def test_each_click_is_judged_by_the_one_before_it(seconds: Any, counted: int) -> None:
    given(*clicked(*seconds))
    advance()
    assert days() == {("mug", 0): counted * UNIT}


def test_a_late_click_takes_back_the_one_that_follows_it_and_joins_others() -> None:
    given(*clicked(0, 3))
    advance()
    assert days() == {("mug", 0): 2 * UNIT}
    given(*clicked(1.5))
    advance()
    assert days() == {("mug", 0): UNIT}
    assert differing() == []


def test_two_purchases_in_a_second_are_two() -> None:
    given(purchase("ann", "mug"), purchase("ann", "mug", at=SECOND / 2))
    advance()
    assert days() == {("mug", 0): 12 * UNIT}
    given(refund("ann", "mug", at=SECOND), refund("ann", "mug", at=1.5 * SECOND))
    advance()
    assert days() == {}


def test_other_items_other_kinds_and_other_shoppers_are_no_repetition() -> None:
    given(
        view("ann", "mug"), view("ann", "cup", at=SECOND / 2), view("bob", "mug", at=SECOND / 2),
        did(Kind.SELECT_ITEM, "ann", "mug", at=SECOND / 2),
    )  # fmt: skip
    advance()
    assert days() == {("mug", 0): 3 * UNIT, ("cup", 0): UNIT}


def test_a_repeated_click_is_no_step_between_two_items() -> None:
    given(*clicked(0, 1), *clicked(1.5, item="cup"))
    advance()
    assert pairs() == {("mug", "cup"): (UNIT, 0, 0), ("cup", "mug"): (UNIT // 2, 0, 0)}
