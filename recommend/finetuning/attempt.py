"""An attempt: the deployment's encoder is taught by the log, judged, and live only if it is surely better.

It promises that nothing serves which did not find what shoppers chose in the log's last weeks surely
better than the encoder as its package has it, and than the one that is live, or which finds texts
surely worse that nobody had chosen before; and that every attempt is noted, also one that failed.
What is judged is what goes live: it has not learned from the weeks that judge it, nor has it from
those by which the ranker learns what texts are worth.
"""

import functools
import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from recommend import encoders, surely
from recommend.encoders import Encoder, ModelMissing, tuned
from recommend.encoders.tuned import Weights
from recommend.finetuning import judgement, pairs, store
from recommend.finetuning.judgement import AT, Vectors
from recommend.finetuning.pairs import Lessons, Query
from recommend.finetuning.store import Attempt, Failed, Judged, TooFew
from recommend.ranker import examples
from recsite.db import if_alone
from recsite.numbers import many

ADAPTER: Final = "adapter"
LAST: Final = "last"
ALL: Final = "all"
MODES: Final = (ADAPTER, LAST, ALL)

MINUTES: Final = 10.0
"""For learning; judging comes on top."""

LEAST: Final = 200
"""Pairs: fewer teach chance."""

LEAST_SHOPPERS: Final = 30
"""To judge by, and to know by when to stop."""

PATIENCE: Final = timedelta(days=7)
"""New events before it is worth to try again by itself."""

BUSY: Final = "another process is at it"
EMPTY: Final = "the log is empty: nothing to learn from"


class Refused(Exception):
    """The encoder cannot be taught in this way; the message says why."""


class Lost(Exception):
    """What was learned puts texts nowhere: some numbers are none."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it: as a sentence, and the name of what is live now because of it."""

    said: str
    name: str | None = None
    judged: Judged | None = None


def is_due(until: datetime) -> bool:
    """Whether the log has gone on by a week since the encoder was last taught."""
    spans = examples.windows(until)
    newest = store.newest_until(encoders.untuned().name)
    return bool(spans) and (newest is None or spans[0][1] - newest >= PATIENCE)


def attempt(
    until: datetime, mode: str = ADAPTER, *, minutes: float = MINUTES, each: Callable[..., Any] = iter
) -> Tried:  # fmt: skip
    """Learn, judge, and make it live if it is good enough. `each` wraps the loops (progress).

    It ends at once where another worker is at it. Raises Refused where the encoder has no such
    mode, ModelMissing where its package is not installed.
    """
    refuse(mode)
    with if_alone("finetuning") as is_ours:
        return _attempt(until, mode, minutes, each) if is_ours else Tried(BUSY)


def refuse(mode: str) -> None:
    """Raises Refused or ModelMissing where the deployment's encoder cannot be taught so."""
    base = encoders.untuned()
    if mode not in MODES:
        raise Refused(f"There is no mode {mode!r}: it is one of {', '.join(MODES)}.")
    if mode != ADAPTER and not base.layers:
        raise Refused(
            f"The encoder {base.name} is not a network in torch, so its layers cannot be taught; "
            f"the mode {ADAPTER!r} works with every encoder."
        )
    if not base.is_installed():
        raise ModelMissing(f"The text model's package {base.package} is missing. Run `make setup`.")
    if importlib.util.find_spec("torch") is None:
        raise ModelMissing("The package torch is missing. Run `make setup`.")


def _attempt(until: datetime, mode: str, minutes: float, each: Callable[..., Any]) -> Tried:
    spans = examples.windows(until)
    if not spans:
        return Tried(EMPTY)
    base = encoders.untuned()
    noted = Attempt(base.name, mode, spans[0][1])
    lessons = pairs.collect(spans)
    shoppers = min(len(set(pairs.persons(q))) for q in (lessons.tried, lessons.judged))
    if len(lessons.pairs) < LEAST or shoppers < LEAST_SHOPPERS:
        store.note(noted, TooFew(len(lessons.pairs), shoppers))
        return Tried(f"{lacking(len(lessons.pairs), shoppers)}: {_serving(base)} serves as before")
    try:
        return _teach(base, noted, lessons, minutes, each)
    except Exception as error:
        store.note(noted, Failed(f"{type(error).__name__}: {error}"))
        raise


