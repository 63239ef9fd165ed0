"""Factors: a space of tastes, in which what a shopper chose is simply added up.

Implicit ALS (Hu, Koren & Volinsky, ICDM 2008) gives each item a vector y; a shopper is folded in from
their history by x = A⁻¹ Σ y, A = YᵀY + λ. A⁻¹ is positive definite, so of its root L each item has z = Lᵀy
and y·x = z · Σ z: one vector an item, and the sum is part of the statement that gathers. (It leaves out
what ALS adds to A for each shopper; lists were as good without, and better where α is large: NDCG@10 of
new items .0735 against .0727, .0753 against .0751, .0486 against .0485 in three shops.)
"""

from dataclasses import replace
from typing import Final

import numpy as np

from recommend.familiar import IS_STRANGE
from recommend.goals import CHOSEN
from recommend.sources import FACTORS
from recommend.spaces.deeds import Deeds, Whole
from recommend.spaces.rows import DIMENSIONS, Vectors

HELD_BACK: Final = 0.05
ROUNDS: Final = 15
ALPHAS: Final = (1.0, 10.0)
"""How much surer a choice makes than its absence; which one a shop wants is tried."""

ITEMS_EACH: Final = 4
"""To a dimension: with as many dimensions as items each would lie alone."""

TRIED_ON: Final = 1_000
"""Shoppers whose last choice is held out to find that."""

HEARD: Final = 100
"""The shopper's last items that are added up."""

NEAREST: Final = 40
"""More would come back as 40 all the same: that is hnsw.ef_search. (With 100 lists were no better.)"""

TOP: Final = 20

# Where the shopper stands among tastes.
TASTE: Final = f"""
SELECT sum(vector) AS vector
FROM (SELECT item FROM dealt WHERE {CHOSEN} AND (%(weights)s::float8[])[{FACTORS}] > 0
      ORDER BY last DESC LIMIT {HEARD}) AS own
JOIN factors_item USING (item)
"""

SOURCE: Final = f"""(
SELECT {FACTORS} AS source, item, score / max(score) OVER () AS share, NULL::int AS because
FROM (SELECT item, -(vector <#> (SELECT vector FROM tastes)) AS score
      FROM factors_item WHERE (SELECT vector FROM tastes) IS NOT NULL
        AND {IS_STRANGE}
      ORDER BY vector <#> (SELECT vector FROM tastes) LIMIT {NEAREST}) AS near
WHERE score > 0)"""


def learn(deeds: Deeds, alpha: float, seed: int = 0) -> Vectors:
    """(known items, DIMENSIONS): where each lies. The same deeds give the same vectors.
    Raises ArithmeticError where there are none that are finite."""
    from implicit.als import AlternatingLeastSquares
    from implicit.recommender_base import ModelFitError
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    persons = np.unique(deeds.persons, return_inverse=True)[1]
    size = (int(persons.max(initial=-1)) + 1, len(deeds.known))
    chosen = csr_matrix((np.ones(len(deeds), np.float32), (persons, deeds.items)), shape=size)
    # A hundred looks are more than one, and not a hundred times as much.
    chosen.data = 1 + np.log(chosen.data)
    with threadpool_limits(1):
        model = AlternatingLeastSquares(
            dimensions(deeds), alpha=alpha, regularization=HELD_BACK, iterations=ROUNDS,
            num_threads=1, random_state=seed, use_gpu=False,
        )  # fmt: skip
        try:
            model.fit(chosen, show_progress=False)
        except ModelFitError as error:
            raise ArithmeticError(str(error)) from error
    rooted = _rooted(model.item_factors)
    return np.pad(rooted, ((0, 0), (0, DIMENSIONS - rooted.shape[1])))


def choose(deeds: Deeds, seed: int = 0) -> float:
    """Of ALPHAS the one that puts the most of what was held out among the first TOP."""
    held = _last_of_some(deeds)
    rest = np.ones(len(deeds), dtype=bool)
    rest[held] = False
    known = _only(deeds, rest)
    if not len(held) or not len(known):
        return ALPHAS[0]
    found = [_found(learn(known, alpha, seed), known, deeds, held) for alpha in ALPHAS]
    return ALPHAS[int(np.argmax(found))]


def _last_of_some(deeds: Deeds) -> Whole:
    """Where the last deeds stand of shoppers who did three or more; the same ones each time."""
    ends = np.flatnonzero(np.diff(deeds.persons, append=-1))
    counts = np.diff(ends, prepend=-1)
    drawn: Whole = np.random.default_rng(0).permutation(ends[counts >= 3])[:TRIED_ON]
    return drawn


def _only(deeds: Deeds, kept: np.ndarray) -> Deeds:
    return replace(
        deeds, persons=deeds.persons[kept], items=deeds.items[kept],
        signals=deeds.signals[kept], hours=deeds.hours[kept],
    )  # fmt: skip


def _found(vectors: Vectors, known: Deeds, deeds: Deeds, held: Whole) -> int:
    """How many of the held deeds are among the first TOP of what their shopper did not know."""
    found = 0
    for place in held:
        begin, end = np.searchsorted(
            known.persons, [deeds.persons[place], deeds.persons[place] + 1]
        )
        own = np.unique(known.items[begin:end])
        scores = vectors @ vectors[own].sum(axis=0)
        wanted = scores[deeds.items[place]]
        scores[own] = -np.inf
        found += int(deeds.items[place] not in own and (scores > wanted).sum() < TOP)
    return found


def dimensions(deeds: Deeds) -> int:
    """As many as there are items to tell them apart, DIMENSIONS at most."""
    return min(DIMENSIONS, max(len(deeds.known) // ITEMS_EACH, 1))


def _rooted(items: Vectors) -> Vectors:
    """z = Lᵀy, where LLᵀ = (YᵀY + λ)⁻¹."""
    whole = items.astype(np.float64)
    inverse = np.linalg.inv(whole.T @ whole + HELD_BACK * np.eye(items.shape[1]))
    rooted: Vectors = (whole @ np.linalg.cholesky(inverse)).astype(np.float32)
    return rooted
