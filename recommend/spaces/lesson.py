"""The lesson: what is learned from histories and in which steps, and the exam that judges it. numpy only.

The last moment of some shoppers is left out of what is learned: to foretell what was new in it is
the exam. Windows of histories come in another order and begin elsewhere each time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
import numpy.typing as npt

from recommend.spaces.histories import Histories, Whole
from recommend.spaces.network import LATEST, Encoder, users

PLACES: Final = 1024
"""Places of histories a step."""

LEAST: Final = 20
MOST: Final = 400
"""Steps between two exams."""

ROUNDS: Final = 200
"""How often all is learned from at most, as many times as LEAST steps need."""

HELD: Final = 500
"""Shoppers whose last moment judges; never more than one of eight."""

FORETOLD: Final = 50
"""Places of a list that count when a moment is judged."""

OLDEST: Final = 2000
"""The events of one shopper that are learned from: a robot or a shop's till does more."""

AHEAD: Final = 60
"""How many events on something is still later."""


class Aim(Enum):
    """What a place should foretell: the event after it, as visits need it; or something new to
    the shopper of a later hour, as baskets do, whose own order means nothing."""

    NEXT = "next"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Lesson:
    """Histories without those moments that judge: shopper n's run from starts[n] to ends[n]."""

    told: Histories
    starts: Whole
    ends: Whole
    fresh: npt.NDArray[np.bool_]
    """Whether an event is the first of its shopper with the item."""

    aim: Aim


@dataclass(frozen=True, slots=True)
class Exam:
    """Histories of held shoppers, what each then chose, and what they had known."""

    told: Histories
    wanted: list[Whole]
    known: list[Whole]


def divide(told: Histories, aim: Aim, chance: np.random.Generator) -> tuple[Lesson, Exam]:
    """The last moments of some shoppers are held out of the lesson; the exam is to foretell what in
    them was new."""
    starts, ends = np.maximum(told.starts, told.ends - OLDEST), told.ends.copy()
    fresh = _fresh(told)
    long = np.flatnonzero(ends - starts >= 3)
    held = np.sort(chance.permutation(long)[: min(HELD, len(long) // 8)])
    wanted, known, asked = [], [], []
    for shopper in held:
        start, end = starts[shopper], ends[shopper]
        cut = _last_moment(told.hours, start, end)
        new = np.flatnonzero(fresh[cut:end]) + cut
        if len(new):
            ends[shopper] = cut
            asked.append(shopper)
            wanted.append(told.items[new].astype(np.int64))
            known.append(np.unique(told.items[start:cut]).astype(np.int64))
    lesson = Lesson(told, starts, ends, fresh, aim)
    return lesson, Exam(_parts(told, starts[asked], ends[asked]), wanted, known)


def _fresh(told: Histories) -> npt.NDArray[np.bool_]:
    fresh = np.zeros(len(told.items), bool)
    pairs = told.owners * (np.int64(told.items.max(initial=0)) + 1) + told.items
    fresh[np.unique(pairs, return_index=True)[1]] = True
    return fresh


def _last_moment(hours: npt.NDArray[np.int32], start: int, end: int) -> int:
    """Where the last hour's events begin; where they are all, at the last of them."""
    cut = start + int(np.searchsorted(hours[start:end], hours[end - 1]))
    return cut if cut > start else end - 1


def _parts(told: Histories, starts: Whole, ends: Whole) -> Histories:
    """The last LATEST events of these histories."""
    starts = np.maximum(starts, ends - LATEST)
    within = [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]
    at = np.concatenate([np.zeros(0, np.int64), *within])
    return Histories(told.items[at], np.cumsum(ends - starts), told.kinds[at], told.hours[at])


def rounds(lesson: Lesson, chance: np.random.Generator) -> Iterator[list[Whole]]:
    """The steps between two exams: all windows once, of a few windows more often."""
    for _ in range(ROUNDS):
        steps: list[Whole] = []
        while len(steps) < LEAST:
            more = list(_steps(lesson, chance))
            if not more:
                return
            steps += more
        # Of a long log a part, in turn: exams are too far apart otherwise.
        yield from (steps[n : n + MOST] for n in range(0, len(steps), MOST))


def _steps(lesson: Lesson, chance: np.random.Generator) -> Iterator[Whole]:
    """Windows (windows, 2) of like length, from and to, PLACES together; in any order."""
    windows = _windows(lesson, chance)
    lengths = windows[:, 1] - windows[:, 0]
    mixed = chance.permutation(len(windows))
    mixed = mixed[np.argsort(lengths[mixed], kind="stable")]
    steps, first = [], 0
    for last in range(1, len(mixed) + 1):
        if last == len(mixed) or lengths[mixed[last]] * (last + 1 - first) > PLACES:
            steps.append(windows[mixed[first:last]])
            first = last
    return (steps[n] for n in chance.permutation(len(steps)))


def _windows(lesson: Lesson, chance: np.random.Generator) -> Whole:
    """Histories without their last event, which nothing follows; what is longer than LATEST in
    several windows that begin elsewhere each time."""
    windows = []
    moved = chance.integers(0, LATEST, len(lesson.ends))
    for start, end, move in zip(lesson.starts, lesson.ends - 1, moved, strict=True):
        if end - start > LATEST:
            windows.append((end - LATEST, end))
            end -= move
        windows += [(max(start, to - LATEST), to) for to in range(end, start, -LATEST)]
    return np.array(windows, np.int64).reshape(-1, 2)


def places(windows: Whole) -> tuple[Whole, npt.NDArray[np.bool_]]:
    """(windows, longest): which event stands at each place, and whether any does."""
    lengths = windows[:, 1] - windows[:, 0]
    places = np.arange(lengths.max())
    real = places < lengths[:, None]
    return np.where(real, windows[:, :1] + places, windows[:, :1]), real


def follows(
    lesson: Lesson, at: Whole, real: npt.NDArray[np.bool_], chance: np.random.Generator
) -> tuple[Whole, npt.NDArray[np.bool_]]:
    """The event that each place should foretell, and whether there is one."""
    if lesson.aim is Aim.NEXT:
        return at + 1, real
    left = lesson.ends[lesson.told.owners[at]] - 1 - at
    ahead = (chance.random(at.shape) * np.clip(left, 1, AHEAD)).astype(np.int64)
    follows = np.minimum(at + 1 + ahead, len(lesson.told.items) - 1)
    later = lesson.told.hours[follows] > lesson.told.hours[at]
    return follows, real & (left > 0) & later & lesson.fresh[follows]


def worth(encoder: Encoder, exam: Exam) -> float:
    """The mean NDCG@FORETOLD of what held shoppers chose among all that was new to them."""
    if not exam.wanted:
        return 0.0
    scores = users(encoder, exam.told) @ encoder.items.T
    return float(np.mean([
        _gain(own, wanted, known)
        for own, wanted, known in zip(scores, exam.wanted, exam.known, strict=True)
    ]))  # fmt: skip


def _gain(scores: npt.NDArray[np.float32], wanted: Whole, known: Whole) -> float:
    scores[known] = -np.inf
    order = np.argsort(-scores, kind="stable")[:FORETOLD]
    worth = 1 / np.log2(np.arange(2, FORETOLD + 2))
    return float(worth[: len(order)][np.isin(order, wanted)].sum() / worth[: len(wanted)].sum())
