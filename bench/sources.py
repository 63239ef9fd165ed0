"""Sources: what each costs a list, in this process, where HTTP adds nothing to it.

A shopper's list is made with all sources, and then without each of them, in turn; so what else the
machine does meets all alike. Without a ranker: *linked* says nothing there (see ranked).
"""

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from bench.figures import Figure, percentile
from bench.sizes import Size
from bench.traffic import SEED, Shop
from recommend.sources import LINKED, NAMES, name_of

SCENARIO: Final = "home"
ALL: Final = "all sources"
SILENT: Final[dict[str, Sequence[str]]] = {
    ALL: (),
    **{f"all but {name}": (name,) for name in NAMES if name != name_of(LINKED)},
}
"""The lists that are made of each shopper, by name, and who says nothing in them."""

MILLISECOND: Final = 1e3


def measure(shop: Shop, size: Size) -> list[Figure]:
    """The median of each list, and how much of one with all sources that is."""
    users = random.Random(SEED).choices(shop.users, k=size.shoppers)
    took: dict[str, list[float]] = {name: [] for name in SILENT}
    for number, user in enumerate(users):
        made(user, ())  # so that none pays for a shopper whom nobody has read yet
        for name in _turned(number):
            took[name].append(made(user, SILENT[name]))
    median = {name: percentile(each, 0.5) for name, each in took.items()}
    return [
        Figure(f"a list from {name}", ms, "ms", None, ms / median[ALL], f"with {ALL}")
        for name, ms in median.items()
    ]


def _turned(number: int) -> list[str]:
    """Everyone begins with another, and ends with another."""
    names, first = list(SILENT), number % len(SILENT)
    return names[first:] + names[:first]


def made(user: str, silent: Sequence[str]) -> float:
    """Make this shopper's list without these sources; the milliseconds that it took."""
    # Not before Django has its settings, which name the home of this run.
    from catalog.wishes import wishes
    from recommend import pipeline

    now, ask = datetime.now(UTC), pipeline.Ask(SCENARIO, shopper=f"user:{user}")
    found = wishes(SCENARIO, now)
    assert found is not None, "The bench's shop has a home page."
    settings, rules = found
    weights: dict[str, Any] = dict.fromkeys(silent, 0.0)
    settings = replace(settings, **weights)
    began = time.perf_counter()
    pipeline.arrange(ask, now, settings, rules, seed=0)
    return (time.perf_counter() - began) * MILLISECOND
