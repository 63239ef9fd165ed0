"""Ranked: what a list costs that a ranker orders, beside one that the blend orders, in this process.

The ranker is as large as a learned one and knows nothing: what it knows changes no cost. Its links are
the shop's own. The lists of a shopper are made one after the other, so what else the machine does
meets all alike.
"""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from bench import sources
from bench.figures import Figure, at_most, percentile
from bench.sizes import Size
from bench.traffic import SEED, Shop
from recommend.sources import LINKED, name_of
from recsite.db import cursor

if TYPE_CHECKING:
    from recommend.ranker.examples import Example

LISTS: Final = 40
CANDIDATES: Final = 100
"""Of the invented lists that the ranker learns from."""

BLENDED, RANKED, UNLINKED = "blended", "ranked", "ranked, without links"
SHARES: Final = {"p50": (0.5, at_most(5)), "p99": (0.99, at_most(15))}

SWITCH: Final = "UPDATE ranker SET is_live = %s"


def measure(shop: Shop, size: Size) -> list[Figure]:
    """Leaves a ranker live, so it is for a copy of the shop."""
    _publish()
    took: dict[str, list[float]] = {BLENDED: [], RANKED: [], UNLINKED: []}
    for user in random.Random(SEED + 1).choices(shop.users, k=size.shoppers):
        _switch(user, is_live=False)
        took[BLENDED].append(sources.made(user, ()))
        _switch(user, is_live=True)
        took[RANKED].append(sources.made(user, ()))
        took[UNLINKED].append(sources.made(user, (name_of(LINKED),)))
    return [_figure(name, took, share) for share in SHARES for name in took]


def _switch(user: str, *, is_live: bool) -> None:
    """And make a list, so that none pays for a ranker that has just come."""
    with cursor() as hot:
        hot.execute(SWITCH, [is_live])
    sources.made(user, ())


def _figure(name: str, took: dict[str, list[float]], share: str) -> Figure:
    of, promised = SHARES[share]
    value, beside = percentile(took[name], of), percentile(took[BLENDED], of)
    target = None if name == UNLINKED else promised
    return Figure(f"a list, {name}, {share}", value, "ms", target, value / beside, BLENDED)


def _publish() -> None:
    # Not before Django has its settings, which name the home of this run.
    from recommend.ranker import store, training

    judged = store.Judged(0, LISTS, 0.0, 0.0, None)
    store.publish(training.train(_invented()), judged, datetime.now(UTC))


def _invented() -> "Sequence[Example]":
    from recommend.blend import Heard
    from recommend.ranker import features
    from recommend.ranker.examples import Example
    from recommend.sources import NAMES

    chance = np.random.default_rng(SEED)
    width = features.matrix(np.zeros((0, len(NAMES))), [], 0).shape[1]
    found = []
    for who in range(LISTS):
        told = chance.normal(size=(CANDIDATES, width)).astype(np.float32)
        wanted = chance.random(CANDIDATES) < 0.1
        found.append(Example(who, told, wanted, 0, Heard(told[:, : len(NAMES)], wanted, 0)))
    return found
