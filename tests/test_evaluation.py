"""What an evaluation is made of: groups, what lists are like, intervals, the judgement, the page."""

import random
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import pytest

from recommend.candidates import Candidate
from recommend.evaluate import Plan, Report
from recommend.evaluation import beyond, charts, page
from recommend.evaluation.answers import Answer
from recommend.evaluation.groups import Group, by_history, by_item
from recommend.evaluation.intervals import Estimate, estimate
from recommend.evaluation.judgement import AUC, AUC_GATHERED, FOUND, Judgement, judge
from recommend.evaluation.known import Known
from tests.pages import chromium


def candidate(item: int, passage: int | None = None, brand: str = "") -> Candidate:
    return Candidate(item, str(item), 0.0, (), (), brand, passage, {})


# ── groups ─────────────────────────────────────────────────────────────────────────────────


def test_purchases_are_parted_by_what_was_known_of_the_item() -> None:
    groups = by_item({1: frozenset({7, 8}), 2: frozenset({7})}, {1: frozenset({7}), 2: frozenset()},
                     {7: 5, 8: 4})  # fmt: skip
    assert groups == [
        Group("all", {1: frozenset({7, 8}), 2: frozenset({7})}),
        Group("repeat", {1: frozenset({7})}),
        Group("new", {1: frozenset({8}), 2: frozenset({7})}),
        Group("warm", {1: frozenset({7}), 2: frozenset({7})}),
        Group("cold", {1: frozenset({8})}),
    ]


def test_shoppers_are_parted_by_their_history_and_lengths_that_nobody_has_are_left_out() -> None:
    dealt = {1: frozenset(range(4)), 2: frozenset(range(5)), 3: frozenset(range(900))}
    bought = {who: frozenset({1}) for who in dealt}
    assert [(group.name, list(group.relevant)) for group in by_history(bought, dealt)] == [
        ("1–4 items", [1]), ("5–19 items", [2]), ("500+ items", [3]),
    ]  # fmt: skip


# ── what lists are like ────────────────────────────────────────────────────────────────────


def test_a_list_of_one_text_is_not_diverse_and_one_of_strangers_is() -> None:
    assert beyond.diversity([candidate(1, 9), candidate(2, 9)]) == 0.0
    assert beyond.diversity([candidate(1, 8), candidate(2, 9)]) == 1.0
    assert beyond.diversity([candidate(n, n, "acme") for n in (1, 2, 3)]) == pytest.approx(0.7)
    assert beyond.diversity([candidate(1)]) is None


def test_what_few_dealt_with_is_novel_by_so_many_bits() -> None:
    assert beyond.novelty([1], {1: 8}, 8) == 0.0
    assert beyond.novelty([1, 2], {1: 8, 2: 2}, 8) == 1.0
    assert beyond.novelty([3], {}, 8) == 3.0
    assert beyond.novelty([], {}, 8) is None


def test_percentiles_are_in_the_middle_of_their_places_and_equals_share_one() -> None:
    percentile = beyond.percentiles({1: 1, 2: 1, 3: 6, 4: 9})
    assert percentile == {1: 0.25, 2: 0.25, 3: 0.625, 4: 0.875}
    assert beyond.popularity([1, 4, 99], percentile) == pytest.approx(0.375)
    assert beyond.percentiles({}) == {}


def test_shares_of_each_tenth_of_popularity_make_one() -> None:
    shares = beyond.by_tenth([1, 2, 3, 3], {1: 0.05, 2: 0.95, 3: 1.0})
    assert shares == [0.25, 0, 0, 0, 0, 0, 0, 0, 0, 0.75]
    assert beyond.by_tenth([], {}) == [0.0] * 10


def test_coverage_and_inequality_are_of_all_that_is_on_sale() -> None:
    lists = [[1, 2], [1, 2], [3, 4]]
    assert beyond.coverage(lists, {1, 2, 3, 4, 5, 6, 7, 8}) == 0.5
    assert beyond.gini([[1, 2], [3, 4]], {1, 2, 3, 4}) == 0.0
    assert beyond.gini([[1], [1]], {1, 2, 3, 4}) == 0.75
    assert (beyond.gini([], {1}), beyond.coverage([], [])) == (0.0, 0.0)


# ── intervals ──────────────────────────────────────────────────────────────────────────────


def interval(values: Sequence[float]) -> tuple[float, float]:
    made = estimate(values)
    assert made is not None
    assert made.interval is not None
    return made.interval


def test_an_interval_holds_its_mean_and_is_the_same_each_time() -> None:
    chance = random.Random(5)
    values = [chance.random() for _ in range(400)]
    made = estimate(values)
    assert made is not None
    low, high = interval(values)
    assert low < made.mean < high
    assert 0.04 < high - low < 0.07  # 2 · 1.96 · 0.289 / √400 is 0.057
    assert estimate(values) == made


