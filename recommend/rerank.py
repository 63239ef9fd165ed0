"""Re-ranking: maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998).

Pure. It promises an order, never a removal: what comes in comes out, the best first, each
next one worth most after what it repeats of those before it has been taken off.
"""

from collections.abc import Sequence
from typing import Final

from recommend.candidates import Candidate

SAME_TEXT: Final = 1.0
SAME_CATEGORY: Final = 0.6
SAME_BRAND: Final = 0.3


def diversify(candidates: Sequence[Candidate], count: int, *, diversity: float) -> list[Candidate]:
    """The first `count` by score less `diversity` times likeness; the rest follow by score.

    Scores are taken relative to the best, so 0 keeps the order and 1 weighs likeness alone.
    """
    if diversity == 0 or len(candidates) < 2:
        return list(candidates)
    top = max(c.score for c in candidates) or 1.0
    left = [(c, (1 - diversity) * c.score / top) for c in candidates]
    likeness = [0.0] * len(left)
    chosen: list[Candidate] = []
    while left and len(chosen) < count:
        best = max(range(len(left)), key=lambda i: left[i][1] - diversity * likeness[i])
        picked = left.pop(best)[0]
        likeness.pop(best)
        chosen.append(picked)
        likeness = [max(was, alike(picked, c)) for was, (c, _) in zip(likeness, left, strict=True)]
    return chosen + [c for c, _ in left]


def alike(a: Candidate, b: Candidate) -> float:
    """From 0 (nothing in common) to 1 (the same text)."""
    if a.passage is not None and a.passage == b.passage:
        return SAME_TEXT
    category = SAME_CATEGORY if a.lineage and a.lineage == b.lineage else 0.0
    brand = SAME_BRAND if a.brand and a.brand == b.brand else 0.0
    return category + brand
