"""Similar shoppers: what those did who dealt with the same items."""

from datetime import UTC, datetime

import pytest

from catalog.models import Scenario
from catalog.scenarios import SOURCES
from recommend import shoppers
from recommend.pipeline import Ask, Composed, compose
from tests.given import advance, dismiss, given, item, purchase, quarantine, view

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 3, tzinfo=UTC)


@pytest.fixture(autouse=True)
def shop(committed: None) -> None:
    """Lists of similar shoppers alone."""
    for name in "abcdefgh":
        item(name)
    Scenario.objects.filter(name="home").update(
        diversity=0.0, exclude_seen="interacted", **dict.fromkeys(SOURCES, 0.0) | {"shoppers": 1.0}
    )


def home(user: str = "ann") -> Composed:
    return compose(Ask("home", f"user:{user}"), NOW)


def listed(user: str = "ann") -> list[str]:
    return [shown.item_id for shown in home(user).items]


def test_what_a_shopper_with_the_same_items_did_is_proposed_with_a_reason() -> None:
    given(view("ann", "a"), view("bob", "a"), view("bob", "b"), view("cat", "c"), view("cat", "d"))
    advance()
    (shown,) = home().items
    assert shown.item_id == "b"
    assert [reason.said() for reason in shown.reasons] == [
        {"source": "shoppers", "text": "Chosen by shoppers like you"}
    ]


def test_who_shares_more_is_heard_more() -> None:
    given(view("ann", "a"), view("ann", "b"))
    given(view("bob", "a"), view("bob", "c"), view("cat", "a"), view("cat", "b"), view("cat", "d"))
    advance()
    assert listed() == ["d", "c"]


def test_what_everybody_knows_tells_little() -> None:
    given(*(view(f"x{n}", "a") for n in range(20)))
    given(view("ann", "a"), view("ann", "b"))
    given(view("bob", "a"), view("bob", "c"), view("cat", "b"), view("cat", "d"))
    advance()
    assert listed() == ["d", "c"]


def test_a_click_counts_in_the_very_next_list_on_both_sides() -> None:
    given(view("ann", "a"), view("bob", "a"))
    advance()
    assert listed() == []
    given(view("bob", "e"))
    assert listed() == ["e"]
    given(view("cat", "f"), view("cat", "g"))
    advance()
    given(view("ann", "f"))
    assert listed() == ["g", "e"]


def test_what_a_peer_dismissed_or_who_is_hidden_says_nothing() -> None:
    given(view("ann", "a"), view("bob", "a"), dismiss("bob", "b"), purchase("bob", "c"))
    given(view("bot", "a"), view("bot", "d"))
    given(quarantine("bot"))
    advance()
    assert listed() == ["c"]


def test_a_shopper_without_a_history_and_one_without_peers_get_nothing() -> None:
    given(view("ann", "a"))
    advance()
    assert listed() == listed("nobody") == []


def test_a_source_without_weight_is_not_asked() -> None:
    given(view("ann", "a"), view("bob", "a"), view("bob", "b"))
    advance()
    Scenario.objects.filter(name="home").update(shoppers=0.0)
    assert listed() == []


def test_of_an_item_that_all_know_those_count_who_dealt_with_it_last() -> None:
    given(view("old", "a", at=0), view("old", "b", at=0))
    given(*(view(f"x{n}", "a", at=1 + n) for n in range(shoppers.KNOWN_BY - 1)))
    given(view("new", "a", at=500), view("new", "c", at=500), view("ann", "h", "a", at=501))
    advance()
    assert listed() == ["c"]
