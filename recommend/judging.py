"""Judging: how well a ranker orders lists of shoppers that it has not learned from, beside what serves.

It promises that no network is found better by lists of those who taught it, and that a shopper counts
once. Of a large shop every fifth shopper judges what the others taught; where that is not sure and lists
are few, each fifth judges in turn a network that the others teach anew. What the log's last weeks say of what
shoppers find new is not taken for granted: it must hold for what each found new last, too, whenever.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recommend import blend, metrics, surely, tune, tunings
from recommend.ranker import examples
from recommend.ranker.examples import Example
from recommend.ranker.network import Network
from recommend.ranker.store import LISTS, Judged, Ranker

ENOUGH: Final = 0.99
"""Of what the live one reaches, which has learned from the shoppers on whom it is judged."""

Values = npt.NDArray[np.float64]
"""(lists,): the NDCG@10 of each."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Lists, and what becomes of them by a network that none of their shoppers has taught, by the blend
    with the weights that stand, and by the ranker `before` (None: none is live)."""

    lists: Sequence[Example]
    ours: Values
    blend: Values
    live: Values
    before: Ranker | None

    def of(self, name: str) -> "Beside":
        """Those of one of store.LISTS. What the live one does not order says 0."""
        meant = [place for place, each in enumerate(self.lists) if LISTS[each.is_new] == name]
        live = self.live if self.before and name in self.before.serves else np.zeros(len(self.live))
        lists = [self.lists[place] for place in meant]
        return Beside(lists, self.ours[meant], self.blend[meant], live[meant], self.before)

    def by_shopper(self, values: Values) -> list[float]:
        return surely.by_shopper([each.person for each in self.lists], values.tolist())

    def mean(self, values: Values) -> float:
        return surely.mean(self.by_shopper(values)) if len(values) else 0.0

    @property
    def is_better(self) -> bool:
        """Surely better than the blend, and about as good as what orders such lists now."""
        if not surely.is_better(self.by_shopper(self.ours), self.by_shopper(self.blend)):
            return False
        return self.mean(self.ours) >= ENOUGH * self.mean(self.live)


def beside(lists: Sequence[Example], ours: Values, before: Ranker | None, scenario: str) -> Beside:
    """The same lists by what serves."""
    blended = np.array(tune.of_each(lists, tunings.standing(scenario)))
    live = np.zeros(len(lists)) if before is None else scored(before.network, lists)
    return Beside(lists, ours, blended, live, before)


def judge(
    found: Beside, goal: str, learned: int, barred: Sequence[str] = ()
) -> tuple[Judged, bool]:
    """The figures, and whether it is to go live: for lists of some kind that is not barred it is better,
    and none of those is left to the blend that the one before still orders better."""
    of_kind = {name: found.of(name) for name in LISTS if name not in barred}
    serves = tuple(name for name, of in of_kind.items() if of.is_better)
    kept = {name for name, of in of_kind.items() if of.mean(of.live) > of.mean(of.blend)}
    judged = Judged(
        len(found.lists), learned, found.mean(found.ours), found.mean(found.blend),
        None if found.before is None else found.mean(found.live), goal, serves, barred=barred,
    )  # fmt: skip
    return judged, bool(serves) and kept <= set(serves)


def is_misled(made: Network, last: Sequence[Example], scenario: str) -> bool:
    """Whether the blend finds surely better what each shopper found new last. (By the last weeks of a
    shop of views a ranker was twice as good as the blend; of what was found last it found half.) Some of
    them may have taught it: what it finds worse all the same, it finds worse."""
    if not last:
        return False
    found = beside(last, scored(made, last), None, scenario)
    return surely.is_better(found.by_shopper(found.blend), found.by_shopper(found.ours))


def in_turn(
    made: Network, held: Sequence[Example], found: Sequence[Example],
    train: Callable[[Sequence[Example]], Network],
) -> tuple[list[Example], Values]:  # fmt: skip
    """Every shopper's lists by a network that the others taught: of those that are held out the one that
    was made, of each other fifth one more."""
    lists, values = list(held), [scored(made, held)]
    for others, own in examples.in_turn(found, first=1):
        lists += own
        values.append(scored(train(others), own))
    return lists, np.concatenate(values)


def scored(network: Network, lists: Sequence[Example]) -> Values:
    """By what the network makes of them."""
    return np.array([_ndcg(network.scores(each.told), each) for each in lists])


def _ndcg(scores: npt.NDArray[Any], example: Example) -> float:
    """As metrics.of_list has it; what is not among the candidates cannot be found."""
    top = np.argsort(-scores, kind="stable")[: blend.AT]
    relevant = int(example.wanted.sum()) + example.missed
    return metrics.ndcg([bool(hit) for hit in example.wanted[top]], min(blend.AT, relevant))
