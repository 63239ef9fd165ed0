"""Exploration: propensities that are those of Thompson sampling, and a slot that is kept."""

import math
import random
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from recommend.explore import PRIOR, Drawn, Trial, draw, propensities, put
from recommend.untried import LEARNED
from tests.test_rerank import candidate

NEW = (0, 0)


def trials(*counts: tuple[int, int]) -> list[Trial]:
    """Items 1, 2, … that were shown and chosen so often."""
    return [Trial(number, *known) for number, known in enumerate(counts, 1)]


def chances(*counts: tuple[int, int]) -> list[float]:
    return [float(chance) for chance in propensities(trials(*counts))]


def better(one: tuple[int, int], other: tuple[int, int]) -> float:
    """The probability that the one's rate is the higher, in closed form: with a, b and c, d the
    parameters of the two, the sum over i < a of B(c + i, b + d) / ((b + i) B(1 + i, b) B(c, d))."""
    a, b, c, d = (prior + n for shown, chosen in (one, other)
                  for prior, n in zip(PRIOR, (chosen, shown - chosen), strict=True))  # fmt: skip
    return sum(
        math.exp(_log_beta(c + i, b + d) - math.log(b + i) - _log_beta(1 + i, b) - _log_beta(c, d))
        for i in range(int(a))
    )


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


# ── propensities ───────────────────────────────────────────────────────────────────────────


def test_of_equals_each_is_as_probable() -> None:
    assert chances(NEW) == [1.0]
    assert chances(NEW, NEW) == [0.5, 0.5]
    assert chances(*[(9, 2)] * 8) == pytest.approx([1 / 8] * 8)


@pytest.mark.parametrize(
    ("one", "other"),
    [(NEW, (20, 0)), (NEW, (20, 1)), ((1, 1), NEW), ((40, 3), (10, 1)), ((49, 0), (49, 49))],
)
def test_of_two_they_are_what_the_closed_form_says(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    expected = better(one, other)
    assert chances(one, other) == pytest.approx([expected, 1 - expected], abs=2e-4)


def test_of_many_they_are_how_often_the_highest_of_draws_from_the_posteriors_is_each() -> None:
    counts = (NEW, NEW, (5, 1), (30, 2), (49, 1), (12, 0), (3, 2))
    rng = np.random.default_rng(7)
    drawn = [
        rng.beta(PRIOR[0] + chosen, PRIOR[1] + shown - chosen, 200_000) for shown, chosen in counts
    ]
    won = np.bincount(np.argmax(drawn, axis=0), minlength=len(counts)) / 200_000
    assert chances(*counts) == pytest.approx(won, abs=0.005)


def test_a_choice_makes_an_item_likelier_and_passing_it_over_less_likely() -> None:
    untouched = chances((10, 1), NEW, NEW)[0]
    assert chances((11, 2), NEW, NEW)[0] > untouched > chances((11, 1), NEW, NEW)[0]


known = st.integers(0, LEARNED - 1).flatmap(
    lambda shown: st.tuples(st.just(shown), st.integers(0, shown))
)


@hypothesis.given(st.lists(known, min_size=1, max_size=70))
def test_propensities_sum_to_one_and_none_is_nothing(counts: list[tuple[int, int]]) -> None:
    found = chances(*counts)
    assert sum(found) == pytest.approx(1.0)
    assert all(0 < chance <= 1 for chance in found)
    same = dict(zip(counts, found, strict=True))
    assert [same[count] for count in counts] == found


# ── the draw ───────────────────────────────────────────────────────────────────────────────


def test_of_nothing_nothing_is_drawn() -> None:
    assert draw([], (1, 2)) is None


def test_of_one_it_is_drawn() -> None:
    assert draw(trials(NEW), (1, 2)) == Drawn(1, 1.0, 1)


@hypothesis.given(st.lists(known, min_size=1, max_size=20), st.integers(0, 2**48 - 1), st.randoms())
def test_the_same_seed_draws_the_same_whatever_the_order(
    counts: list[tuple[int, int]], seed: int, chance: random.Random
) -> None:
    given = trials(*counts)
    drawn = draw(given, (seed, 739_000))
    assert drawn is not None
    assert drawn == draw(chance.sample(given, len(given)), (seed, 739_000))
    assert drawn.propensity == chances(*counts)[drawn.item - 1]
    assert drawn.of == len(counts)


def test_over_seeds_each_is_drawn_as_often_as_its_propensity_says() -> None:
    given = trials(NEW, (10, 2), (40, 1), NEW)
    expected = {t.item: float(p) for t, p in zip(given, propensities(given), strict=True)}
    drawn = [draw(given, (seed, 0)) for seed in range(4_000)]
    items = [one.item for one in drawn if one is not None]
    assert {item: items.count(item) / 4_000 for item in expected} == pytest.approx(
        expected, abs=0.02
    )


# ── the slot ───────────────────────────────────────────────────────────────────────────────


def placed(length: int, slot: int, *pinned: int, count: int = 4) -> list[int]:
    listed = [candidate(n, 1.0) for n in range(1, length + 1)]
    return [c.item for c in put(listed, candidate(9, 0), slot=slot, count=count, pinned=pinned)]


@pytest.mark.parametrize(
    ("length", "slot", "pinned", "expected"),
    [
        (4, 1, (), [9, 1, 2, 3]),
        (4, 3, (), [1, 2, 9, 3]),
        (4, 4, (), [1, 2, 3, 9]),
        (2, 1, (), [9, 1, 2]),  # a short list becomes longer
        (2, 4, (), [1, 2, 9]),
        (0, 4, (), [9]),
        (4, 2, (2,), [1, 2, 9, 3]),  # a pin stays, and what was to come behind it moves on
        (4, 3, (1, 4), [1, 2, 9, 4]),
        (4, 4, (4,), [1, 2, 9, 4]),  # behind the last pin there is no place: the last before it
        (4, 4, (3, 4), [1, 9, 3, 4]),
        (4, 2, (1, 2, 3, 4), [1, 2, 3, 4]),  # no place is free
        (2, 1, (1, 2), [1, 2, 9]),
    ],
)  # fmt: skip
def test_the_untried_takes_its_slot_and_no_pins(
    length: int, slot: int, pinned: tuple[int, ...], expected: list[int]
) -> None:
    assert placed(length, slot, *pinned) == expected


@hypothesis.given(
    st.integers(0, 6), st.integers(1, 6), st.integers(1, 6), st.sets(st.integers(1, 6))
)
def test_pins_keep_their_places_and_the_rest_its_order(
    length: int, slot: int, count: int, pinned: set[int]
) -> None:
    length = min(length, count)
    before: list[Any] = list(range(1, length + 1))
    after = placed(length, slot, *pinned, count=count)
    assert {n: after[n - 1] for n in before if n in pinned} == {n: n for n in before if n in pinned}
    assert len(after) == min(count, length + (1 if set(before) - pinned or length < count else 0))
    rest = [n for n in after if n != 9 and n not in pinned]
    assert rest == [n for n in before if n not in pinned][: len(rest)]
    assert len(before) - len(set(before) & set(after)) <= 1
