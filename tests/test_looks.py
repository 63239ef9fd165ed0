"""Looks: how much a place is looked at, what a choice from it is worth, and what a ranker makes of it."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from recommend import erase, goals, learn, split
from recommend.ranker import examples, looks, training
from recommend.ranker.examples import Example
from recommend.ranker.looks import Looks, Stood
from recsite.db import cursor
from tests.given import advance, given, identify, item, minute, purchase, quarantine, view
from tests.test_ranker import DAY, drawn, heard

TRUE: Final = np.array([1.0, 0.6, 0.4, 0.25, 0.15])
"""How much each place of the invented shop is looked at."""

SERVE: Final = """
INSERT INTO slate (id, scenario, subject, items, shortfall, position, detail)
SELECT overlay(first_id(%s)::text PLACING right(gen_random_uuid()::text, 12) FROM 25)::uuid,
       'home', (SELECT subject FROM subject_key WHERE key = %s),
       ARRAY(SELECT item FROM unnest(%s::text[]) WITH ORDINALITY AS named(key, place)
             JOIN item_key USING (key) ORDER BY place), 0, '0', '{}'
RETURNING id
"""


def served(*items: str, at: float, user: str | None = None) -> uuid.UUID:
    """A list that was served `at` minutes after START, of items that the log knows."""
    with cursor() as hot:
        (made,) = hot.execute(SERVE, [minute(at), user, list(items)]).fetchone() or (None,)
    assert isinstance(made, uuid.UUID)
    return made


# ── how much a place is looked at ──────────────────────────────────────────────────────────


def visited(lists: int, *, at: float = 0, seed: int = 7) -> None:
    """A shop that shows strangers five of its twenty things, mostly the best first; one list a
    minute. Each is as good as its number, and taken where it is good and looked at."""
    chance = np.random.default_rng(seed)
    given([view("bob", f"thing{n}", at=at - 60) for n in range(20)])
    taken = []
    for n in range(lists):
        shown = chance.permutation(20)[:5]
        shown = shown[np.argsort(-shown / 20 + chance.normal(size=5) * 0.3)]
        slate = served(*(f"thing{thing}" for thing in shown), at=at + n)
        for thing in shown[chance.random(5) < TRUE * (0.05 + shown / 25)]:
            taken.append(view(f"anon:{n}", f"thing{thing}", at=at + n + 0.5, slate=slate))
    given(taken)
    advance("attribution")


def test_how_much_places_are_looked_at_is_told_by_things_that_moved(committed: None) -> None:
    """The top is chosen from more than it is looked at, for what is good stands there."""
    visited(3_000)
    found = looks.read(minute(DAY * 9))
    assert found.slates == 3_000
    assert np.abs(found.places["home"] - TRUE).max() < 0.05
    with cursor() as hot:
        chosen = hot.execute("SELECT count(*) FROM attribution GROUP BY place ORDER BY place")
        by_place = np.array([count for (count,) in chosen])
    assert np.abs(by_place / by_place[0] - TRUE).max() > 0.1


def test_too_few_choices_tell_nothing_and_it_is_said_how_many_there_are(committed: None) -> None:
    given(view("bob", "mug"), view("bob", "cup"))
    first, second = served("mug", "cup", at=1), served("cup", "mug", at=2)
    given(view("anon:1", "mug", at=3, slate=first), view("anon:2", "mug", at=4, slate=second))
    given(view("anon:3", "cup", at=5, slate=second), view("anon:1", "mug", at=6, slate=first))
    advance("attribution")
    found = looks.read(minute(DAY))
    assert (dict(found.places), found.slates, found.choices) == ({}, 0, 3)
    assert (
        found.said == "their places not unlearned (3 choices of items that moved, 1000 are needed)"
    )


def test_what_stood_at_one_place_only_tells_nothing(committed: None) -> None:
    given(view("bob", "mug"), view("bob", "cup"))
    given(view("anon:1", "mug", at=3, slate=served("mug", "cup", at=1)))
    advance("attribution")
    assert looks.read(minute(DAY)).choices == 0


def test_a_thing_that_tells_nothing_leaves_no_gap(
    committed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "LEAST", 1)
    given(*[view("bob", name, at=n) for n, name in enumerate(("mug", "cup", "jug"))])
    slate = served("mug", "cup", "jug", at=4)
    served("jug", "cup", "mug", at=5)
    given(view("anon:1", "mug", at=6, slate=slate), view("anon:2", "jug", at=6, slate=slate))
    advance("attribution")
    assert looks.read(minute(DAY)).places["home"].tolist() == [1.0, 1.0, 1.0]


def test_places_of_lists_for_different_shoppers_are_not_compared(committed: None) -> None:
    """What stands higher for whom likes it more is taken more for another reason."""
    given(view("ann", "mug"), view("bob", "mug"), view("bob", "cup"))
    slate = served("mug", "cup", at=1, user="user:ann")
    served("cup", "mug", at=2, user="user:bob")
    given(view("ann", "mug", at=3, slate=slate))
    advance("attribution")
    assert looks.read(minute(DAY)).choices == 0
    served("cup", "mug", at=4, user="user:ann")
    assert looks.read(minute(DAY)).choices == 1


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many choices as a small shop has."""
    monkeypatch.setattr(looks, "LEAST", 50)


def known(found: Looks) -> tuple[int, int, list[float]]:
    return found.slates, found.choices, list(found.places["home"])


