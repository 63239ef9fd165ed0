"""Surely better: whether one way to order lists beats another by more than chance.

Pure. A shopper counts once, however many lists they gave: those of one shopper are not independent.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

SURE: Final = 1.64
"""Standard errors by which it must be better: 95%, one-sided."""


def by_shopper(persons: Sequence[int], values: Sequence[float]) -> list[float]:
    """The mean of each shopper's lists; a person and a value for each list."""
    own: dict[int, list[float]] = {}
    for person, value in zip(persons, values, strict=True):
        own.setdefault(person, []).append(value)
    return [float(np.mean(lists)) for lists in own.values()]


def mean(values: Sequence[float]) -> float:
    """Rounded as figures are kept."""
    return round(float(np.mean(values)), 4)


def is_better(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Whether ours are surely better, shopper by shopper; one convinces nobody."""
    gains = np.subtract(ours, theirs)
    return len(gains) > 1 and bool(gains.mean() > SURE * gains.std(ddof=1) / len(gains) ** 0.5)
