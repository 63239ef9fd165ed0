"""Judgement: how well what was chosen next is found beside what was chosen before, by text alone.

All texts are put in the order of their likeness to one that a shopper chose; what the same shopper
chose next should stand first: NDCG@10, as metrics has it. A shopper counts once.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from recommend import metrics, surely
from recommend.finetuning.pairs import Query, persons

AT: Final = 10
BLOCK: Final = 512
"""Queries at once: 40 MB of likenesses where there are twenty thousand texts."""

Vectors = npt.NDArray[np.float32]
"""(texts, dimensions), each of length 1."""


def of_shoppers(vectors: Vectors, queries: Sequence[Query]) -> list[float]:
    """NDCG@10 of each shopper, the mean over what they chose."""
    found: list[float] = []
    for start in range(0, len(queries), BLOCK):
        found += _of_queries(vectors, queries[start : start + BLOCK])
    return surely.by_shopper(persons(queries), found)


def _of_queries(vectors: Vectors, queries: Sequence[Query]) -> list[float]:
    at = np.array([query.at for query in queries])
    likeness = vectors[at] @ vectors.T
    # Nothing is like itself.
    likeness[np.arange(len(at)), at] = -np.inf
    size = min(AT, len(vectors) - 1)
    nearest = np.argpartition(-likeness, size - 1, axis=1)[:, :size]
    order = np.argsort(-np.take_along_axis(likeness, nearest, axis=1), axis=1, kind="stable")
    shown = np.take_along_axis(nearest, order, axis=1).tolist()
    return [
        metrics.ndcg([place in query.wanted for place in places], min(AT, len(query.wanted)))
        for places, query in zip(shown, queries, strict=True)
    ]
