"""How good lists are: hit rate, NDCG, recall and precision at k, and coverage.

Pure. Full ranking: a list is judged against everything the shopper then did, never against
sampled negatives. NDCG is Järvelin & Kekäläinen's (TOIS 2002) with binary gains; its ideal
list has min(k, |relevant|) hits, and so has recall's denominator.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over shoppers; `coverage` is the share of the catalogue that any list showed."""

    shoppers: int
    hit_rate: float
    ndcg: float
    recall: float
    precision: float
    coverage: float


def judge(
    lists: Mapping[int, Sequence[int]],
    relevant: Mapping[int, frozenset[int]],
    *,
    k: int,
    catalogue: int,
) -> Quality:
    """Judge each shopper's list, who has one or not, against their relevant items."""
    hits = [[item in items for item in lists.get(who, ())[:k]] for who, items in relevant.items()]
    sizes = [min(k, len(items)) for items in relevant.values()]
    shown = {item for who in relevant for item in lists.get(who, ())[:k]}
    n = len(relevant) or 1
    return Quality(
        shoppers=len(relevant),
        hit_rate=sum(map(any, hits)) / n,
        ndcg=sum(ndcg(h, size) for h, size in zip(hits, sizes, strict=True)) / n,
        recall=sum(sum(h) / size for h, size in zip(hits, sizes, strict=True)) / n,
        precision=sum(sum(h) / k for h in hits) / n,
        coverage=len(shown) / catalogue if catalogue else 0.0,
    )


def ndcg(hits: Sequence[bool], size: int) -> float:
    """Of one list: what was hit at each place, and how many hits its ideal has."""
    return _dcg(hits) / _dcg([True] * size)


def _dcg(hits: Sequence[bool]) -> float:
    return sum(1 / math.log2(place + 2) for place, hit in enumerate(hits) if hit)
