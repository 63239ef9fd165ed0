"""Attribution: a later event is tied to the slate that it names, where that slate showed it."""

import uuid
from collections.abc import Callable

import pytest

from behavior.events import Event, Kind
from tests.given import (
    advance,
    attributed,
    cart,
    did,
    differing,
    dismiss,
    given,
    identify,
    purchase,
    refund,
    serve,
    uncart,
    unwish,
    view,
    wish,
)  # fmt: skip

Builder = Callable[..., Event]

pytestmark = pytest.mark.usefixtures("committed")


def test_an_event_is_tied_to_the_place_at_which_its_item_stood() -> None:
    slate = serve("a", "b", "c")
    given(view("ann", "b", at=1, slate=slate), purchase("ann", "c", at=2, slate=slate))
    advance("attribution")
    assert attributed() == [(slate, "view_item", "b", 2), (slate, "purchase", "c", 3)]


def test_each_line_of_an_event_is_tied_by_itself() -> None:
    slate = serve("a", "b")
    given(purchase("ann", "b", "x", "a", slate=slate))
    advance("attribution")
    assert attributed() == [(slate, "purchase", "b", 2), (slate, "purchase", "a", 1)]


def test_what_a_slate_did_not_show_is_not_its_merit() -> None:
    slate = serve("a")
    given(view("ann", "x", slate=slate))
    advance("attribution")
    assert attributed() == []


def test_an_event_that_names_no_slate_is_not_attributed() -> None:
    serve("a", user="user:ann")
    given(view("ann", "a"))
    advance("attribution")
    assert attributed() == []


def test_a_slate_that_never_was_is_no_error() -> None:
    given(view("ann", "a", slate=uuid.UUID(int=5)))
    advance("attribution")
    assert attributed() == []


def test_two_slates_that_showed_the_same_item_keep_apart() -> None:
    first, second = serve("a", "b"), serve("b", "a")
    given(view("ann", "a", at=1, slate=first), view("bob", "a", at=2, slate=second))
    advance("attribution")
    assert attributed() == [(first, "view_item", "a", 1), (second, "view_item", "a", 2)]


def test_an_event_without_an_item_is_tied_to_nothing() -> None:
    slate = serve("a")
    given(did(Kind.SEARCH, "ann", slate=slate))
    advance("attribution")
    assert attributed() == []


def test_a_repeated_delivery_is_attributed_once() -> None:
    slate = serve("a")
    event = view("ann", "a", key="k", slate=slate)
    given(event)
    advance("attribution")
    given(event, [event, event])
    advance("attribution")
    assert attributed() == [(slate, "view_item", "a", 1)]
    assert differing("attribution") == []


# ── what is taken back ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("deed", "undo"), [(purchase, refund), (cart, uncart), (wish, unwish), (view, dismiss)]
)
def test_what_was_taken_back_is_no_merit_of_the_list(deed: Builder, undo: Builder) -> None:
    slate = serve("a", "b")
    given(deed("ann", "a", at=1, slate=slate), deed("ann", "b", at=2, slate=slate))
    advance("attribution")
    given(undo("ann", "a", at=3, slate=slate))
    advance("attribution")
    assert [(item, place) for _, _, item, place in attributed()] == [("b", 2)]
    assert differing("attribution") == []


def test_a_refund_takes_back_the_purchase_before_it_alone() -> None:
    slate = serve("a")
    given(purchase("ann", "a", at=1, slate=slate), refund("ann", "a", at=5))
    given(purchase("ann", "a", at=9, slate=slate))
    advance("attribution")
    assert len(attributed()) == 1
    given(purchase("ann", "a", at=3))
    advance("attribution")
    # The refund is of the later one, which names no list.
    assert len(attributed()) == 2
    assert differing("attribution") == []


def test_another_persons_refund_takes_nothing_back_until_they_are_one() -> None:
    slate = serve("a")
    given(purchase("anonymous:phone", "a", at=1, slate=slate), refund("ann", "a", at=2))
    advance("attribution")
    tied = attributed()
    assert len(tied) == 1
    given(identify("anonymous:phone", "ann", at=3))
    advance("attribution")
    assert attributed() == []
    assert differing("attribution") == []
    given(identify("anonymous:phone", "ann", at=4, undo=True))
    advance("attribution")
    assert attributed() == tied
    assert differing("attribution") == []
