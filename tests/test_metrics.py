"""Given these lists and what was then bought, expect these figures."""

import math

from recommend.metrics import Quality, judge


def second(hits: float) -> float:
    """The gain of a hit in second place."""
    return hits / math.log2(3)


def test_a_perfect_list_scores_one() -> None:
    assert judge({1: [5, 6]}, {1: frozenset({5, 6})}, k=2, catalogue=4) == Quality(
        shoppers=1, hit_rate=1.0, ndcg=1.0, recall=1.0, precision=1.0, coverage=0.5
    )


def test_a_hit_in_second_place_is_worth_its_discount() -> None:
    quality = judge({1: [9, 5]}, {1: frozenset({5})}, k=2, catalogue=10)
    assert quality.ndcg == second(1.0)
    assert (quality.hit_rate, quality.recall, quality.precision) == (1.0, 1.0, 0.5)


def test_recall_and_ideal_count_no_more_than_the_list_can_hold() -> None:
    quality = judge({1: [1, 2]}, {1: frozenset({1, 2, 3, 4})}, k=2, catalogue=4)
    assert (quality.recall, quality.ndcg) == (1.0, 1.0)


def test_a_shopper_without_a_list_counts_as_a_miss() -> None:
    quality = judge({1: [5]}, {1: frozenset({5}), 2: frozenset({5})}, k=1, catalogue=2)
    assert (quality.shoppers, quality.hit_rate, quality.ndcg) == (2, 0.5, 0.5)


def test_only_the_first_k_count() -> None:
    quality = judge({1: [8, 9, 5]}, {1: frozenset({5})}, k=2, catalogue=3)
    assert (quality.hit_rate, quality.coverage) == (0.0, 2 / 3)


def test_nobody_to_judge_is_all_zero() -> None:
    assert judge({}, {}, k=10, catalogue=0) == Quality(0, 0.0, 0.0, 0.0, 0.0, 0.0)
