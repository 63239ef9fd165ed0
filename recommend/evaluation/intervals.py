"""How sure a mean over shoppers is: 95% intervals by the bootstrap.

Pure. Shoppers are drawn anew, with replacement, a thousand times (Efron & Tibshirani 1993,
percentile intervals). The draws are seeded, so the same figures always have the same interval.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import bootstrap

RESAMPLES: Final = 1_000
SEED: Final = 1
LEVEL: Final = 0.95

AT_ONCE: Final = 2_000_000
"""Numbers that are drawn at a time: bounds memory, changes no result."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `shoppers`, and between which values it surely (95%) is; of a single shopper
    nothing is sure."""

    mean: float
    shoppers: int
    interval: tuple[float, float] | None


def estimate(values: Iterable[float | None]) -> Estimate | None:
    """Of one figure a shopper; None stands for who has none, and comes back where all have none."""
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    if not len(known):
        return None
    mean = float(known.mean())
    if len(known) == 1:
        return Estimate(mean, 1, None)
    drawn = bootstrap(
        (known,), np.mean, n_resamples=RESAMPLES, batch=max(1, AT_ONCE // len(known)),
        confidence_level=LEVEL, method="percentile", rng=np.random.default_rng(SEED),
    )  # fmt: skip
    low, high = drawn.confidence_interval
    return Estimate(mean, len(known), (float(low), float(high)))
