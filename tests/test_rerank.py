"""Re-ranking: exact orders, and that nothing is ever lost."""

from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from recommend.candidates import Candidate
from recommend.rerank import alike, diversify


def candidate(item: int, score: float, **about: Any) -> Candidate:
    """A candidate with nothing in common with any other, unless `about` says so."""
    plain: dict[str, Any] = {"parts": (), "lineage": (), "brand": "", "passage": None}
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
        ({"passage": 7}, {"passage": 7}, 1.0),
        ({"passage": 7}, {"passage": 8}, 0.0),
        ({"brand": "Acme"}, {"brand": "Acme"}, 0.3),
        ({"lineage": (1, 2)}, {"lineage": (1, 2)}, 0.6),
        ({"lineage": (1, 2)}, {"lineage": (1, 3)}, 0.0),
        ({"lineage": (1,), "brand": "A"}, {"lineage": (1,), "brand": "A"}, 0.6 + 0.3),
        ({"lineage": (1,), "brand": "A", "passage": 7}, {"lineage": (1,), "passage": 7}, 1.0),
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


def test_only_the_first_places_are_chosen_the_rest_stay_by_score() -> None:
    assert order(MUGS, 2, diversity=0.5) == [1, 3, 2, 4]


def test_full_diversity_looks_at_likeness_alone_and_then_at_the_order() -> None:
    twins = [candidate(1, 1.0, passage=7), candidate(2, 0.9, passage=7), candidate(3, 0.1)]
    assert order(twins, diversity=1) == [1, 3, 2]


def test_scores_are_taken_relative_to_the_best() -> None:
    thousandfold = [candidate(c.item, c.score * 1_000, lineage=c.lineage) for c in MUGS]
    assert order(thousandfold, diversity=0.5) == order(MUGS, diversity=0.5)


def test_nothing_and_one_are_lists_too() -> None:
    assert order([], diversity=0.5) == []
    assert order([candidate(1, 0.0)], diversity=0.5) == [1]


def test_scores_of_nothing_are_no_error() -> None:
    assert order([candidate(1, 0.0), candidate(2, 0.0)], diversity=0.5) == [1, 2]


candidates = st.lists(
    st.builds(
        candidate,
        st.integers(1, 50),
        st.floats(0, 100),
        lineage=st.sampled_from(((), (1,), (1, 2))),
        brand=st.sampled_from(("", "A")),
        passage=st.sampled_from((None, 7, 8)),
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
