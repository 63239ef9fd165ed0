"""Scale: what the log's length may change, and what it must not.

Two logs, each in a database of its own that then goes away: an invented shop's short history, and
the same history beside a much longer one of other shoppers and other items. So the new events that
are folded behind both meet the same shoppers, pairs and counts, and what differs is the log's
length alone. The long log is also rebuilt, weighed, and loses a few persons. A promise about a
length is judged at that length only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from behavior.position import NOTHING
from bench import folds, ground, log, memory
from bench.figures import Figure, at_most, percentile
from bench.folds import timed
from bench.invented import Invention, tables
from bench.loading import load
from bench.sizes import Size
from bench.traffic import SEED, Shop
from recommend import erase, fold
from recommend.projections import PROJECTIONS
from recsite.db import cursor

NEW: Final = 1_000
"""Events of one fold, a hundred a commit."""
COMMIT: Final = 100

PERSONS: Final = 3
"""Who is erased, one after the other; the median counts."""

REBUILT: Final = {10_000_000: at_most(15 * 60)}
ERASED: Final = {1_000_000: at_most(1)}
"""What is promised, by the events in the log."""

Seconds = dict[str, float]
"""By projection."""


def measure(size: Size) -> list[Figure]:
    """The short log first; what is folded behind both is drawn from its names."""
    now = datetime.now(UTC)
    short = Invention(size.short, SEED, now)
    rest = Invention(size.long - size.short, SEED + 1, now, PERSONS, size.heavy, street="far-")
    new = _shop(short)
    with _stocked(short):
        _rebuild()
        behind_short = _folded(new, size)
    with _stocked(short, rest) as loading:
        counted = timed(partial(folds.count, NOTHING))
        rebuilt = _rebuild()
        behind_long = _folded(new, size)
        return [
            Figure("loaded, without the import", size.long / loading, "events/s"),
            *_of_rebuild(rebuilt, counted, size),
            *_of_folds(behind_short, behind_long, size),
            *memory.of_server(),
            Figure("an event, with its indexes", log.weigh(), "bytes", at_most(150)),
            _erased(behind_long, size),
        ]


@contextmanager
def _stocked(*wanted: Invention) -> Iterator[float]:
    """A database of its own with these histories; the seconds that they took to load."""
    ground.say(f"An invented log of {sum(each.events for each in wanted):,} events")
    with ground.empty():
        ground.hush()
        yield timed(partial(load, *wanted))


def _shop(wanted: Invention) -> Shop:
    """Its shoppers, and its items as often as they occur, for new events."""
    first = next(tables(wanted))
    return Shop(wanted.users(), first["item_id"].to_pylist(), Path())


def _rebuild() -> Seconds:
    """Every projection anew; then the tables as Postgres' own vacuum would leave them."""
    took = {one.NAME: fold.rebuild(one).seconds for one in PROJECTIONS}
    with cursor() as hot:
        hot.execute("VACUUM ANALYZE")
    return took


def _folded(new: Shop, size: Size) -> Seconds:
    """The median fold of new events, a few times, in a server that has been at it for a while."""
    events = folds.parsed(new)
    took: dict[str, list[float]] = {one.NAME: [] for one in PROJECTIONS}
    for _ in range(size.warm_rounds + size.rounds):
        folds.append(events, NEW, COMMIT)
        for one in PROJECTIONS:
            took[one.NAME].append(timed(partial(fold.advance, one)))
    return {name: percentile(seconds[size.warm_rounds :], 0.5) for name, seconds in took.items()}


def _of_rebuild(took: Seconds, counted: float, size: Size) -> list[Figure]:
    every = sum(took.values())
    rows = f"rebuild of {size.long:,}"
    return [
        *(Figure(f"{name}, {rows}", seconds, "s", None, seconds / counted, "GROUP BY")
          for name, seconds in took.items()),
        Figure(f"all projections, {rows}", every, "s", REBUILT.get(size.long),
               every / counted, "GROUP BY"),
    ]  # fmt: skip


def _of_folds(short: Seconds, long: Seconds, size: Size) -> list[Figure]:
    """What a fold costs behind the long history, and how often what it costs behind the short."""
    behind, than = f"{NEW:,} new behind {size.long:,}", f"behind {size.short:,}"
    ratio = sum(long.values()) / sum(short.values())
    return [
        *(Figure(f"{name}, {behind}", 1e3 * long[name], "ms", None, long[name] / short[name], than)
          for name in long),
        Figure(f"all projections, {behind}", 1e3 * sum(long.values()), "ms", None, ratio, than),
        Figure(f"behind {size.long:,} ÷ {than}", ratio, "times", at_most(1.5)),
    ]  # fmt: skip


def _erased(folded: Seconds, size: Size) -> Figure:
    took = [timed(partial(erase.erase, f"user:far-h{n}", asked_by="bench")) for n in range(PERSONS)]
    seconds = percentile(took, 0.5)
    return Figure(
        f"a person with {size.heavy:,} events erased", seconds, "s", ERASED.get(size.long),
        seconds / sum(folded.values()), f"fold of {NEW:,}",
    )  # fmt: skip
