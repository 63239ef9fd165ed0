"""The blend: which weights of the sources would have put first what shoppers then chose.

Pure. A score is the sum of what each source said times its weight, so weights are tried on lists
that were asked for once. The search is coordinate ascent on NDCG (Metzler & Croft, Information
Retrieval 2007): one weight after the other is given the value that does best, until none does
better. The same lists and the same start give the same weights.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

AT: Final = 10
ROUNDS: Final = 6
FACTORS: Final = (0.1, 0.25, 0.5, 0.7, 1.4, 2.0, 4.0)
"""Times what it weighs now."""

LEAST: Final = 0.001
"""Never nothing: a source that is off says nothing to a ranker either, who may know better when to
hear it. (A shop of ratings, where the blend would have one source off: NDCG@10 .122, and .136.)"""

MOST: Final = 1_000.0
"""What a scenario takes (catalog.models.places)."""

FROM_NOTHING: Final = (0.02, 0.1, 0.3)
"""Shares of the heaviest weight, for a source that is off."""

MARGIN: Final = 1.001
"""A change must do that much better: less is chance, and makes weights that nobody understands."""

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Heard:
    """Of one list: `said` (candidates, sources), what each source said before its weight; `wanted`
    (candidates), whether each was then chosen; `missed`, how much was chosen that is not here."""

    said: npt.NDArray[np.float32]
    wanted: npt.NDArray[np.bool_]
    missed: int


class Lists(NamedTuple):
    """Many, side by side: said (lists, candidates, sources), and below every real candidate where
    a list has fewer; wanted (lists, candidates); ideal (lists), the best DCG that each can have."""

    said: npt.NDArray[np.float32]
    is_there: npt.NDArray[np.bool_]
    wanted: npt.NDArray[np.bool_]
    ideal: Vector


_DISCOUNT: Final[Vector] = 1 / np.log2(np.arange(2, AT + 2))


def beside(heard: Sequence[Heard], sources: int) -> Lists:
    """Side by side, each at least AT candidates deep."""
    depth = max([AT, *(len(each.wanted) for each in heard)])
    said = np.zeros((len(heard), depth, sources), dtype=np.float32)
    is_there, wanted = (np.zeros(said.shape[:2], dtype=bool) for _ in range(2))
    for n, each in enumerate(heard):
        size = len(each.wanted)
        said[n, :size], wanted[n, :size], is_there[n, :size] = each.said, each.wanted, True
    chosen = wanted.sum(axis=1) + np.array([each.missed for each in heard], dtype=np.intp)
    return Lists(said, is_there, wanted, _DISCOUNT.cumsum()[np.minimum(chosen, AT) - 1])


def ndcg(lists: Lists, weights: Sequence[float] | Vector) -> Vector:
    """(lists): NDCG@10 of each, in the order that these weights give."""
    scores = lists.said @ np.asarray(weights, dtype=np.float32)
    scores[~lists.is_there] = -1
    best = np.sort(np.argpartition(-scores, AT - 1, axis=1)[:, :AT], axis=1)
    order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
    hits = np.take_along_axis(lists.wanted, np.take_along_axis(best, order, 1), 1)
    found: Vector = (hits @ _DISCOUNT) / lists.ideal
    return found


def climb(lists: Lists, shares: Vector, start: Vector) -> Vector:
    """The weights that do best, as far as one step at a time leads. `shares` (lists) says how much
    each list counts."""

    def value(weights: Vector) -> float:
        return float(ndcg(lists, weights) @ shares)

    best, reached = start, value(start)
    for _ in range(ROUNDS):
        before = reached
        for source in range(len(start)):
            for tried in list(_steps(best, source)):
                if (does := value(tried)) > reached * MARGIN:
                    best, reached = tried, does
        if reached <= before * MARGIN:
            break
    return best


def _steps(weights: Vector, source: int) -> Iterator[Vector]:
    """Other values for this one's weight."""
    own = weights[source]
    values = FACTORS if own else FROM_NOTHING
    for value in np.multiply(values, own or weights.max(initial=0)).round(3).clip(LEAST, MOST):
        tried = weights.copy()
        tried[source] = value
        yield tried
