"""The judgement: what was answered against what was then bought, group by group.

Pure. It promises that every figure is a mean over shoppers with its interval, or says of how
few shoppers there is one, and that the same answers are always judged the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from recommend import metrics
from recommend.candidates import Candidate
from recommend.evaluation import beyond
from recommend.evaluation.answers import DEPTH, Answer
from recommend.evaluation.groups import Group, by_history, by_item
from recommend.evaluation.intervals import Estimate, estimate
from recommend.evaluation.known import Known

FOUND: Final = f"recall@{DEPTH}"
AUC_GATHERED: Final = f"auc@{DEPTH}"
AUC: Final = "auc"
FIGURES: Final = (*metrics.LISTED, FOUND, AUC_GATHERED, AUC)
TITLES: Final = {
    "hit_rate": "Hit rate", "precision": "Precision", "recall": "Recall", "ndcg": "NDCG",
    "mrr": "MRR", FOUND: f"Recall@{DEPTH}", AUC_GATHERED: f"AUC@{DEPTH}", AUC: "AUC",
}  # fmt: skip

CHARTED: Final = ("hit_rate", "recall", "ndcg")
DEPTHS: Final = (10, 20, 50, 100, 200, DEPTH)

Estimates = Mapping[str, Estimate | None]


@dataclass(frozen=True, slots=True)
class Judged:
    """A group and its FIGURES; None where no shopper of it has that figure."""

    name: str
    shoppers: int
    figures: Estimates


@dataclass(frozen=True, slots=True)
class Judgement:
    """`lists` has what lists are like; `by_place` has each of CHARTED at 1 to k, `by_depth` the
    recall of a group's candidates at each of DEPTHS, `by_tenth` which share of what was shown,
    and of what the same shoppers chose before, is in each tenth of popularity."""

    shoppers: int
    by_item: Sequence[Judged]
    by_history: Sequence[Judged]
    lists: Estimates
    coverage: float
    gini: float
    by_place: Mapping[str, Sequence[float]]
    by_depth: Mapping[str, Sequence[float]]
    by_tenth: Mapping[str, Sequence[float]]


def judge(
    answers: Mapping[int, Answer],
    bought: Mapping[int, frozenset[int]],
    known: Known,
    traits: Mapping[int, Candidate],
    *,
    k: int,
) -> Judgement:
    """Judge each shopper's answer by what they bought; everybody has both."""
    items = by_item(bought, known.dealt, known.shoppers_of)
    lists = [answers[who].shown[:k] for who in bought]
    return Judgement(
        shoppers=len(bought),
        by_item=[_judged(group, answers, bought, known, k=k) for group in items],
        by_history=[
            _judged(group, answers, bought, known, k=k) for group in by_history(bought, known.dealt)
        ],
        lists=_lists({who: answers[who].shown[:k] for who in bought}, known, traits),
        coverage=beyond.coverage(lists, known.on_sale),
        gini=beyond.gini(lists, known.on_sale),
        by_place=_by_place(answers, bought, k=k),
        by_depth={group.name: _by_depth(answers, group) for group in items if group.relevant},
        by_tenth=_by_tenth(lists, known),
    )


def _judged(
    group: Group,
    answers: Mapping[int, Answer],
    bought: Mapping[int, frozenset[int]],
    known: Known,
    *,
    k: int,
) -> Judged:
    rows = [
        _figures(answers[who], relevant, bought[who], known.on_sale, k=k)
        for who, relevant in group.relevant.items()
    ]
    return Judged(group.name, len(rows), _estimates(FIGURES, rows))


def _figures(
    answer: Answer,
    relevant: frozenset[int],
    bought: frozenset[int],
    on_sale: frozenset[int],
    *,
    k: int,
) -> dict[str, float | None]:
    """What was bought but is judged in another group is neither a hit nor a miss."""
    hits = [item in relevant for item in answer.gathered if item in relevant or item not in bought]
    others = len(on_sale) - len(on_sale & bought) - hits.count(False)
    return {
        **metrics.of_list(answer.shown, relevant, k=k),
        FOUND: metrics.found(answer.gathered, relevant, depth=DEPTH),
        AUC_GATHERED: metrics.pairwise(hits),
        AUC: metrics.pairwise(hits, missed=len(relevant) - sum(hits), others=max(0, others)),
    }


def _lists(
    shown: Mapping[int, Sequence[int]], known: Known, traits: Mapping[int, Candidate]
) -> Estimates:
    percentile = beyond.percentiles(known.shoppers_of)
    rows = [
        _list(items, known.dealt[who], known, [traits[i] for i in items if i in traits], percentile)
        for who, items in shown.items()
    ]
    return _estimates(("diversity", "novelty", "popularity", "chosen before", "bias"), rows)


def _list(
    items: Sequence[int],
    own: frozenset[int],
    known: Known,
    described: Sequence[Candidate],
    percentile: Mapping[int, float],
) -> dict[str, float | None]:
    popular = beyond.popularity(items, percentile)
    chosen = beyond.popularity(own, percentile)
    return {
        "diversity": beyond.diversity(described),
        "novelty": beyond.novelty(items, known.shoppers_of, known.shoppers),
        "popularity": popular,
        "chosen before": chosen,
        "bias": None if popular is None or chosen is None else popular - chosen,
    }


def _estimates(names: Iterable[str], rows: Sequence[Mapping[str, float | None]]) -> Estimates:
    return {name: estimate(row[name] for row in rows) for name in names}


def _by_place(
    answers: Mapping[int, Answer], bought: Mapping[int, frozenset[int]], *, k: int
) -> dict[str, list[float]]:
    at = [
        [metrics.of_list(answers[who].shown, items, k=place) for who, items in bought.items()]
        for place in range(1, k + 1)
    ]
    return {name: [fmean(row[name] for row in rows) for rows in at] for name in CHARTED}


def _by_depth(answers: Mapping[int, Answer], group: Group) -> list[float]:
    return [
        fmean(
            metrics.found(answers[who].gathered, items, depth=depth)
            for who, items in group.relevant.items()
        )
        for depth in DEPTHS
    ]


def _by_tenth(lists: Sequence[Sequence[int]], known: Known) -> dict[str, list[float]]:
    percentile = beyond.percentiles(known.shoppers_of)
    own = (item for items in known.dealt.values() for item in items)
    return {
        "shown": beyond.by_tenth((item for items in lists for item in items), percentile),
        "chosen before": beyond.by_tenth(own, percentile),
    }
