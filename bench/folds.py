"""Folds: events a second that one worker brings into each projection.

Incremental folds meet a log that is as long as the demo's; rebuilds count all of it. Both are
divided by the least that could be done with the same rows: counting them by item and kind.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

from django.db import transaction

from behavior import log
from behavior.envelope import parse
from behavior.events import Event
from behavior.position import FRESH, NOTHING
from bench.figures import Figure, at_least, percentile
from bench.ground import hush
from bench.sizes import Size
from bench.traffic import SEED, Shop, happenings
from recommend import fold
from recommend.projections import PROJECTIONS
from recsite.db import cursor, one_snapshot

SMALL: Final = 200
"""Events that come in a second at the promised rate: a fold that keeps up sees so many."""
SMALL_FOLDS: Final = 10

STANDS: Final = "SELECT snapshot FROM projection WHERE name = 'covisit'"
COUNT_ROWS: Final = "SELECT item, kind, count(*) FROM ({}) AS fresh GROUP BY item, kind".format(
    FRESH.replace(":since", "%(since)s")
)

REBUILT: Final = {"covisit": at_least(25_000), "popularity": None}
ADVANCED: Final = {"covisit": at_least(5_000)}


def measure(shop: Shop, size: Size) -> list[Figure]:
    """Incremental, then small folds, then rebuilds, each after the other on one log."""
    hush()
    for one in PROJECTIONS:
        fold.advance(one)
    events = parsed(shop)
    return [*_advanced(events, size), _small(events), *_rebuilt()]


def _advanced(events: Iterator[Event], size: Size) -> list[Figure]:
    """Rounds of events in small commits, each then folded into every projection."""
    rounds = max(size.fold_events // size.fold_batch, 1)
    seconds = dict.fromkeys(["append", "count", *(one.NAME for one in PROJECTIONS)], 0.0)
    for _ in range(rounds):
        seconds["append"] += timed(lambda: append(events, size.fold_batch, size.commit))
        seconds["count"] += timed(_count_fresh)
        for one in PROJECTIONS:
            seconds[one.NAME] += timed(partial(fold.advance, one))
    rate = {name: rounds * size.fold_batch / spent for name, spent in seconds.items()}
    every = rounds * size.fold_batch / sum(seconds[one.NAME] for one in PROJECTIONS)
    folds = f"folds of {size.fold_batch:,}"
    return [
        Figure(f"append, {size.commit} events a commit", rate["append"], "events/s"),
        *(Figure(f"{one.NAME}, {folds}", rate[one.NAME], "events/s", ADVANCED.get(one.NAME),
                 rate[one.NAME] / rate["count"], "GROUP BY") for one in PROJECTIONS),
        Figure(f"all projections, {folds}", every, "events/s"),
    ]  # fmt: skip


def _small(events: Iterator[Event]) -> Figure:
    covisit = fold.named("covisit")[0]
    took = []
    for _ in range(SMALL_FOLDS):
        append(events, SMALL, 1)
        took.append(timed(lambda: fold.advance(covisit)))
    return Figure(f"covisit, one fold of {SMALL} events", percentile(took, 0.5) * 1e3, "ms")


def _rebuilt() -> list[Figure]:
    counted = timed(lambda: count(NOTHING))
    figures = []
    for name, target in REBUILT.items():
        done = fold.rebuild(fold.named(name)[0])
        rate = done.events / done.seconds
        figures.append(Figure(f"{name}, rebuild of {done.events:,}", rate, "events/s", target,
                              counted / done.seconds, "GROUP BY"))  # fmt: skip
    return figures


def parsed(shop: Shop) -> Iterator[Event]:
    """Events from now on, in order of time: what a shop that is open sends."""
    now = datetime.now(UTC)
    for raw in happenings(shop, SEED, since=now, gap=timedelta(milliseconds=5)):
        event = parse(raw, now=now)
        assert isinstance(event, Event), event
        yield event


def append(events: Iterator[Event], count: int, commit: int) -> None:
    """Put the next `count` events into the log, `commit` a transaction."""
    for _ in range(count // commit):
        with transaction.atomic():
            log.append(list(islice(events, commit)))
    if rest := count % commit:
        with transaction.atomic():
            log.append(list(islice(events, rest)))


def _count_fresh() -> None:
    with cursor() as hot:
        (since,) = hot.execute(STANDS).fetchone() or (NOTHING,)
    count(since)


def count(since: str) -> None:
    """The least that can be done with what came since: by item and kind, how often."""
    with one_snapshot(), cursor() as hot:
        hot.execute(COUNT_ROWS, {"since": since}).fetchall()


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall time."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
