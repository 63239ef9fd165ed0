"""The shopper's own state: the newest fifty events and the dealings with each item, at once."""

from typing import Final

import pytest
from django.db import transaction

from behavior import log
from behavior.events import BY_NAME, Kind
from behavior.user_state import KINDS, PURCHASES, RECENT
from tests import oracle
from tests.given import (
    START,
    cart,
    dealings,
    did,
    differing,
    given,
    purchase,
    shown,
    state,
    states,
    view,
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("committed")

HOUR: Final = int(START.timestamp()) // 3_600


def test_the_newest_event_stands_first_whenever_it_was_delivered() -> None:
    given(view("ann", "a", at=5), cart("ann", "b", at=9), view("ann", "c", at=1))
    assert state("ann") == [("add_to_cart", "b"), ("view_item", "a"), ("view_item", "c")]


def test_the_next_request_sees_the_click() -> None:
    with transaction.atomic():
        log.append([view("ann", "a")])
        assert state("ann") == [("view_item", "a")]


def test_the_lines_of_an_event_stand_in_their_order_the_last_one_newest() -> None:
    given(purchase("ann", "a", "b", "c"))
    assert state("ann") == [("purchase", "c"), ("purchase", "b"), ("purchase", "a")]


def test_fifty_events_are_kept() -> None:
    events = [view("ann", f"i{n}", at=n, key=f"k{n}") for n in range(RECENT + 7)]
    given(events[::2], events[1::2])
    assert states() == oracle.states(oracle.facts(events))
    assert [item for _, item in state("ann")] == [f"i{n}" for n in range(RECENT + 6, 6, -1)]


def test_an_event_older_than_the_fifty_is_known_by_its_item_only() -> None:
    given([view("ann", "a", at=n) for n in range(RECENT)], view("ann", "late", at=-1))
    assert state("ann") == [("view_item", "a")] * RECENT
    assert ("user:ann", "late") in dealings()


def test_a_late_event_takes_its_place_among_the_fifty() -> None:
    given([view("ann", "a", at=n) for n in range(RECENT)], view("ann", "late", at=RECENT - 1.5))
    assert [item for _, item in state("ann")] == ["a", "late", *["a"] * (RECENT - 2)]


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_only_what_a_shopper_did_with_an_item_is_kept(name: str) -> None:
    given(did(BY_NAME[name], "ann", "a"))
    assert state("ann") == ([(name, "a")] if BY_NAME[name] in KINDS else [])
    assert len(dealings()) == (BY_NAME[name] in KINDS)


def test_what_was_merely_shown_or_searched_is_not_among_it() -> None:
    given(shown("ann", *"abcdef"), did(Kind.SEARCH, "ann", at=1), did(Kind.VIEW_CART, "ann", at=2))
    assert (states(), dealings()) == ({}, {})


def test_known_and_anonymous_shoppers_of_one_name_are_two() -> None:
    given(view("ann", "a"), view("anonymous:ann", "b"))
    assert {who: [item for _, _, item in own] for who, own in states().items()} == {
        "user:ann": ["a"],
        "anonymous:ann": ["b"],
    }


def test_dealings_with_an_item_are_the_kinds_the_newest_event_and_the_hours_of_purchase() -> None:
    given(
        view("ann", "a", at=1, key="1"),
        [purchase("ann", "a", at=2, key="2"), purchase("ann", "a", at=150, key="3")],
        view("ann", "a", at=200, key="4"),
        purchase("ann", "a", at=70, key="5"),
    )
    assert dealings() == {
        ("user:ann", "a"): (
            frozenset({"view_item", "purchase"}),
            oracle.event_id(START.replace(hour=12, minute=20), 0, "4"),
            [HOUR + 2, HOUR + 1, HOUR],
        )
    }


def test_without_a_purchase_there_are_no_hours() -> None:
    given(view("ann", "a"), cart("ann", "a", at=1))
    assert [hours for _, _, hours in dealings().values()] == [None]


def test_the_newest_purchases_are_kept_and_late_older_ones_are_not() -> None:
    buys = [purchase("ann", "a", at=60.0 * n) for n in range(PURCHASES + 3)]
    given(buys[5:], *buys[:5])
    ((_, _, hours),) = dealings().values()
    assert hours == [HOUR + n for n in range(PURCHASES + 2, 2, -1)]
    assert len(hours) == PURCHASES
    assert differing() == []
