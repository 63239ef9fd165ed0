"""Which sources have nothing to say, and why: asked of real shops, and by `refresh`."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.core.management import call_command

from recommend import silent
from recommend.ranker import links, store
from recommend.sources import NAMES
from tests.given import (
    advance,
    encode,
    given,
    item,
    minute,
    purchase,
    view,
)
from tests.test_ranker_habits import END, JUDGED, by_hand
from tests.test_ranker_store import forget_rankers

pytestmark = pytest.mark.usefixtures("committed")

NO_SPACE = "no such space is live"
LEARNED = {
    "linked": "it goes with a ranker, of which none with links is live",
    "factors": NO_SPACE,
    "sequence": NO_SPACE,
}
LED = "nobody dealt with one item and ordered another later"
NO_PURCHASES = {
    "bought": "no order held two items",
    "led": LED,
    "again": "nobody purchased an item twice",
}


@pytest.fixture
def ranked() -> Iterator[None]:
    forget_rankers()
    yield
    forget_rankers()


def test_of_an_empty_log_nothing_speaks() -> None:
    assert set(silent.silent()) == set(NAMES)


def test_without_purchases_or_texts_the_rest_speaks() -> None:
    item("a")
    item("b")
    given(view("ann", "a"), view("ann", "b", at=1), view("bob", "a"))
    advance()
    assert silent.silent() == NO_PURCHASES | LEARNED | {
        "content": "no item has a text or an image with a vector"
    }


def test_purchases_alone_make_no_neighbours_in_views() -> None:
    item("a", title="A mug")
    item("b", title="A cup")
    given(
        purchase("ann", "a"),
        purchase("ann", "b", at=1),
        purchase("ann", "a", at=2),
        purchase("bob", "a"),
    )
    advance()
    encode()
    assert silent.silent() == LEARNED | {
        "viewed": "no shopper looked at two items",
        "led": LED,
    }


def test_a_single_shopper_has_nobody_similar() -> None:
    item("a")
    given(view("ann", "a"))
    advance()
    why = silent.silent()
    assert why["shoppers"] == "there are no two shoppers"
    assert why["viewed"] == "no shopper looked at two items"
    assert "popular" not in why


@pytest.mark.usefixtures("ranked")
def test_links_speak_with_a_ranker_and_say_how_far_they_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    item("a")
    item("b")
    given(*(view(f"u{n}", each, at=n) for n in range(5) for each in "ab"))
    advance()
    store.publish(by_hand(1), JUDGED, END)
    assert "linked" not in silent.silent()
    assert "linked speaks" not in silent.sentence()
    monkeypatch.setattr(links, "ITEMS", 2)
    assert silent.sentence().endswith("; linked speaks of the 2 best known items alone")


def test_refresh_says_it_last() -> None:
    item("a")
    given(view("ann", "a", at=(datetime.now(UTC) - minute(0)).total_seconds() / 60))
    said = io.StringIO()
    call_command("refresh", stdout=said, stderr=said)
    last = said.getvalue().splitlines()[-1]
    assert last.startswith(
        "sources: 2 of 11 can speak; not viewed (no shopper looked at two items), "
    )
