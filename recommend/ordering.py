"""Ordering: candidates as the ranker that is live wants them; as the blend does without one.

It promises that the ranker that ordered a list is the one that its receipt names, and that a
list is ordered by the ranker that is live by the time it is gathered.
"""

from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from recommend import candidates
from recommend.candidates import Gathered, Wanted
from recommend.ranker import store
from recommend.ranker.features import Matrix
from recommend.ranker.network import Network
from recommend.ranker.store import LISTS, Ranker

_expected: Final[list[Ranker | None]] = [None]
"""Which ranker this process last saw live; the statement says whether it still is."""


def gather(wanted: Wanted) -> Gathered:
    """The candidates, best first. Costs a second statement only where a ranker has just come."""
    if wanted.seeds is not None or wanted.now is None:
        return _ordered_by(None, candidates.gather(wanted))
    expected = _expected[0]
    gathered = _gather(wanted, expected)
    if gathered.standing["ranker"] != _name(expected):
        # One that is gone again by now orders nothing.
        expected = _expected[0] = _find(gathered.standing["ranker"])
        gathered = _gather(wanted, expected)
    return _ordered_by(expected if _serves(expected, wanted) else None, gathered)


def _serves(ranker: Ranker | None, wanted: Wanted) -> bool:
    return ranker is not None and LISTS[wanted.seen != 0] in ranker.serves


def _name(ranker: Ranker | None) -> str | None:
    return None if ranker is None else ranker.name


def _find(name: str | None) -> Ranker | None:
    return None if name is None else store.find(name)


def _gather(wanted: Wanted, ranker: Ranker | None) -> Gathered:
    if ranker is None or wanted.now is None or not _serves(ranker, wanted):
        return candidates.gather(wanted)
    told = replace(wanted, ranker=ranker.name, now=ranker.clock(wanted.now))
    return candidates.gather(told, partial(_best_first, ranker.network))


def _best_first(network: Network, told: Matrix) -> npt.NDArray[np.intp]:
    return np.argsort(-network.scores(told), kind="stable")


def _ordered_by(ranker: Ranker | None, gathered: Gathered) -> Gathered:
    return gathered._replace(standing=gathered.standing | {"ranker": _name(ranker)})
