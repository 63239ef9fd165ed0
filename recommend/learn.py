"""Learning: from the log's last weeks two spaces, how much each source weighs, and a ranker beyond that.

Both spaces are learned in the windows that lists are collected from (recommend.spaces.learning). The
weights of the home page's blend are chosen anew, where nobody chose them by hand (recommend.tune); the
spaces are learned from all there is; then a ranker is taught, live only where it is better than what serves.
It promises that nothing serves which did worse than the blend, or than the ranker that is live,
on shoppers that it had not learned from; and that an attempt is noted, whatever came of it, also
where it failed.
What is judged has learned from four shoppers of five; where it is good enough, what goes live has
learned in the same way from all of them, so its figures are those of the former. Where there is
too little to learn from, it says so.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from catalog.scenarios import HOME
from recommend import blend, judging, tune, tunings
from recommend.candidates import RANKED, Wanted
from recommend.goals import GOALS
from recommend.projections.popularity import EVERYTHING
from recommend.ranker import examples, looks, store, training
from recommend.ranker.examples import Example
from recommend.ranker.looks import Looks
from recommend.ranker.network import Network
from recommend.ranker.store import LISTS, NEW, Judged
from recommend.sources import NAMES
from recommend.spaces import learning
from recommend.spaces.learning import Course
from recsite.db import if_alone, one_snapshot

LEAST: Final = 300
"""Lists in which something was bought: fewer teach chance."""

MANY: Final = 1_000
"""Lists of the log's last weeks. Where there are fewer, and most shoppers came once, what they found
new last teaches, too. Whoever comes again asks for something else than what came next in a visit: of a
set of ratings, of which few come back, a ranker finds what each rated last with NDCG@10 .033 by the weeks
alone, .078 with both; what those rated then who did come back, with .231 and .198. (Small shops to which
shoppers come again were tried: an eighth of a wholesaler's lists gained, .121 for .117 of what was new,
those of 250 households lost, .067 for .090.)"""

PATIENCE: Final = timedelta(days=1)
"""New events before it is worth to learn anew."""

WANTED: Final = Wanted(
    None, None, [float(HOME.get(name, 0.0)) for name in NAMES], EVERYTHING, 0, RANKED
)
"""Candidates are drawn by the weights that ship for the home page."""

FEW: Final = 3_000
"""Lists of which a fifth may not be sure, so every shopper judges in turn. (A wholesaler's last three
months: by 434 lists a ranker was not surely better for lists of any items, by 2,241 it was, and in the
month after NDCG@10 .408 instead of .384.)"""

SCENARIO: Final = str(HOME["name"])
"""Whose weights the ranker must beat."""


BUSY: Final = "another process is at it"

Lists = Callable[[str], list[Example]]
"""The examples of a goal, by its name."""

Spans = Sequence[tuple[datetime, datetime]]
"""Windows, from a cut to an end, the newest first."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of it, as a sentence of the ranker, one of the weights, and one of each space."""

    judged: Judged | None
    is_live: bool
    said: str
    weights: str = ""
    spaces: Sequence[str] = ()


def is_due(until: datetime) -> bool:
    """Whether the log has gone on by a day since one was made."""
    spans = examples.windows(until)
    with one_snapshot() as inside:
        newest = store.newest_until(inside)
    return bool(spans) and (newest is None or spans[0][1] - newest >= PATIENCE)


def waits(until: datetime) -> str:
    """Why nothing is learned now, where it is not due."""
    if not examples.windows(until):
        return tune.EMPTY
    return "learned within a day of the log's end, so they stay"


def learn(until: datetime, each: Callable[..., Any] = iter) -> Learned:
    """Learn, judge, and make it live if it is good enough. `each` wraps the loops (progress).

    Costs three folds of the log and a few thousand lists; it ends at once where another worker
    is at it.
    """
    with if_alone("ranker") as is_ours:
        if not is_ours:
            return Learned(None, False, BUSY, BUSY)
        return _learn(until, each)


def settle() -> list[str]:
    """Learn the spaces anew that know somebody who was erased since; a sentence each."""
    with if_alone("ranker") as is_ours:
        return Course().settle() if is_ours else []


def _learn(until: datetime, each: Callable[..., Any]) -> Learned:
    spans = examples.windows(until)
    looked = looks.read(spans[0][1]) if spans else looks.NONE
    course = Course(each)
    lists = collecting(spans, each, course, looked)
    try:
        # Before the ranker, which must then beat what this blend makes.
        weights = _tune(lists, spans)
        goal, found = find(lists, LEAST)
    except learning.FAILURES as error:
        failed = _failed(error, spans)
        return replace(failed, weights=failed.said)
    spaces = course.publish(spans[0][1]) if spans else []
    return replace(_rank(goal, found, spans, each, looked), weights=weights, spaces=spaces)


def _without_unfit(found: Sequence[Example], course: Course) -> list[Example]:
    """The lists without what a space said that will not serve: judged on the newest."""
    newest = max((example.cut for example in found if example.cut), default=None)
    last = [example for example in found if example.cut == newest]
    if len(last) >= learning.LEAST_LISTS:
        lists = blend.beside([example.heard for example in last], len(NAMES))
        course.judge(lists, [example.person for example in last])
    silent = [NAMES.index(kind) for kind in course.unfit()]
    if not silent:
        return list(found)
    heard = (examples.silenced(example, silent) for example in found)
    return [example for example in heard if example.wanted.any()]


