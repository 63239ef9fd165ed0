"""Re-ranking: exact orders, caps that hold, and that nothing is ever lost."""

from collections import Counter
from dataclasses import replace
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from recommend.candidates import Candidate, Part
from recommend.rerank import NO_CAPS, Caps, alike, beyond, diversify, fitting, surprise
from recommend.sources import AGAIN, POPULAR


def candidate(item: int, score: float, **about: Any) -> Candidate:
    """A candidate with nothing in common with any other, unless `about` says so."""
    plain: dict[str, Any] = {"parts": (), "lineage": (), "brand": "", "said": None}
    known = plain | {"attributes": {}} | about
    return Candidate(item=item, item_id=f"i{item}", score=score, **known)


def order(candidates: list[Candidate], count: int = 10, *, diversity: float) -> list[int]:
    return [c.item for c in diversify(candidates, count, diversity=diversity)]


MUGS = [
    candidate(1, 1.0, lineage=(1, 2)),
    candidate(2, 0.9, lineage=(1, 2)),
    candidate(3, 0.6, lineage=(1, 3)),
    candidate(4, 0.5),
]


@pytest.mark.parametrize(
    ("one", "other", "likeness"),
    [
        ({}, {}, 0.0),
        ({"said": 7}, {"said": 7}, 1.0),
        ({"said": 7}, {"said": 8}, 0.0),
        ({"brand": "Acme"}, {"brand": "Acme"}, 0.3),
        ({"lineage": (1, 2)}, {"lineage": (1, 2)}, 0.6),
        ({"lineage": (1, 2)}, {"lineage": (1, 3)}, 0.0),
        ({"lineage": (1,), "brand": "A"}, {"lineage": (1,), "brand": "A"}, 0.6 + 0.3),
        ({"lineage": (1,), "brand": "A", "said": 7}, {"lineage": (1,), "said": 7}, 1.0),
    ],
)
def test_likeness_is_of_text_then_of_category_and_brand(
    one: dict[str, Any], other: dict[str, Any], likeness: float
) -> None:
    a, b = candidate(1, 1, **one), candidate(2, 1, **other)
    assert alike(a, b) == alike(b, a) == likeness


def test_without_diversity_the_order_stays() -> None:
    assert order(MUGS, diversity=0) == [1, 2, 3, 4]


def test_what_repeats_the_best_steps_back() -> None:
    # 2 keeps .9 × .5 − .6 × .5 = .15; 3 has .6 × .5 = .3 and 4 has .25.
    assert order(MUGS, diversity=0.5) == [1, 3, 4, 2]


def test_a_little_diversity_moves_little() -> None:
    # 2 keeps .9 × .7 − .6 × .3 = .45, still more than .6 × .7 = .42.
    assert order(MUGS, diversity=0.3) == [1, 2, 3, 4]


def test_what_the_shopper_buys_again_stands_beside_what_is_like_it() -> None:
    own = (Part(AGAIN, 1.0, 1),)
    habits = [replace(c, parts=own) if c.item == 2 else c for c in MUGS]
    assert order(habits, diversity=0.5) == [1, 2, 3, 4]
    # It is no less what the next one repeats.
    first = [replace(c, parts=own) if c.item == 1 else c for c in MUGS]
    assert order(first, diversity=0.5) == order(MUGS, diversity=0.5)


def test_only_the_first_places_are_chosen_the_rest_stay_by_score() -> None:
    assert order(MUGS, 2, diversity=0.5) == [1, 3, 2, 4]


def test_full_diversity_looks_at_likeness_alone_and_then_at_the_order() -> None:
    twins = [candidate(1, 1.0, said=7), candidate(2, 0.9, said=7), candidate(3, 0.1)]
    assert order(twins, diversity=1) == [1, 3, 2]


def test_scores_are_taken_relative_to_the_best() -> None:
    thousandfold = [candidate(c.item, c.score * 1_000, lineage=c.lineage) for c in MUGS]
    assert order(thousandfold, diversity=0.5) == order(MUGS, diversity=0.5)


