"""What a shopper knows already takes no place among what a source says."""

from datetime import UTC, datetime

import pytest

from catalog.scenarios import SOURCES
from recommend import candidates
from recommend.candidates import Wanted
from recommend.familiar import PURCHASED
from recommend.projections.popularity import EVERYTHING
from tests.given import advance, given, item, names, purchase, view

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 3, tzinfo=UTC)
POOL = 3


@pytest.fixture(autouse=True)
def shop(committed: None) -> None:
    """Seven items, the first the best known; ann knows three of them, and bought one."""
    for place, name in enumerate("abcdefg"):
        item(name)
        given(*(view(f"u{n}", name, at=n) for n in range(9 - place)))
    given(view("ann", "a"), view("ann", "b"), purchase("ann", "c"))
    advance()


def said(source: str, seen: int) -> dict[str, float]:
    """What a source alone says of each of at most POOL items."""
    weights = [float(name == source) for name in SOURCES]
    wanted = Wanted("user:ann", None, weights, EVERYTHING, seen, POOL)
    key = names("item_key")
    return {key[c.item]: round(c.score, 2) for c in candidates.gather(wanted).candidates}


def test_of_new_items_the_best_known_come_with_the_share_they_have_among_them() -> None:
    assert said("popular", 0) == {"c": 1.0, "a": 0.77, "b": 0.69}
    assert said("popular", -1) == {"d": 1.0, "e": 0.83, "f": 0.67}


def test_what_was_looked_at_only_is_said_where_only_purchases_are_left_out() -> None:
    assert said("popular", PURCHASED) == {"a": 1.0, "b": 0.9, "d": 0.6}


@pytest.mark.parametrize("source", ["viewed", "shoppers"])
def test_so_do_neighbours_and_similar_shoppers(source: str) -> None:
    assert set(said(source, 0)) & set("abc")
    assert len(said(source, -1)) == POOL
    assert not set(said(source, -1)) & set("abc")
