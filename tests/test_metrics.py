"""Given this list and what was then bought, expect these figures."""

import math

from recommend.metrics import found, of_list, pairwise


def second(hits: float) -> float:
    """The gain of a hit in second place."""
    return hits / math.log2(3)


def test_a_perfect_list_scores_one() -> None:
    assert of_list([5, 6], {5, 6}, k=2) == {
        "hit_rate": 1.0, "precision": 1.0, "recall": 1.0, "ndcg": 1.0, "mrr": 1.0,
    }  # fmt: skip


def test_a_hit_in_second_place_is_worth_its_discount() -> None:
    assert of_list([9, 5], {5}, k=2) == {
        "hit_rate": 1.0, "precision": 0.5, "recall": 1.0, "ndcg": second(1.0), "mrr": 0.5,
    }  # fmt: skip


def test_recall_and_ideal_count_no_more_than_the_list_can_hold() -> None:
    figures = of_list([1, 2], {1, 2, 3, 4}, k=2)
    assert (figures["recall"], figures["ndcg"]) == (1.0, 1.0)


def test_a_shopper_without_a_list_counts_as_a_miss() -> None:
    assert set(of_list([], {5}, k=3).values()) == {0.0}


def test_only_the_first_k_count() -> None:
    assert set(of_list([8, 9, 5], {5}, k=2).values()) == {0.0}


def test_a_short_list_has_the_precision_of_a_whole_one() -> None:
    assert of_list([5], {5}, k=4)["precision"] == 0.25


def test_what_is_found_counts_to_a_depth_and_against_all_that_was_bought() -> None:
    assert found([7, 5, 8, 6], {5, 6, 9, 4}, depth=3) == 0.25
    assert found([7, 5, 8, 6], {5, 6, 9, 4}, depth=4) == 0.5


def test_whoever_stands_above_all_others_wins_every_pair() -> None:
    assert pairwise([True, False, False]) == 1.0
    assert pairwise([False, False, True]) == 0.0
    assert pairwise([True, False, True, False]) == 0.75


def test_all_that_was_not_gathered_shares_the_last_place_and_ties_are_half() -> None:
    # Of four pairs the hit wins two, and the one that was missed ties one and loses one.
    assert pairwise([True, False], missed=1, others=1) == 2.5 / 4
    assert pairwise([], missed=2, others=5) == 0.5


def test_without_a_pair_nothing_can_be_said() -> None:
    assert pairwise([]) is None
    assert pairwise([True, True]) is None
    assert pairwise([False, False]) is None
