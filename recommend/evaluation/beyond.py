"""What lists are like, whatever was bought: diverse, novel, popular, and how much they cover.

Pure. Diversity is the mean unlikeness of a list's pairs (Ziegler et al., WWW 2005), as
re-ranking has likeness; novelty the mean self-information of its items, in bits (Zhou et al.,
PNAS 2010). Popularity bias is how much more popular a list is than what its shopper chose before
(after Abdollahpouri et al., UMAP 2021), in percentiles: of those items that anybody dealt with,
0 is the least popular, 1 the most.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from recommend.candidates import Candidate
from recommend.rerank import alike

TENTHS: Final = 10


def diversity(shown: Sequence[Candidate]) -> float | None:
    """From 0 (all alike) to 1; a list of one has none."""
    pairs = list(combinations(shown, 2))
    return sum(1 - alike(a, b) for a, b in pairs) / len(pairs) if pairs else None


def novelty(shown: Collection[int], shoppers_of: Mapping[int, int], shoppers: int) -> float | None:
    """Bits: log2 of how rare it is to deal with such an item. One that nobody dealt with is
    as rare as one that a single shopper did."""
    bits = [math.log2(shoppers / max(1, shoppers_of.get(item, 0))) for item in shown]
    return _mean(bits)


def percentiles(shoppers_of: Mapping[int, int]) -> dict[int, float]:
    """Each item's popularity among the others; items of equal popularity are in the middle of
    their places."""
    counts = np.fromiter(shoppers_of.values(), dtype=np.int64, count=len(shoppers_of))
    places = (rankdata(counts) - 0.5) / max(1, len(counts))
    return dict(zip(shoppers_of, places.tolist(), strict=True))


def popularity(items: Collection[int], percentile: Mapping[int, float]) -> float | None:
    """The mean percentile; what nobody dealt with is at 0."""
    return _mean([percentile.get(item, 0.0) for item in items])


def by_tenth(items: Iterable[int], percentile: Mapping[int, float]) -> list[float]:
    """Which share of the items is in each tenth of popularity, the least popular first."""
    tenths = [min(TENTHS - 1, int(percentile.get(item, 0.0) * TENTHS)) for item in items]
    counted = np.bincount(np.array(tenths, dtype=np.intp), minlength=TENTHS)
    return [float(share) for share in counted / max(1, len(tenths))]


def coverage(lists: Iterable[Sequence[int]], on_sale: Collection[int]) -> float:
    """Which share of what is on sale any list showed."""
    shown = {item for items in lists for item in items}
    return len(shown) / len(on_sale) if on_sale else 0.0


def gini(lists: Iterable[Sequence[int]], on_sale: Collection[int]) -> float:
    """How unequally places in lists fall to what is on sale: 0 to all the same, 1 all to one."""
    places = dict.fromkeys(on_sale, 0)
    for items in lists:
        for item in items:
            places[item] = places.get(item, 0) + 1
    return _gini(np.sort(np.fromiter(places.values(), dtype=np.float64, count=len(places))))


def _gini(rising: npt.NDArray[np.float64]) -> float:
    if not rising.sum():
        return 0.0
    n = len(rising)
    return float(((2 * np.arange(1, n + 1) - n - 1) * rising).sum() / (n * rising.sum()))


def _mean(values: Sequence[float]) -> float | None:
    # Sets have no order, and floats that are summed in another one may differ in the last bit.
    return math.fsum(values) / len(values) if values else None
