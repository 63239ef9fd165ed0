"""Evaluation: what would have been shown, against what shoppers then did.

The serving path answers from a split of the log (recommend.split): of before a cut, or without
each shopper's last deed. What was held out judges. It promises that nothing but the serving
path makes a list, that the same log gives the same figures, and that whatever makes an
evaluation other than serving is among the report's notes.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from behavior import coverage
from catalog.models import Scenario
from catalog.wishes import wishes
from recommend import encoders, learn, split, tunings
from recommend.evaluation import known
from recommend.evaluation.answers import Answer, answer
from recommend.evaluation.judgement import AUC_GATHERED, TITLES, Judgement, judge
from recommend.goals import GOALS
from recommend.pipeline import Ask, Refused
from recommend.ranker import store
from recommend.spaces import store as spaces
from recommend.split import Target
from recsite.db import connection
from recsite.numbers import many

SCHEMA: Final = "rec_evaluate"
END: Final = datetime(9999, 1, 1, tzinfo=UTC)

# Weights change in a copy in front of the live ones: a merchant who saves a scenario would wait for them
# until all is rolled back.
OWN_SCENARIOS: Final = "CREATE TABLE catalog_scenario AS TABLE public.catalog_scenario"


class NothingToJudge(Exception):
    """No shopper has both a history and anything that was held out."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to evaluate. Without a `cut` each shopper's last deed is held out. `of` is a key of
    goals.GOALS; `most` bounds the shoppers, who are drawn by a fixed hash."""

    cut: datetime | None
    scenario: str
    count: int
    exclude_seen: str | None
    most: int
    of: str = "purchase"
    with_ranker: bool = False
    without: tuple[str, ...] = ()
    """Sources that are silent, to see what each is good for; a ranker has learned with them."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, and what to know before it is believed."""

    plan: Plan
    judgement: Judgement
    notes: Sequence[str]


def evaluate(plan: Plan, each: Callable[..., Any] = iter) -> Report:
    """Fold, ask and judge. `each` wraps the loops (a progress bar).

    Raises NothingToJudge, pipeline.Refused for a scenario that is unknown or needs an item,
    and MonthsArchived.
    """
    wished = wishes(plan.scenario, plan.cut or END)
    if wished is None:
        raise Refused(404, "unknown_scenario", f"There is no scenario {plan.scenario!r}.")
    split.require_whole()
    seen = plan.exclude_seen or wished[0].exclude_seen
    serving = _live()
    with _split(plan) as (inside, targets):
        inside.execute(text(OWN_SCENARIOS))
        if not targets:
            raise NothingToJudge(f"No shopper has a history before {_moment(plan)}.")
        ranker = _teach(inside, plan, each) if plan.with_ranker else serving
        _silence(plan)
        answers = {target.person: _answer(plan, target) for target in each(targets)}
        judgement = _judge(inside, plan, targets, answers)
    return Report(plan, judgement, [*_notes(plan, seen, judgement), *ranker])


def _silence(plan: Plan) -> None:
    """In scenarios of our own, so there is no fact of it."""
    silent = dict.fromkeys(plan.without, 0.0)
    Scenario.objects.filter(name=plan.scenario).update(**silent)


HELD: Final = {"purchase": "a purchase", "cart": "a purchase or cart", "event": "an event"}


def _moment(plan: Plan) -> str:
    held = HELD[plan.of]
    if plan.cut is None:
        return f"{held} of theirs"
    return f"{plan.cut:%Y-%m-%d %H:%M %Z} and {held} after"


@contextlib.contextmanager
def _split(plan: Plan) -> Iterator[tuple[Connection, list[Target]]]:
    goal = GOALS[plan.of]
    if plan.cut is None:
        with split.without_last(goal, SCHEMA, most=plan.most) as (inside, targets):
            yield inside, targets
    else:
        with split.before(plan.cut, SCHEMA) as inside:
            yield inside, split.targets(inside, plan.cut, END, goal, most=plan.most)


def _answer(plan: Plan, target: Target) -> Answer:
    ask = Ask(plan.scenario, target.key, count=plan.count, exclude_seen=plan.exclude_seen)
    return answer(ask, target.at)


def _judge(
    inside: Connection, plan: Plan, targets: Sequence[Target], answers: dict[int, Answer]
) -> Judgement:
    bought = {target.person: target.items for target in targets}
    shown = {item for one in answers.values() for item in one.shown}
    return judge(
        answers, bought, known.read(inside, bought), known.traits(inside, shown), k=plan.count
    )


# ── what to know before it is believed ─────────────────────────────────────────────────────

NOT_SHOWN: Final = {
    "purchased": "What a shopper has bought",
    "interacted": "What a shopper has dealt with",
}


def _live() -> list[str]:
    with connection() as inside:
        has_ranker = store.live(inside) is not None
        kinds = [kind for kind in spaces.KINDS if spaces.live(inside, kind)]
    taught = [ENCODER] if encoders.chosen().base else []
    return [*taught, *([RANKER] if has_ranker else []), *([_silent(kinds)] if kinds else [])]


ENCODER: Final = (
    "The text encoder that serves was taught by the log, maybe also by what is held out here, so content"
    " may look better than it is."
)

RANKER: Final = (
    "A ranker serves, but it has learned from what is held out here, so these are the lists of"
    " the blend. --with-ranker teaches another from what was known."
)


def _silent(kinds: Sequence[str]) -> str:
    return (
        f"The live {' and '.join(kinds)} know what is held out here, and say nothing."
        " --with-ranker teaches others from what was known."
    )


def _teach(inside: Connection, plan: Plan, each: Callable[..., Any]) -> list[str]:
    """As the worker would have done, from what this split knows: weights that it chose since, too."""
    tunings.forget(learn.SCENARIO)
    taught = learn.learn(plan.cut or END, each)
    split.plan_once(inside)
    said = [f"Weights: {taught.weights}.", f"Ranker: {taught.said}."]
    return [*said, *(f"{space.capitalize()}." for space in taught.spaces)]


def _notes(plan: Plan, seen: str, judgement: Judgement) -> list[str]:
    said = [
        "Catalogue, stock, texts, rules and weights are today's: what was bought then and is sold"
        " out now cannot be found."
    ]
    if seen in NOT_SHOWN:
        said.append(f"{NOT_SHOWN[seen]} is not shown, so it cannot be found again.")
    is_taught = plan.scenario == learn.SCENARIO
    if tunings.is_tuned(plan.scenario) and not (plan.with_ranker and is_taught):
        better = "; --with-ranker tunes them by what was known" if is_taught else ""
        said.append(f"The weights were tuned, also by what is held out here{better}.")
    if plan.without:
        said.append(f"Silent in these lists: {', '.join(plan.without)}.")
    if plan.cut is None:
        said.append("Everybody else's facts are known, also those of later than a shopper's list.")
    gone = [one.month for one in coverage.archived()]
    if gone:
        said.append(f"Histories lack the archived months ({coverage.spans(gone)}).")
    every = judgement.by_item[0]
    compared = every.figures[AUC_GATHERED]
    without = every.shoppers - (compared.shoppers if compared else 0)
    if without:
        said.append(
            f"{TITLES[AUC_GATHERED]} leaves out {many(without, 'shopper')} of {every.shoppers:,}: among"
            " their candidates there is not both what they chose and what they did not."
        )
    return said
