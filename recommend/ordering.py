"""Ordering: candidates as the ranker that is live wants them; as the blend does without one.

The ranker decides the order only. The scores stay those of the blend, handed out anew from the
highest down, so a merchant's factors and the weight of diversity mean the same with or without
it. It promises that the ranker that ordered a list is the one that its receipt names.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from recommend import candidates
from recommend.candidates import Gathered, Wanted
from recommend.ranker import store

POOL: Final = 300
"""Candidates that a ranker puts in order."""

_expected: list[str | None] = [None]
"""Which ranker this process last saw live; the statement says whether it still is."""


def gather(wanted: Wanted) -> Gathered:
    """The candidates, best first. Costs a second statement only where a ranker has just come."""
    if wanted.seeds is not None:
        return _blended(candidates.gather(wanted))
    gathered = _gather(wanted, _expected[0])
    if gathered.standing["ranker"] != _expected[0]:
        _expected[0] = gathered.standing["ranker"]
        gathered = _gather(wanted, _expected[0])
    return _ordered(gathered) if gathered.standing["ranker"] == _expected[0] else _blended(gathered)


def _gather(wanted: Wanted, ranker: str | None) -> Gathered:
    if ranker is None or wanted.now is None:
        return candidates.gather(wanted)
    clock = store.find(ranker).clock(wanted.now)
    pool = max(POOL, wanted.pool)
    return candidates.gather(replace(wanted, ranker=ranker, pool=pool, now=clock))


def _ordered(gathered: Gathered) -> Gathered:
    """As the ranker that was expected, and is live, wants it."""
    if gathered.told is None:
        return gathered
    found = gathered.candidates
    network = store.find(gathered.standing["ranker"]).network
    order = np.argsort(-network.scores(gathered.told), kind="stable")
    scores = [candidate.score for candidate in found]
    best = [replace(found[n], score=score) for n, score in zip(order, scores, strict=True)]
    return gathered._replace(candidates=best)


def _blended(gathered: Gathered) -> Gathered:
    """In the order of the blend, whichever ranker is live."""
    return gathered._replace(standing=gathered.standing | {"ranker": None})
