"""Judging: a ranker is measured on shoppers whom it has not learned from, beside what serves."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

import numpy as np
import pytest
from django.contrib import admin

from recommend import judging, learn, surely
from recommend.ranker import examples, looks, store, training
from recommend.ranker.examples import Example
from recommend.ranker.network import Network
from recommend.ranker.store import LISTS, Judged, Ranker
from recsite.db import one_snapshot
from recsite.learned_admin import RankerRowAdmin
from recsite.models import RankerRow
from tests.given import minute
from tests.test_ranker import drawn, heard

MOMENT: Final = timedelta(milliseconds=1)
VALUES: Final = np.array([1.0, 0.0, 0.5, 0.25])


def of(person: int) -> Example:
    rows, bought = np.zeros((1, 1), np.float32), np.ones(1, bool)
    return Example(person, rows, bought, 0, heard(rows[:, 0], bought))


def test_a_shopper_counts_once_however_many_lists_they_gave(committed: None) -> None:
    held = [of(5), of(10), of(10), of(10)]
    assert judging.beside(held, VALUES, None, "home").by_shopper(VALUES) == [1.0, 0.25]


@pytest.mark.parametrize(
    ("ours", "theirs", "is_sure"),
    [
        ([0.9], [0.1], False),
        ([0.5, 0.5, 0.5], [0.4, 0.4, 0.4], True),
        ([0.9, 0.1, 0.5], [0.1, 0.5, 0.4], False),
        ([0.4, 0.4, 0.4], [0.5, 0.5, 0.5], False),
    ],
    ids=["one shopper", "all alike", "some and some", "worse"],
)
def test_better_is_surely_better_over_shoppers(
    ours: list[float], theirs: list[float], is_sure: bool
) -> None:
    assert surely.is_better(ours, theirs) is is_sure


def a_list(person: int, *told: float) -> Example:
    """Two candidates, of which the first is so described and was bought; the blend has it second."""
    rows = np.array([told, [0.0, 0.0]], np.float32)
    bought, said = np.array([True, False]), np.array([0.0, 1.0], np.float32)
    return Example(person, rows, bought, 0, heard(said, bought))


def liking(*weights: float) -> Network:
    layer = np.array([weights], np.float32), np.zeros(1, np.float32)
    return Network(np.zeros(2, np.float32), np.ones(2, np.float32), (layer,))


def judged(made: Network, held: Sequence[Example]) -> tuple[Judged, bool]:
    """Beside the weights that stand and whatever is live."""
    with one_snapshot() as inside:
        before = store.live(inside)
    return beside(made, held, before)


def beside(made: Network, held: Sequence[Example], before: Ranker | None) -> tuple[Judged, bool]:
    found = judging.beside(held, judging.scored(made, held), before, "home")
    return judging.judge(found, "purchase", 0)


def serves(made: Network, held: Sequence[Example], before: Ranker | None) -> Sequence[str]:
    return beside(made, held, before)[0].serves


def test_one_that_is_good_for_fewer_lists_than_the_one_before_stays_out(committed: None) -> None:
    held = [a_list(n, 1, 0) for n in range(4)]
    held += [replace(a_list(n, 0, 1), is_new=True) for n in range(4)]
    made = liking(1, -1)
    figures, is_better = judged(made, held)
    assert (figures.serves, is_better) == (("any",), True)
    store.publish(liking(1, 1), figures, minute(0))
    assert judged(made, held)[1]
    store.publish(liking(2, 2), replace(figures, serves=LISTS), minute(0))
    assert not judged(made, held)[1]


def test_one_before_that_the_blend_has_overtaken_holds_nobody_up(committed: None) -> None:
    held = [a_list(n, 1, 0) for n in range(4)]
    held += [replace(a_list(n, 0, 1), is_new=True) for n in range(4)]
    store.publish(liking(-1, -1), Judged(9, 99, 0.4, 0.3, None), minute(0))
    figures, is_better = judged(liking(1, -1), held)
    assert (figures.serves, is_better) == (("any",), True)


def test_a_ranker_is_held_to_the_one_before_only_where_that_serves(committed: None) -> None:
    held = [a_list(n, 1, 0) for n in range(4)] + [a_list(n, 0, 1) for n in (4, 5)]
    held += [replace(each, is_new=True) for each in held]
    before = Ranker("before", liking(1, 1), minute(0), MOMENT, frozenset({"new"}))
    mostly_right, wrong = liking(1, -1), liking(-1, -1)
    assert serves(mostly_right, held, before) == ("any",)
    assert serves(before.network, held, before) == ("any", "new")
    assert serves(wrong, held, None) == ()


def test_who_is_worse_at_what_was_found_new_last_is_misled_and_bars_no_other_kind(
    committed: None,
) -> None:
    bought = np.array([True, False])
    first, second = (heard(np.array(said, np.float32), bought) for said in ((1, 0), (0, 1)))
    last = [replace(a_list(n, 1, 0), heard=first) for n in range(4)]
    assert judging.is_misled(liking(-1, 0), last, "home")
    assert not judging.is_misled(liking(1, 0), last, "home")
    assert not judging.is_misled(liking(-1, 0), [replace(e, heard=second) for e in last], "home")
    assert not judging.is_misled(liking(-1, 0), [], "home")
    held = [a_list(n, 1, 0) for n in range(4)]
    held += [replace(each, is_new=True) for each in held]
    found = judging.beside(held, judging.scored(liking(1, 0), held), None, "home")
    assert judging.judge(found, "purchase", 9)[0].serves == ("any", "new")
    figures, is_better = judging.judge(found, "purchase", 9, barred=("new",))
    assert (figures.serves, figures.barred, is_better) == (("any",), ("new",), True)


def test_in_turn_every_shopper_judges_what_the_others_taught() -> None:
    """Each fifth teaches nothing once, and each list is judged once."""
    every = drawn(40)
    known, held = examples.held_out(every)
    made, taught = training.train(known), []

    def train(lists: Sequence[Example]) -> Network:
        taught.append({each.person for each in lists})
        return training.train(lists)

    lists, values = judging.in_turn(made, held, every, train)
    assert sorted(each.person for each in lists) == list(range(40))
    assert [len(persons) for persons in taught] == [32] * 4
    judged_by = [{each.person for each in known}, *taught]
    for n, each in enumerate(lists):
        assert each.person not in judged_by[n // 8]
    assert values[:8].tolist() == judging.scored(made, held).tolist()


def test_it_is_said_which_lists_are_left_to_the_blend_and_why() -> None:
    judged = Judged(9, 99, 0.4, 0.3, None, serves=("any",), barred=("new",))
    said = learn._sentence(judged, True, looks.NONE)
    assert said.endswith(
        "it is live for lists of any items; what shoppers found new last the blend finds better, so lists"
        " of new items are left to it"
    )
    row = RankerRow(judged={"serves": ["any"], "barred": ["new"]})
    shown = RankerRowAdmin(RankerRow, admin.site).orders(row)
    assert shown.endswith("; what shoppers found new last the blend finds better")