@pytest.mark.usefixtures("few", "committed")
def test_nothing_is_known_of_what_came_later() -> None:
    visited(200)
    cut = minute(200)
    then = known(looks.read(cut))
    visited(100, at=200, seed=8)
    assert known(looks.read(minute(DAY))) != then
    assert known(looks.read(cut)) == then
    with split.before(cut, "rec_looks"):
        assert known(looks.read(minute(DAY))) == then
    assert known(looks.read(minute(DAY)))[0] == 300


@pytest.mark.usefixtures("few", "committed")
def test_who_is_hidden_or_erased_has_said_nothing_of_places() -> None:
    visited(200)
    before = known(looks.read(minute(DAY)))
    given(view("eve", "thing1", at=300))
    slate = served("thing1", "thing2", at=301, user="user:eve")
    served("thing2", "thing1", at=302, user="user:eve")
    given(view("eve", "thing1", at=303, slate=slate))
    advance()
    assert known(looks.read(minute(DAY)))[:2] == (before[0] + 2, before[1] + 1)
    given(quarantine("eve", at=304))
    advance()
    assert known(looks.read(minute(DAY))) == before
    given(quarantine("eve", at=305, undo=True))
    advance()
    assert known(looks.read(minute(DAY))) != before
    erase.erase("user:eve", asked_by="a test")
    assert known(looks.read(minute(DAY))) == before


def test_a_place_of_which_nothing_is_known_is_like_the_others() -> None:
    """Place 2 was shown as often as place 1 and chosen half as often; of place 4 nobody knows."""
    stood = Stood(
        np.array([0, 0, 1, 1]), np.array([0, 1, 0, 3]), np.array([9e4, 9e4, 0.0, 0.0]) + 1e-9,
        np.array([8e4, 4e4, 0.0, 0.0]),
    )  # fmt: skip
    looked = looks.estimate(stood)
    np.testing.assert_allclose(looked[1], 0.5, atol=1e-3)
    assert looked[3] > looked[1]


# ── what a choice is worth ─────────────────────────────────────────────────────────────────

KNOWN: Final = Looks({"home": np.array([1.0, 0.5, 0.25, 0.05])}, 900)


@pytest.mark.parametrize(("place", "worth"), [(1, 0.1), (2, 0.2), (3, 0.4), (4, 1.0), (5, 1.0)])
def test_a_choice_is_worth_the_inverse_of_the_looks_at_its_place(place: int, worth: float) -> None:
    assert KNOWN.worth("home", place) == worth
    assert KNOWN.worth("cart", place) == 1.0


def worths(*, looked: Looks) -> dict[int, list[float] | None]:
    """Of each list of the window: how much its candidates that were bought say."""
    found = examples.collect(
        learn.WANTED, minute(10 * DAY), minute(20 * DAY), goals.PURCHASE, looked=looked
    )
    return {
        n: None if e.worth is None else [round(float(w), 6) for w in e.worth[e.wanted]]
        for n, e in enumerate(found)
    }


def test_what_a_list_had_shown_before_it_was_bought_says_less(committed: None) -> None:
    """Ann buys a mug that her lists showed, at the third place and the second, and a cup that they
    showed afterwards, or long before, or to others."""
    for name in ("mug", "cup", "jug", "pot"):
        item(name, title=name)
    given(view("ann", "mug"), view("ann", "cup"), view("bob", "pot"), view("bob", "jug"))
    given(identify("anon:phone", "ann", at=1))
    advance()
    served("cup", at=2 * DAY, user="user:ann")
    served("jug", "pot", "mug", at=11 * DAY, user="user:ann")
    served("jug", "mug", at=11.5 * DAY, user="anon:phone")
    served("cup", "mug", at=11 * DAY, user="user:bob")
    given(purchase("ann", "mug", "cup", at=12 * DAY))
    served("cup", "mug", at=13 * DAY, user="user:ann")
    given(purchase("ann", "mug", "cup", at=14 * DAY))
    mug_cup = worths(looked=KNOWN)
    assert sorted(mug_cup[0] or []) == [0.2, 1.0]
    assert worths(looked=looks.NONE) == {0: None}


# ── what a ranker makes of it ──────────────────────────────────────────────────────────────


def test_where_no_place_is_known_training_is_what_it_was() -> None:
    plain = drawn(40)
    same = [replace(e, worth=np.ones(20, np.float32)) for e in plain]
    assert training.train(plain).name == training.train(same).name


def lists_of(shown_first: Sequence[float], good: Sequence[float]) -> list[Example]:
    """Each list has four things, of two sorts; the first sort always stood at the top, the second
    at the last place, and each was bought as probably as it is good and was looked at."""
    chance = np.random.default_rng(5)
    sort = np.array([0, 0, 1, 1])
    rows = np.stack([sort == 0, sort == 1], axis=1).astype(np.float32)
    looked = np.array(shown_first)[sort]
    made = []
    for person in range(3_000):
        bought = chance.random(4) < np.array(good)[sort] * looked
        if bought.any():
            worth = (looked.min() / looked).astype(np.float32)
            made.append(Example(person, rows, bought, 0, heard(rows[:, 0], bought), worth=worth))
    return made


def test_the_better_thing_comes_first_though_the_other_stood_at_the_top() -> None:
    found = lists_of(shown_first=(1.0, 0.2), good=(0.1, 0.3))
    naive = training.train([replace(e, worth=None) for e in found]).scores(found[0].told)
    fair = training.train(found).scores(found[0].told)
    assert naive[0] > naive[2]
    assert fair[2] > fair[0]


def test_the_sentence_says_by_how_many_slates_places_were_unlearned() -> None:
    assert KNOWN.said == "their places unlearned by 900 slates"