def test_nothing_and_one_are_lists_too() -> None:
    assert order([], diversity=0.5) == []
    assert order([candidate(1, 0.0)], diversity=0.5) == [1]


def test_scores_of_nothing_are_no_error() -> None:
    assert order([candidate(1, 0.0), candidate(2, 0.0)], diversity=0.5) == [1, 2]


# ── caps ───────────────────────────────────────────────────────────────────────────────────

SHELF = [
    candidate(1, 1.0, lineage=(1, 2), brand="A", seller="x"),
    candidate(2, 0.9, lineage=(1, 2), brand="A", seller="y"),
    candidate(3, 0.8, lineage=(1, 2), brand="B", seller="x"),
    candidate(4, 0.7, lineage=(1, 3), brand="A", seller="x"),
    candidate(5, 0.6, lineage=(1, 3), brand="", seller=""),
    candidate(6, 0.5, lineage=(), brand="", seller=""),
]


def capped(count: int = 10, diversity: float = 0.0, **caps: Any) -> list[int]:
    return [c.item for c in diversify(SHELF, count, diversity=diversity, caps=Caps(**caps))]


@pytest.mark.parametrize(
    ("count", "caps", "expected"),
    [
        (3, {}, [1, 2, 3, 4, 5, 6]),
        (3, {"category": 1}, [1, 4, 6, 2, 3, 5]),
        (3, {"category": 2}, [1, 2, 4, 3, 5, 6]),
        (3, {"brand": 1}, [1, 3, 5, 2, 4, 6]),
        (3, {"seller": 1}, [1, 2, 5, 3, 4, 6]),
        (3, {"seller": 2}, [1, 2, 3, 4, 5, 6]),
        (4, {"category": 1, "brand": 1}, [1, 5, 6, 2, 3, 4]),
        (4, {"category": 2, "brand": 2, "seller": 1}, [1, 2, 5, 6, 3, 4]),
    ],
)
def test_what_is_more_than_a_cap_allows_stands_behind_all_that_fits(
    count: int, caps: dict[str, Any], expected: list[int]
) -> None:
    assert capped(count, **caps) == expected


def test_where_nothing_else_is_left_the_capped_fill_the_end() -> None:
    assert capped(6, category=1) == [1, 4, 6, 2, 3, 5]


def test_the_own_category_is_capped_and_not_those_above_it() -> None:
    assert capped(5, category=3) == [1, 2, 3, 4, 5, 6]


def test_the_category_that_was_asked_for_is_not_capped() -> None:
    assert capped(4, category=1, asked=2) == [1, 2, 3, 4, 5, 6]
    assert capped(4, category=1, asked=3) == [1, 4, 5, 6, 2, 3]


def test_no_name_is_no_brand_and_no_seller() -> None:
    assert capped(6, brand=1)[2:4] == [5, 6]


def test_what_is_pinned_counts_first_and_stays() -> None:
    pinned = SHELF[3]
    result = diversify(SHELF, 3, diversity=0, caps=Caps(brand=1), fixed=[pinned])
    assert [c.item for c in result] == [3, 4, 5, 1, 2, 6]


def test_variety_chooses_among_those_that_fit() -> None:
    # 5 and 6 have nothing of 1; 3 shares its category and 2 its brand, too.
    assert capped(4, 0.5) == [1, 5, 6, 3, 2, 4]
    # The seller of 1 is that of 3 and 4.
    assert capped(4, 0.5, seller=1) == [1, 5, 6, 2, 3, 4]


def test_beyond_a_cap_are_those_that_come_too_late() -> None:
    assert [c.item for c in beyond(SHELF, Caps(brand=2, category=2))] == [3, 4]
    assert beyond(SHELF, NO_CAPS) == []


def test_what_fits_could_be_added_by_itself() -> None:
    assert [c.item for c in fitting(SHELF[2:], SHELF[:2], Caps(brand=2))] == [3, 5, 6]
    assert [c.item for c in fitting(SHELF[2:], SHELF[:2], Caps(category=2))] == [4, 5, 6]


# ── surprise ───────────────────────────────────────────────────────────────────────────────


