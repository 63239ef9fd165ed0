"""Learning: a ranker from the log's last weeks, live only where it is better than what serves.

It promises that a ranker that is worse than the blend, or than the ranker that is live, never
serves; that a shopper on whom it is judged was never learned from; and that an attempt is
noted, whatever came of it. Where there is too little to learn from, it says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from catalog.scenarios import HOME
from recommend import metrics
from recommend.candidates import Wanted
from recommend.ordering import POOL
from recommend.projections.popularity import EVERYTHING
from recommend.ranker import examples, store, training
from recommend.ranker.examples import Example
from recommend.ranker.store import Judged
from recommend.sources import NAMES
from recsite.db import one_snapshot

LEAST: Final = 300
"""Lists in which something was bought: fewer teach chance."""

AT: Final = 10
PATIENCE: Final = timedelta(days=1)
"""New events before it is worth to learn anew."""

WANTED: Final = Wanted(
    None, None, [float(HOME.get(name, 0.0)) for name in NAMES], EVERYTHING, 0, POOL
)
"""Candidates are drawn by the weights that ship for the home page."""

ENOUGH: Final = 0.99
"""Of what the live one reaches, which has learned from the shoppers on whom it is judged."""

SURE: Final = 1.64
"""Standard errors by which it must be better than the blend: 95%, one-sided."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of it, as a sentence."""

    judged: Judged | None
    is_live: bool
    said: str


def is_due(until: datetime) -> bool:
    """Whether the log has gone on by a day since one was made."""
    spans = examples.windows(until)
    with one_snapshot() as inside:
        newest = store.newest_until(inside)
    return bool(spans) and (newest is None or spans[0][1] - newest >= PATIENCE)


def learn(until: datetime, each: Callable[..., Any] = iter) -> Learned:
    """Learn, judge, and make it live if it is good enough. `each` wraps the loops (progress)."""
    found: list[Example] = []
    spans = examples.windows(until)
    for cut, end in spans:
        found.extend(examples.collect(WANTED, cut, end, each))
    if len(found) < LEAST:
        return Learned(None, False, f"{len(found)} lists to learn from, {LEAST} are needed: "
                       "the blend serves alone")  # fmt: skip
    known, held = examples.held_out(found)
    made = training.train(known, each)
    with one_snapshot() as inside:
        before = store.live(inside)
        ours = [_ndcg(made.scores(e.told), e) for e in held]
        blend = [_ndcg(e.blended, e) for e in held]
        live = None if before is None else [_ndcg(before.network.scores(e.told), e) for e in held]
        judged = Judged(
            len(held), len(known), _mean(ours), _mean(blend),
            None if live is None else _mean(live),
        )  # fmt: skip
        is_better = _surely(ours, blend) and (live is None or _mean(ours) >= ENOUGH * _mean(live))
        if is_better:
            store.publish(inside, training.train(found, each), judged, spans[0][1])
        else:
            store.keep(inside, made, judged, spans[0][1])
    return Learned(judged, is_better, _sentence(judged, is_better))


def _ndcg(scores: npt.NDArray[Any], example: Example) -> float:
    """As metrics.judge has it; what is not among the candidates cannot be found."""
    top = np.argsort(-scores, kind="stable")[:AT]
    relevant = int(example.wanted.sum()) + example.missed
    return metrics.ndcg([bool(hit) for hit in example.wanted[top]], min(AT, relevant))


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4)


def _surely(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Whether ours are better by more than chance, list by list."""
    gains = np.subtract(ours, theirs)
    return bool(gains.mean() > SURE * gains.std() / len(gains) ** 0.5)


def _sentence(judged: Judged, is_live: bool) -> str:
    against = f"the blend has {judged.blend:.4f}"
    if judged.live is not None:
        against += f", the one before {judged.live:.4f}"
    state = "it is live" if is_live else "not better, so it does not serve"
    return (
        f"learned from {judged.learned} lists; on {judged.lists} others NDCG@{AT} {judged.ndcg:.4f}, "
        f"{against}: {state}"
    )