def _tune(lists: Lists, spans: Spans) -> str:
    """What came of it, as a sentence."""
    if not spans:
        return tune.EMPTY
    # First, so that who chooses while it is asked whose they are, or while lists are collected, is seen.
    begun = tunings.begin(SCENARIO)
    if not tunings.is_left_alone(SCENARIO):
        return "somebody chose them, so they stay as they are"
    return tune.tune(begun, *find(lists, tune.LEAST), spans[0][1]).said


def _rank(
    goal: str,
    found: Sequence[Example],
    spans: Spans,
    each: Callable[..., Any],
    looked: Looks,
) -> Learned:
    if len(found) < LEAST:
        if spans:
            with one_snapshot() as inside:
                store.keep_too_few(inside, len(found), spans[0][1])
        return Learned(None, False, f"{len(found)} lists to learn from, {LEAST} are needed: "
                       "the blend serves alone")  # fmt: skip
    try:
        return _teach(goal, found, spans[0][1], each, looked)
    except learning.FAILURES as error:
        return _failed(error, spans)


def _failed(error: Exception, spans: Spans) -> Learned:
    why = f"learning failed: {error}"
    if spans:
        with one_snapshot() as inside:
            store.keep_failed(inside, why, spans[0][1])
    return Learned(None, False, f"{why}; what serves stays as it is")


def _teach(
    goal: str,
    found: Sequence[Example],
    until: datetime,
    each: Callable[..., Any],
    looked: Looks,
) -> Learned:
    made = training.train(examples.held_out(found)[0], each)
    judged, is_better = _judge(goal, made, found, until, each)
    judged = replace(judged, slates=looked.slates)
    if is_better:
        store.publish(training.train(found, each), judged, until)
    else:
        with one_snapshot() as inside:
            store.keep(inside, made, judged, until)
    return Learned(judged, is_better, _sentence(judged, is_better, looked))


def _judge(
    goal: str, made: Network, found: Sequence[Example], until: datetime, each: Callable[..., Any]
) -> tuple[Judged, bool]:
    """On lists that it has not learned from: against the blend, and whatever is live."""
    with one_snapshot() as inside:
        before = store.live(inside)
    known, held = examples.held_out(found)
    compared = judging.beside(held, judging.scored(made, held), before, SCENARIO)
    judged, is_better = judging.judge(compared, goal, len(known))
    if len(judged.serves) < len(LISTS) and len(found) < FEW:
        every, ours = judging.in_turn(made, held, found, lambda of: training.train(of, each))
        compared = judging.beside(every, ours, before, SCENARIO)
        judged, is_better = judging.judge(compared, goal, len(known))
    if NEW in judged.serves and _is_misled(goal, made, until, each):
        return judging.judge(compared, goal, len(known), barred=(NEW,))
    return judged, is_better


def _is_misled(goal: str, made: Network, until: datetime, each: Callable[..., Any]) -> bool:
    """Spaces say nothing here: to teach them once more would cost more than all else."""
    last = examples.collect_last(WANTED, until, GOALS[goal], each, seen=(examples.INTERACTED,))
    return judging.is_misled(made, list(last), SCENARIO)


def collecting(
    spans: Spans, each: Callable[..., Any], course: Course, looked: Looks = looks.NONE
) -> Lists:
    """They are collected when they are first asked for, and once: tuning and the ranker may have
    the same goal, or each its own. The oldest first, from whose spaces the later ones go on."""

    @functools.cache
    def lists(goal: str) -> list[Example]:
        if examples.most_lists(spans, GOALS[goal]) < min(LEAST, tune.LEAST):
            return []
        found = [
            example
            for span in reversed(spans)
            for example in examples.collect(
                WANTED, *span, GOALS[goal], each, looked, teach=course.within
            )
        ]
        if len(found) < MANY and examples.comes_once():
            end = spans[0][1]
            found += examples.collect_last(WANTED, end, GOALS[goal], each, teach=course.anew)
        return _without_unfit(found, course)

    return lists


def find(lists: Lists, enough: int) -> tuple[str, list[Example]]:
    """The first goal that there are so many lists of, or the last; and its lists."""
    for name in GOALS:
        if len(lists(name)) >= enough:
            break
    return name, lists(name)


def _sentence(judged: Judged, is_live: bool, looked: Looks) -> str:
    against = f"the blend has {judged.blend:.4f}"
    if judged.live is not None:
        against += f", the one before {judged.live:.4f}"
    state = "not better, so it does not serve"
    if is_live:
        only = "" if len(judged.serves) > 1 else f" for lists of {judged.serves[0]} items"
        state = f"it is live{only}"
    if judged.barred:
        state += "; what shoppers found new last the blend finds better, so lists of new items are left to it"
    return (
        f"learned from {judged.learned} lists, {looked.said}; on {judged.lists} unknown to it "
        f"NDCG@{blend.AT} {judged.ndcg:.4f}, {against}: {state}"
    )