def discounted(serendipity: float, *known: Candidate) -> list[float]:
    return [round(c.score, 6) for c in surprise(known, serendipity)]


def test_what_is_better_known_loses_more() -> None:
    famous, known, unheard = (candidate(n, 0.9, fame=f) for n, f in ((1, 700), (2, 70), (3, None)))
    assert discounted(0.0, famous, known, unheard) == [0.9, 0.9, 0.9]
    assert discounted(0.5, famous, known, unheard) == [0.45, 0.675, 0.9]
    assert discounted(1.0, famous, known, unheard) == [0.0, 0.45, 0.9]


def test_equally_known_lose_equally() -> None:
    assert discounted(1.0, *(candidate(n, 1.0, fame=5) for n in range(3))) == [1.0, 1.0, 1.0]
    assert discounted(1.0, *(candidate(n, 1.0, fame=f) for n, f in enumerate((9, 9, 1)))) == [
        0.5, 0.5, 1.0,
    ]  # fmt: skip


def test_what_the_shopper_buys_again_is_no_surprise_to_them() -> None:
    habit = candidate(1, 1.0, parts=(Part(AGAIN, 1.0, 1),))
    bestseller = candidate(2, 1.0, parts=(Part(POPULAR, 1.0, None),), fame=3)
    assert discounted(0.4, habit, bestseller) == [0.6, 0.6]


def test_of_one_alone_nothing_is_known_better() -> None:
    assert discounted(1.0, candidate(1, 1.0, fame=3)) == [1.0]
    assert surprise([], 1.0) == []


# ── whatever comes ─────────────────────────────────────────────────────────────────────────

candidates = st.lists(
    st.builds(
        candidate,
        st.integers(1, 50),
        st.floats(0, 100),
        lineage=st.sampled_from(((), (1,), (1, 2))),
        brand=st.sampled_from(("", "A")),
        seller=st.sampled_from(("", "x", "y")),
        fame=st.sampled_from((None, 1, 2, 3)),
        said=st.sampled_from((None, 7, 8)),
    ),
    max_size=12,
    unique_by=lambda c: c.item,
).map(lambda found: sorted(found, key=lambda c: (-c.score, c.item)))


@hypothesis.given(candidates, st.integers(0, 12), st.floats(0, 1))
def test_what_comes_in_comes_out_the_best_first(
    given: list[Candidate], count: int, diversity: float
) -> None:
    result = diversify(given, count, diversity=diversity)
    assert sorted(c.item for c in result) == sorted(c.item for c in given)
    assert result[:1] == given[:1] or diversity == 1
    rest = result[count:]
    assert rest == sorted(rest, key=lambda c: (-c.score, c.item))
    assert diversify(given, count, diversity=diversity) == result


most = st.one_of(st.none(), st.integers(1, 3))
caps = st.builds(Caps, most, most, most, st.sampled_from((None, 1, 2)))


@hypothesis.given(candidates, st.integers(0, 12), st.floats(0, 1), caps)
def test_caps_hold_and_lose_nothing(
    given: list[Candidate], count: int, diversity: float, caps: Caps
) -> None:
    result = diversify(given, count, diversity=diversity, caps=caps)
    assert sorted(c.item for c in result) == sorted(c.item for c in given)
    over = beyond(result[:count], caps)
    if over:
        # Only where nothing that fits is left, and they are the last.
        assert fitting(result[count:], [c for c in result[:count] if c not in over], caps) == []
        assert [c.item for c in result[:count]][-len(over) :] == [c.item for c in over]
    counted = Counter(c.brand for c in result[:count] if c.brand and c not in over)
    assert caps.brand is None or all(n <= caps.brand for n in counted.values())


@hypothesis.given(candidates, st.floats(0, 1))
def test_a_surprise_takes_away_at_most_its_share_and_moves_nothing(
    given: list[Candidate], serendipity: float
) -> None:
    result = surprise(given, serendipity)
    assert [c.item for c in result] == [c.item for c in given]
    for was, now in zip(given, result, strict=True):
        assert was.score * (1 - serendipity) <= now.score <= was.score
        assert now.score == was.score or was.fame is not None
