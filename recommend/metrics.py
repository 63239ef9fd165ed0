"""How good a list is: hit rate, precision, recall, NDCG and MRR at k, and pairwise accuracy.

Pure. Full ranking: a list is judged against everything the shopper then did, never against
sampled negatives. NDCG is Järvelin & Kekäläinen's (TOIS 2002) with binary gains; its ideal
list has min(k, |relevant|) hits, and so has recall's denominator. Pairwise accuracy is the
area under the ROC curve (Hanley & McNeil, Radiology 1982): ties count half.
"""

import math
from collections.abc import Collection, Sequence
from typing import Final

LISTED: Final = ("hit_rate", "precision", "recall", "ndcg", "mrr")


def of_list(shown: Sequence[int], relevant: Collection[int], *, k: int) -> dict[str, float]:
    """The figures of LISTED of one shopper's list, which may be shorter than k, or empty."""
    hits = [item in relevant for item in shown[:k]]
    ideal = min(k, len(relevant))
    return {
        "hit_rate": float(any(hits)),
        "precision": sum(hits) / k,
        "recall": sum(hits) / ideal,
        "ndcg": ndcg(hits, ideal),
        "mrr": next((1 / place for place, hit in enumerate(hits, 1) if hit), 0.0),
    }


def ndcg(hits: Sequence[bool], size: int) -> float:
    """Of one list: what was hit at each place, and how many hits its ideal has."""
    return _dcg(hits) / _dcg([True] * size)


def _dcg(hits: Sequence[bool]) -> float:
    return sum(1 / math.log2(place + 2) for place, hit in enumerate(hits) if hit)


def found(gathered: Sequence[int], relevant: Collection[int], *, depth: int) -> float:
    """The share of what is relevant that is anywhere among the first `depth` candidates."""
    return sum(item in relevant for item in gathered[:depth]) / len(relevant)


def pairwise(hits: Sequence[bool], *, missed: int = 0, others: int = 0) -> float | None:
    """How often an item that was bought stands above one that was not.

    `hits` is what was bought in an order, the best first; behind it, all in one last place,
    stand `missed` items that were bought and `others` that were not. None where there is no pair.
    """
    bought, below, pairs_won = sum(hits), others, 0.0
    for hit in reversed(hits):
        pairs_won += below if hit else 0
        below += not hit
    pairs = (bought + missed) * below
    return (pairs_won + missed * others / 2) / pairs if pairs else None
