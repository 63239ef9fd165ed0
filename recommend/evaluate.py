"""Evaluation by a time split: what would have been shown, against what was then bought.

The serving path answers from the log before the cut (recommend.split), and what the same
shoppers bought afterwards judges. It promises that *repeat* purchases and *new* ones are told
apart.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from catalog.wishes import wishes
from recommend import split
from recommend.metrics import Quality, judge
from recommend.pipeline import Ask, Refused, compose

SCHEMA: Final = "rec_evaluate"
END: Final = datetime(9999, 1, 1, tzinfo=UTC)


class NothingToJudge(Exception):
    """No shopper has a history before the cut and a purchase after it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to evaluate. `most` bounds the shoppers; they are drawn by a fixed hash."""

    cut: datetime
    scenario: str
    count: int
    exclude_seen: str | None
    most: int


@dataclass(frozen=True, slots=True)
class Report:
    """Quality over all purchases after the cut, over those seen before it, and new ones."""

    every: Quality
    repeat: Quality
    new: Quality


ON_SALE: Final = (
    "SELECT count(*) FROM catalog_item WHERE available AND (stock IS NULL OR stock > 0)"
)


def evaluate(plan: Plan, shoppers: Any = iter) -> Report:
    """Fold, ask and judge. `shoppers` wraps the loop over shoppers (a progress bar).

    Raises NothingToJudge, and pipeline.Refused for an unknown scenario.
    """
    if wishes(plan.scenario, plan.cut) is None:
        raise Refused(404, "unknown_scenario", f"There is no scenario {plan.scenario!r}.")
    with split.before(plan.cut, SCHEMA) as inside:
        targets = split.targets(inside, plan.cut, END, most=plan.most)
        if not targets:
            raise NothingToJudge(
                f"No shopper has a history before {plan.cut:%Y-%m-%d %H:%M %Z} and a purchase after."
            )
        lists = dict(_lists(plan, shoppers([(t.person, t.key) for t in targets])))
        return _report(inside, plan, {t.person: t.items for t in targets}, lists)


def _lists(plan: Plan, shoppers: Iterable[tuple[int, str]]) -> Iterator[tuple[int, Sequence[int]]]:
    for subject, key in shoppers:
        ask = Ask(plan.scenario, key, count=plan.count, exclude_seen=plan.exclude_seen)
        yield subject, [shown.item for shown in compose(ask, plan.cut).items]


def _report(
    inside: Connection,
    plan: Plan,
    bought: Mapping[int, frozenset[int]],
    lists: Mapping[int, Sequence[int]],
) -> Report:
    dealt = split.dealt(inside, list(bought))
    repeat = {who: items & dealt[who] for who, items in bought.items()}
    new = {who: items - dealt[who] for who, items in bought.items()}
    on_sale = int(inside.scalar(text(ON_SALE)) or 0)

    def judged(relevant: Mapping[int, frozenset[int]]) -> Quality:
        some = {who: items for who, items in relevant.items() if items}
        return judge(lists, some, k=plan.count, catalogue=on_sale)

    return Report(judged(bought), judged(repeat), judged(new))