def lacking(found: int, shoppers: int) -> str:
    """As a sentence begins."""
    return (
        f"{many(found, 'pair')} of texts to learn from and {many(shoppers, 'shopper')} to judge by, "
        f"{LEAST} and {LEAST_SHOPPERS} are needed"
    )


def _teach(
    base: Encoder, noted: Attempt, lessons: Lessons, minutes: float, each: Callable[..., Any]
) -> Tried:  # fmt: skip
    began = time.monotonic()
    plain = _vectors(base.encode, lessons.texts)
    is_over = _clock(began + 60 * minutes)
    learned = TEACH[noted.mode](lessons, plain, is_over, each)
    taught = _vectors(tuned.encoding(learned, lambda _: plain.tolist()), lessons.texts)
    if not np.isfinite(taught).all():
        raise Lost("What was learned puts texts nowhere.")
    judged, is_better = _judge(base, lessons, plain, taught, round(time.monotonic() - began))
    if not is_better:
        store.note(noted, judged)
        return Tried(_sentence(judged, "not better, so it does not serve"), None, judged)
    name = store.publish(noted, judged, learned)
    return Tried(_sentence(judged, f"{name} is live"), name, judged)


def _clock(end: float) -> Callable[[], bool]:
    return lambda: time.monotonic() >= end


def _vectors(encode: tuned.Encode, texts: Sequence[str]) -> Vectors:
    return np.array(encode(texts), dtype=np.float32)


Teach = Callable[[Lessons, Vectors, Callable[[], bool], Any], Weights]


def _adapter(lessons: Lessons, plain: Vectors, is_over: Callable[[], bool], each: Any) -> Weights:
    from recommend.finetuning import adapter

    return adapter.train(lessons, plain, is_over, each)


def _layers(
    which: str, lessons: Lessons, plain: Vectors, is_over: Callable[[], bool], each: Any
) -> Weights:  # fmt: skip
    from recommend.finetuning import layers

    of = layers.last if which == LAST else layers.every
    return layers.train(lessons, of, is_over, each)


TEACH: Final[dict[str, Teach]] = {
    ADAPTER: _adapter,
    LAST: functools.partial(_layers, LAST),
    ALL: functools.partial(_layers, ALL),
}


def _judge(
    base: Encoder, lessons: Lessons, plain: Vectors, taught: Vectors, seconds: int
) -> tuple[Judged, bool]:  # fmt: skip
    """By what was chosen in weeks that neither taught nor said when to stop."""
    new = pairs.of_new(lessons)
    queries = lessons.judged
    ours, theirs, live = (
        _found(lies, queries) for lies in (taught, plain, _live(base, lessons, plain))
    )
    ours_new, theirs_new = _found(taught, new), _found(plain, new)
    judged = Judged(
        len(lessons.pairs), len(queries), len(ours), surely.mean(ours), surely.mean(theirs), _mean(live),
        len(ours_new), _mean(ours_new), _mean(theirs_new), seconds,
    )  # fmt: skip
    is_better = surely.is_better(ours, theirs) and (not live or surely.is_better(ours, live))
    return judged, is_better and not surely.is_better(theirs_new, ours_new)


def _live(base: Encoder, lessons: Lessons, plain: Vectors) -> Vectors | None:
    """Where the texts lie by the one that is live."""
    name = tuned.live(base.name)
    if name is None:
        return None
    return _vectors(tuned.encoding(tuned.read(name), lambda _: plain.tolist()), lessons.texts)


def _found(lies: Vectors | None, queries: Sequence[Query]) -> list[float]:
    return [] if lies is None else judgement.of_shoppers(lies, queries)


def _mean(found: Sequence[float]) -> float | None:
    return surely.mean(found) if found else None


def _serving(base: Encoder) -> str:
    return tuned.live(base.name) or base.name


def _sentence(judged: Judged, state: str) -> str:
    against = f"untaught {judged.base:.4f}"
    if judged.live is not None:
        against += f", the live one {judged.live:.4f}"
    new = ""
    if judged.new_ndcg is not None:
        new = f" (texts that nobody had chosen before: {judged.new_ndcg:.4f}, untaught {judged.new_base:.4f})"
    return (
        f"learned from {many(judged.pairs, 'pair')} of texts; what {many(judged.shoppers, 'shopper')} "
        f"chose next is found with NDCG@{AT} {judged.ndcg:.4f}, {against}{new}: {state}"
    )
