"""Links: the closed-form model against its definition, and lists in which a ranker hears it."""

import uuid
from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pytest
from sqlalchemy import text

from catalog.models import Scenario
from catalog.scenarios import SOURCES
from recommend import erase, split
from recommend.pipeline import Ask, Composed, compose, serve
from recommend.ranker import ease, links, store
from recommend.replay import replay
from recommend.sources import LINKED, NAMES
from recsite.db import one_snapshot
from tests.given import (
    advance,
    ask,
    dismiss,
    given,
    item,
    minute,
    names,
    purchase,
    quarantine,
    rule,
    view,
)  # fmt: skip
from tests.test_ranker_habits import DAY, END, JUDGED, by_hand
from tests.test_ranker_store import forget_rankers

# ── the model ──────────────────────────────────────────────────────────────────────────────


def drawn(shoppers: int, items: int, seed: int = 0) -> ease.Choices:
    chosen = np.random.default_rng(seed).random((shoppers, items)) < 0.3
    return np.argwhere(chosen).astype(np.int32)


def by_definition(choices: ease.Choices, items: int) -> np.ndarray:
    """Each column is what foretells one item from all others best, found one by one."""
    chosen = np.zeros((choices[:, 0].max() + 1, items))
    chosen[choices[:, 0], choices[:, 1]] = 1
    weights = np.zeros((items, items))
    for one in range(items):
        others = np.delete(np.arange(items), one)
        seen = chosen[:, others]
        held = seen.T @ seen + ease.HELD_BACK * np.eye(len(others))
        weights[others, one] = np.linalg.solve(held, seen.T @ chosen[:, one])
    return weights


def test_it_is_what_foretells_each_item_best_from_the_others() -> None:
    choices = drawn(400, 12)
    places, weights = ease.neighbours(choices, 12, 11)
    found = np.zeros((12, 12))
    np.put_along_axis(found, places, weights / ease.UNIT, axis=1)
    np.testing.assert_allclose(found, np.maximum(by_definition(choices, 12), 0), atol=2e-5)
    assert (np.diff(weights, axis=1) <= 0).all()


