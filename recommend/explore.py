"""Exploration: which of the items that few have been shown takes the slot that is kept for them.

Pure. Thompson sampling (Thompson, Biometrika 1933; Chapelle & Li, NIPS 2011): how likely an item
is to be chosen, where it is shown, is unknown and has a Beta posterior; an item takes the slot with
the probability that it is the likeliest of all. That probability, the propensity, is worked out and
the draw is made by it, so the one that is logged is no estimate but that of the draw itself. It
promises the same item for the same trials and seed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from recommend.candidates import Candidate

PRIOR: Final = (1.0, 20.0)
"""Chosen and passed over, of an item that nobody was shown: about one in twenty. With (1, 1) what
was never shown would win against nearly all that was."""

STEPS: Final = 1_000
"""Of the rate, from 0 to 1. With untried.LEARNED trials no posterior is narrower than twenty."""

Chances = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trial:
    """In how many lists an item was seen, and in how many of them it was then chosen."""

    item: int
    shown: int
    chosen: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """The item that takes the slot, how probable that was, and out of how many."""

    item: int
    propensity: float
    of: int


def draw(trials: Sequence[Trial], seed: Sequence[int]) -> Drawn | None:
    """One of the items, by its propensity; None where there are none. Their order is no matter."""
    if not trials:
        return None
    known = sorted(trials, key=lambda trial: trial.item)
    chances = propensities(known)
    point = np.random.default_rng(list(seed)).random()
    place = min(int(np.searchsorted(chances.cumsum(), point, side="right")), len(known) - 1)
    return Drawn(known[place].item, float(chances[place]), len(known))


def propensities(trials: Sequence[Trial]) -> Chances:
    """(trials,): the probability of each to have the highest rate of all; they sum to 1.

    P(i) is the integral of i's density times everybody else's distribution. Those of which the
    same is known share one row, so a hundred new items cost no more than one.
    """
    counts = np.array([(trial.chosen, trial.shown - trial.chosen) for trial in trials])
    known, which, times = np.unique(counts, axis=0, return_inverse=True, return_counts=True)
    mass = _posteriors(known)
    below = np.log(mass.cumsum(axis=1) - mass / 2)
    won = (mass * np.exp(times @ below - below)).sum(axis=1)[which.reshape(-1)]
    chances: Chances = won / won.sum()
    return chances


def put(
    listed: Sequence[Candidate],
    explored: Candidate,
    *,
    slot: int,
    count: int,
    pinned: Collection[int],
) -> list[Candidate]:
    """The list with the explored item in its slot, or in the next that no pin has; pins stay where
    they are, all others move on, and in a full list the last of them has to go."""
    room = range(min(count, len(listed) + 1))
    free = [place for place in room if place >= len(listed) or listed[place].item not in pinned]
    moving = [c for c in listed if c.item not in pinned]
    at = next((n for n, place in enumerate(free) if place >= slot - 1), len(free) - 1)
    if not free:
        return list(listed)
    moving.insert(at, explored)
    others = dict(zip(free, moving, strict=False))
    return [others.get(place) or listed[place] for place in room]


def _posteriors(counts: npt.NDArray[np.int_]) -> Chances:
    """(posteriors, STEPS): the share of each step, of Beta(PRIOR + counts)."""
    rate = (np.arange(STEPS) + 0.5) / STEPS
    a, b = (counts + np.array(PRIOR) - 1).T[:, :, np.newaxis]
    height = a * np.log(rate) + b * np.log1p(-rate)
    density = np.exp(height - height.max(axis=1, keepdims=True))
    mass: Chances = density / density.sum(axis=1, keepdims=True)
    return mass
