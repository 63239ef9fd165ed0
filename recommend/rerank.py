"""Re-ranking: surprise, variety, and at most so many of a kind.

Pure. It promises an order, never a removal: what comes in comes out. Variety is maximal
marginal relevance (Carbonell & Goldstein, SIGIR 1998): the best first, each next one worth most
after what it repeats of those before it has been taken off. A cap is softer than an empty
place: what it holds back stands behind all that fits.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from recommend.candidates import Candidate
from recommend.sources import AGAIN

SAME_TEXT: Final = 1.0
SAME_CATEGORY: Final = 0.6
SAME_BRAND: Final = 0.3

Group = tuple[str, int | str]
"""A category, brand or seller, by what it is and which."""


@dataclass(frozen=True, slots=True)
class Caps:
    """At most so many of one category (the item's own), brand and seller in a list; None is any
    number. The category that the list was `asked` for has no cap, nor has a name that is empty."""

    category: int | None = None
    brand: int | None = None
    seller: int | None = None
    asked: int | None = None

    @property
    def are_set(self) -> bool:
        """Whether there is any."""
        return any((self.category, self.brand, self.seller))

    def of(self, candidate: Candidate) -> list[tuple[Group, int]]:
        """The candidate's groups that are capped, with how many there may be of each."""
        own = candidate.lineage[-1] if candidate.lineage else None
        named = (
            ("category", None if own == self.asked else own, self.category),
            ("brand", candidate.brand, self.brand),
            ("seller", candidate.seller, self.seller),
        )
        return [((what, which), most) for what, which, most in named if which and most]


NO_CAPS: Final = Caps()


def surprise(candidates: Sequence[Candidate], serendipity: float) -> list[Candidate]:
    """Each score less `serendipity` times how well known its item is; in the same order still.

    Known is from 0 to 1: the share of the other candidates that are less popular in the shop.
    What the shopper buys again and again is known to them, whatever it is to others.
    """
    if serendipity == 0:
        return list(candidates)
    fames = sorted(_fame(c) for c in candidates)
    return [replace(c, score=c.score * (1 - serendipity * _known(c, fames))) for c in candidates]


def diversify(
    candidates: Sequence[Candidate],
    count: int,
    *,
    diversity: float,
    caps: Caps = NO_CAPS,
    fixed: Sequence[Candidate] = (),
) -> list[Candidate]:
    """The first `count` by score less `diversity` times likeness, within the caps; the rest follow
    by score.

    Scores are taken relative to the best, so 0 keeps the order and 1 weighs likeness alone. What the
    shopper buys again is like nothing before it.
    `fixed` are those that will stand in the list whatever the order: they count first.
    """
    if len(candidates) < 2 or (diversity == 0 and not caps.are_set):
        return list(candidates)
    top = max(c.score for c in candidates) or 1.0
    left = [(c, (1 - diversity) * c.score / top, _is_own(c)) for c in candidates]
    likeness = [0.0] * len(left)
    taken = _taken(fixed, caps)
    stands = {c.item for c in fixed}
    chosen: list[Candidate] = []
    while left and len(chosen) < count:
        best = max(range(len(left)), key=lambda i: left[i][1] - diversity * likeness[i])
        picked = left.pop(best)[0]
        likeness.pop(best)
        # Nothing that is taken is ever given back: what does not fit now never will.
        if picked.item not in stands and not _take(picked, caps, taken):
            continue
        chosen.append(picked)
        # Who buys three teas wants all three: what is their own repeats nothing, or a fiftieth of NDCG@10
        # is lost in a grocery.
        likeness = [
            0.0 if is_own else max(was, alike(c, picked))
            for was, (c, _, is_own) in zip(likeness, left, strict=True)
        ]
    first = {c.item for c in chosen}
    return chosen + [c for c in candidates if c.item not in first]


def beyond(listed: Sequence[Candidate], caps: Caps) -> list[Candidate]:
    """Those of a list that are more than a cap allows, counted from the top."""
    taken: Counter[Group] = Counter()
    return [c for c in listed if not _take(c, caps, taken)]


def fitting(
    candidates: Sequence[Candidate], listed: Sequence[Candidate], caps: Caps
) -> list[Candidate]:
    """Those of which each, by itself, could be added to the list."""
    taken = _taken(listed, caps)
    return [c for c in candidates if _fits(c, caps, taken)]


def alike(a: Candidate, b: Candidate) -> float:
    """From 0 (nothing in common) to 1 (the same text)."""
    if a.said is not None and a.said == b.said:
        return SAME_TEXT
    category = SAME_CATEGORY if a.lineage and a.lineage == b.lineage else 0.0
    brand = SAME_BRAND if a.brand and a.brand == b.brand else 0.0
    return category + brand


def _is_own(candidate: Candidate) -> bool:
    """Whether the shopper has bought it."""
    return any(part.source == AGAIN for part in candidate.parts)


def _fame(candidate: Candidate) -> float:
    return float("-inf") if candidate.fame is None else candidate.fame


def _known(candidate: Candidate, fames: Sequence[float]) -> float:
    """`fames` are those of all candidates, the least first."""
    if _is_own(candidate):
        return 1.0
    return bisect_left(fames, _fame(candidate)) / max(len(fames) - 1, 1)


def _taken(listed: Sequence[Candidate], caps: Caps) -> Counter[Group]:
    return Counter(group for c in listed for group, _ in caps.of(c))


def _fits(candidate: Candidate, caps: Caps, taken: Counter[Group]) -> bool:
    return all(taken[group] < most for group, most in caps.of(candidate))


def _take(candidate: Candidate, caps: Caps, taken: Counter[Group]) -> bool:
    """Count the candidate in, if it fits."""
    if not _fits(candidate, caps, taken):
        return False
    taken.update(group for group, _ in caps.of(candidate))
    return True