def test_the_order_of_choices_does_not_matter() -> None:
    choices = drawn(200, 20)
    shuffled = np.random.default_rng(1).permutation(choices)
    for one, other in zip(
        ease.neighbours(choices, 20, 5), ease.neighbours(shuffled, 20, 5), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_what_one_shopper_alone_joined_says_nothing() -> None:
    choices = np.array([[0, 0], [0, 1], [1, 0], [1, 2], [2, 0], [2, 2]], np.int32)
    places, weights = ease.neighbours(choices, 3, 2)
    heard = {(n, int(p)) for n in range(3) for p, w in zip(places[n], weights[n], strict=True) if w}
    assert heard == {(0, 2), (2, 0)}


# ── lists ──────────────────────────────────────────────────────────────────────────────────

ONLY = Ask("home", "user:ann", exclude_seen="interacted")


@pytest.fixture
def shop(committed: None) -> Iterator[None]:
    """Three who like tea and cake, four who like nails and hammers; a ranker that hears only links."""
    for name in ("tea", "cake", "nail", "hammer", "rare"):
        item(name, title=name)
    for who in range(3):
        given(view(f"t{who}", "tea"), purchase(f"t{who}", "cake", at=200 * 60 * who))
    for who in range(4):
        given(view(f"n{who}", "nail"), view(f"n{who}", "hammer", at=200 * 60 * who))
    given(view("t0", "rare", at=1))
    given(view("ann", "tea"))
    Scenario.objects.filter(name="home").update(
        diversity=0.0, **dict.fromkeys(SOURCES, 0.0) | {"linked": 1.0}
    )
    advance()
    forget_rankers()
    store.publish(by_hand(*(name == "linked" for name in NAMES)), JUDGED, END)
    yield
    forget_rankers()


def listed(made: Composed) -> list[str]:
    return [shown.item_id for shown in made.items]


live = pytest.mark.usefixtures("shop")


@live
def test_what_all_the_shoppers_choices_speak_for_is_proposed_with_a_reason() -> None:
    made = compose(ONLY, END)
    assert listed(made) == ["cake"]
    (shown,) = made.items
    assert [reason.said() for reason in shown.reasons] == [
        {"source": "linked", "text": "Because you viewed tea", "because": "tea"}
    ]


@live
def test_a_click_counts_in_the_very_next_list() -> None:
    given(view("ann", "nail", at=999 * 60))
    assert listed(compose(ONLY, END)) == ["hammer", "cake"]


@live
def test_what_was_dismissed_speaks_for_nothing() -> None:
    given(dismiss("ann", "tea", at=5))
    assert listed(compose(ONLY, END)) == []


@live
def test_without_its_weight_or_a_ranker_it_is_not_heard() -> None:
    Scenario.objects.filter(name="home").update(linked=0.0)
    assert listed(compose(ONLY, END)) == []
    Scenario.objects.filter(name="home").update(linked=1.0)
    ask("UPDATE ranker SET is_live = false RETURNING name")
    assert listed(compose(ONLY, END)) == []


@live
def test_a_rule_hides_what_is_linked_as_anything_else() -> None:
    rule(["home"], action="hide", item_id="cake")
    assert listed(compose(ONLY, END)) == []


@live
def test_each_ranker_keeps_the_links_that_it_was_made_with() -> None:
    first = ask("SELECT item, items, weights FROM item_link ORDER BY item")
    given(*(view(f"m{n}", name) for n in range(9) for name in ("tea", "hammer")))
    store.publish(by_hand(2), JUDGED, END)
    store.publish(by_hand(*(name == "linked" for name in NAMES)), JUDGED, END)
    name = by_hand(*(name == "linked" for name in NAMES)).name
    kept = ask("SELECT item, items, weights FROM item_link WHERE ranker = %s ORDER BY item", name)
    assert kept == first
    assert len(ask("SELECT DISTINCT ranker FROM item_link")) == 2


@live
def test_who_is_hidden_links_nothing() -> None:
    given(*(view(f"bot{n}", name) for n in range(9) for name in ("tea", "hammer")))
    given(*(quarantine(f"bot{n}", at=1) for n in range(9)))
    store.publish(by_hand(2), JUDGED, END)
    tea, hammer = (
        ask("SELECT item FROM item_key WHERE key = %s", n)[0][0] for n in ("tea", "hammer")
    )
    ((items,),) = ask(
        "SELECT items FROM item_link WHERE ranker = %s AND item = %s", by_hand(2).name, tea
    )
    assert hammer not in items
    assert [names("item_key")[one] for one in items] == ["cake"]


def spoken_for_by_tea(cut: datetime) -> set[str]:
    """What tea speaks for, as learned from what was known then."""
    key = names("item_key")
    with split.before(cut, "rec_examples") as inside:
        links.fill(inside, "")
        rows = inside.execute(text("SELECT item, items FROM item_link"))
        return {key[one] for item, items in rows if key[item] == "tea" for one in items}


@live
def test_an_erased_shopper_is_in_no_links_from_the_next_hour_on() -> None:
    store.publish(by_hand(2), JUDGED, END)
    store.publish(by_hand(*(name == "linked" for name in NAMES)), JUDGED, END)
    slate, made = serve(ONLY, END)
    assert listed(made) == ["cake"]
    for who in range(2):
        erase.erase(f"user:t{who}", asked_by="a test")
    assert store.settle_links() == 2
    assert store.settle_links() == 0
    assert listed(compose(ONLY, END)) == []
    assert ask("SELECT DISTINCT ranker FROM item_link") == ask(
        "SELECT name FROM ranker WHERE is_live"
    )
    ((fresh,),) = ask("SELECT sum(cardinality(items)) FROM item_link")
    ask("DELETE FROM item_link RETURNING item")
    with one_snapshot() as inside:
        links.fill(inside, "anew")
    assert ask("SELECT sum(cardinality(items)) FROM item_link") == [(fresh,)]
    assert any("counted anew" in said for said in replay(uuid.UUID(slate)).causes)


@live
def test_a_window_of_the_past_learns_from_that_window_alone() -> None:
    given(*(view(f"m{n}", name, at=50 * DAY) for n in range(9) for name in ("tea", "hammer")))
    before = ask("SELECT count(*) FROM item_link")
    assert spoken_for_by_tea(minute(40 * DAY)) == {"cake"}
    assert spoken_for_by_tea(minute(51 * DAY)) == {"cake", "hammer"}
    assert ask("SELECT count(*) FROM item_link") == before


def test_a_shop_in_which_nothing_happened_has_no_links(committed: None) -> None:
    with one_snapshot() as inside:
        links.fill(inside, "nobody's")
    assert ask("SELECT count(*) FROM item_link") == [(0,)]
    assert NAMES[LINKED - 1] == "linked"