def test_it_holds_the_truth_about_as_often_as_it_says() -> None:
    chance = random.Random(7)
    held = 0
    for _ in range(100):
        low, high = interval([float(chance.random() < 0.3) for _ in range(150)])
        held += low <= 0.3 <= high
    assert 88 <= held <= 100


def test_who_has_no_figure_is_not_counted_and_of_nobody_there_is_no_mean() -> None:
    assert estimate([None, 0.5, 0.5]) == Estimate(0.5, 2, (0.5, 0.5))
    assert estimate([0.5]) == Estimate(0.5, 1, None)
    assert estimate([None]) is None


# ── the judgement ──────────────────────────────────────────────────────────────────────────

ANSWERS: Final = {
    1: Answer([10, 11], [10, 11, 12, 13]),
    2: Answer([12, 13], [12, 13, 10, 11]),
}
BOUGHT: Final = {1: frozenset({10, 12}), 2: frozenset({19})}
KNOWN: Final = Known(
    dealt={1: frozenset({12}), 2: frozenset({10, 11})},
    shoppers_of={10: 8, 11: 8, 12: 1, 13: 1},
    shoppers=8,
    on_sale=frozenset(range(10, 20)),
)
TRAITS: Final = {item: candidate(item, item) for item in range(10, 20)}


def judged() -> Judgement:
    return judge(ANSWERS, BOUGHT, KNOWN, TRAITS, k=2)


def means(group: str) -> dict[str, float | None]:
    (found,) = [one for one in judged().by_item if one.name == group]
    return rounded(found.figures)


def rounded(figures: Mapping[str, Estimate | None]) -> dict[str, float | None]:
    return {name: None if one is None else round(one.mean, 4) for name, one in figures.items()}


def test_each_figure_is_a_mean_over_the_groups_shoppers() -> None:
    every = means("all")
    assert (every["hit_rate"], every["precision"], every["recall"]) == (0.5, 0.25, 0.25)
    # Of 2 × 8 pairs the first shopper's items win all but one; the second's ties with five of nine.
    assert every[AUC] == round((15 / 16 + 2.5 / 9) / 2, 4)
    assert every[FOUND] == 0.5


def test_who_found_nothing_among_the_candidates_is_left_out_of_their_pairs() -> None:
    (every, *_) = judged().by_item
    compared = every.figures[AUC_GATHERED]
    assert compared == Estimate(0.75, 1, None)
    assert every.shoppers == 2


def test_what_is_judged_in_another_group_is_neither_hit_nor_miss() -> None:
    repeat = means("repeat")
    # 12 stands behind 11, which was not bought, and before 13; 10 was bought, and does not count.
    assert (repeat[AUC_GATHERED], repeat["ndcg"]) == (0.5, 0.0)


def test_a_group_of_nobody_has_no_figures() -> None:
    nobody = judge({1: ANSWERS[1]}, {1: frozenset({10})}, KNOWN, TRAITS, k=2).by_item[1]
    assert (nobody.name, nobody.shoppers) == ("repeat", 0)
    assert set(nobody.figures.values()) == {None}


def test_figures_grow_along_the_list_and_along_the_candidates() -> None:
    made = judged()
    assert made.by_place["recall"] == [0.5, 0.25]
    assert made.by_depth["all"] == [0.5] * 6
    assert made.by_tenth["chosen before"][7] == pytest.approx(2 / 3)


def test_bias_is_what_a_list_is_more_popular_than_what_was_chosen_before() -> None:
    assert rounded(judged().lists) == {
        "diversity": 1.0,
        "novelty": 1.5,
        "popularity": 0.5,
        "chosen before": 0.5,
        "bias": 0.0,
    }


# ── the page ───────────────────────────────────────────────────────────────────────────────

PLAN: Final = Plan(datetime(2026, 3, 1, tzinfo=UTC), "home", 2, None, 10)


def rendered() -> str:
    return page.render(Report(PLAN, judged(), ["<Mind> this."]))


def test_the_page_has_all_figures_and_notes_and_loads_nothing() -> None:
    html = rendered()
    assert "Cut at 2026-03-01 00:00, judged by purchases." in html
    assert "&lt;Mind&gt; this." in html
    assert html.count("<svg") == 5
    assert "<script" not in html
    assert re.findall(r"""(?:src|href)\s*=|url\(|@import""", html) == []
    assert [word in html for word in ("Recall@500", "AUC@500", "warm", "bias")] == [True] * 4


def test_the_same_report_is_the_same_page() -> None:
    assert rendered() == rendered()


def test_a_chart_of_nobody_is_a_chart() -> None:
    nobody = judge({1: ANSWERS[2]}, {1: frozenset({19})}, KNOWN, TRAITS, k=2)
    assert "svg" in charts.by_group(nobody.by_item, "ndcg")


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_desk_and_a_phone_and_says_nothing_wrong(width: int, scheme: str) -> None:
    with chromium() as browser:
        shown = browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        said: list[str] = []
        shown.on("console", lambda message: said.append(message.text))
        shown.on("request", lambda request: said.append(request.url))
        shown.set_content(rendered())
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        assert said == []
