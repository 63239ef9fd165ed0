"""Models: what it costs to learn both spaces, on one core, from the newest deeds of this shop."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from bench.figures import Figure, at_most
from bench.sizes import Size
from recsite.db import one_snapshot

if TYPE_CHECKING:
    from recommend.spaces.deeds import Deeds

NETWORK_SECONDS: Final = at_most(300)
OF_IMPLICIT: Final = at_most(1.2)


def measure(size: Size) -> list[Figure]:
    """Nothing where the shop's log is too short to learn from."""
    # Not before Django has its settings, which name the home of this run.
    from recommend.spaces import learning
    from recommend.spaces.deeds import read

    with one_snapshot():
        deeds = read()
    if learning.lacking(deeds):
        return []
    deeds = _first(deeds, size.deeds)
    return [_network(deeds, size), *_factors(deeds)]


def _first(deeds: "Deeds", count: int) -> "Deeds":
    """Those of the first persons: each of them whole, but the last."""
    few = slice(0, count)
    return replace(
        deeds, persons=deeds.persons[few], items=deeds.items[few], signals=deeds.signals[few],
        hours=deeds.hours[few],
    )  # fmt: skip


def _network(deeds: "Deeds", size: Size) -> Figure:
    from recommend.spaces import learning
    from recommend.spaces.deeds import are_baskets, in_order
    from recommend.spaces.lesson import Aim
    from recommend.spaces.training import train

    aim = Aim.LATER if are_baskets(deeds) else Aim.NEXT
    steps = min(learning.STEPS, size.steps)
    took = _seconds(lambda: train(in_order(deeds), len(deeds.known), most=steps, aim=aim))
    return Figure(f"sequences, {len(deeds):,} deeds", took, "s", NETWORK_SECONDS)


def _factors(deeds: "Deeds") -> list[Figure]:
    from recommend.spaces import factors

    alpha = factors.ALPHAS[0]
    theirs = _seconds(lambda: _implicit(deeds, alpha))
    ours = _seconds(lambda: factors.learn(deeds, alpha))
    chosen = _seconds(lambda: factors.choose(deeds))
    return [
        Figure(f"factors, {len(deeds):,} deeds", ours / theirs, "× implicit", OF_IMPLICIT),
        Figure("the same", ours, "s"),
        Figure(
            "their alpha, chosen once for all windows", chosen, "s", None, chosen / ours, "factors"
        ),
    ]


def _implicit(deeds: "Deeds", alpha: float) -> None:
    """What `implicit` takes alone, from the same numbers to its own factors."""
    from implicit.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    from recommend.spaces import factors

    persons = np.unique(deeds.persons, return_inverse=True)[1]
    ones = np.ones(len(deeds), np.float32)
    chosen = csr_matrix((ones, (persons, deeds.items)))
    with threadpool_limits(1):
        AlternatingLeastSquares(
            factors.dimensions(deeds), alpha=alpha, regularization=factors.HELD_BACK,
            iterations=factors.ROUNDS, num_threads=1, random_state=0, use_gpu=False,
        ).fit(chosen, show_progress=False)  # fmt: skip


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
