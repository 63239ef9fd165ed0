"""Evaluation by a time split: what would have been shown, against what was then bought.

The log before the cut is folded into tables of its own, the serving path answers from them,
and what the same shoppers bought afterwards judges. It promises that nothing from after the
cut is counted, that no live table is touched (all of it is one transaction, rolled back), and
that *repeat* purchases and *new* ones are told apart. Texts of items are today's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from sqlalchemy import Connection, text

from behavior import people, user_state
from behavior.events import Kind
from catalog.countings import wanted
from catalog.wishes import wishes
from recommend import fold
from recommend.metrics import Quality, judge
from recommend.pipeline import Ask, Refused, compose
from recommend.projections import covisit, popularity
from recsite.db import one_snapshot

SCHEMA: Final = "rec_evaluate"
FOLDED: Final = (popularity, covisit)
TABLES: Final = (*people.TABLES, *user_state.TABLES, *popularity.TABLES, *covisit.TABLES)


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


BEFORE: Final = """
CREATE VIEW event AS SELECT * FROM rec.event WHERE id < first_id(CAST('{cut}' AS timestamptz))
"""

# Shoppers with a history, and the items they bought after the cut; hashing draws the same
# shoppers each time.
TARGETS: Final = f"""
SELECT person, key, items
FROM (SELECT CASE WHEN person.subject IS NULL THEN later.subject ELSE person.person END AS person,
             array_agg(DISTINCT item) AS items
      FROM rec.event AS later LEFT JOIN person USING (subject)
      WHERE id >= first_id(:cut) AND kind = {Kind.PURCHASE.value} AND item IS NOT NULL
      GROUP BY 1) AS buyer
JOIN subject_key ON subject_key.subject = person
WHERE person IN (SELECT person FROM user_state)
ORDER BY hashint4(person), person
LIMIT :most
"""

DEALT: Final = (
    "SELECT person, array_agg(item) FROM user_item WHERE person = ANY(:persons) GROUP BY 1"
)

ON_SALE: Final = (
    "SELECT count(*) FROM catalog_item WHERE available AND (stock IS NULL OR stock > 0)"
)


def evaluate(plan: Plan, shoppers: Any = iter) -> Report:
    """Fold, ask and judge. `shoppers` wraps the loop over shoppers (a progress bar).

    Raises NothingToJudge, and pipeline.Refused for an unknown scenario.
    """
    if wishes(plan.scenario, plan.cut) is None:
        raise Refused(404, "unknown_scenario", f"There is no scenario {plan.scenario!r}.")
    with one_snapshot() as inside:
        with fold.beside(inside, TABLES, SCHEMA):
            _fold_before(inside, plan.cut)
            targets = inside.execute(text(TARGETS), {"cut": plan.cut, "most": plan.most}).all()
            if not targets:
                raise NothingToJudge(
                    f"No shopper has a history before {plan.cut:%Y-%m-%d %H:%M %Z} and a purchase after."
                )
            lists = dict(_lists(plan, shoppers([(t.person, t.key) for t in targets])))
            report = _report(inside, plan, {t.person: frozenset(t.items) for t in targets}, lists)
        transaction.set_rollback(True)
    return report


def _fold_before(inside: Connection, cut: datetime) -> None:
    inside.execute(text(BEFORE.format(cut=cut.isoformat())))
    people.fill(inside)
    user_state.fill(inside)
    for one in FOLDED:
        one.fill(inside, wanted(one.NAME))
    for table in TABLES:
        inside.execute(text(f"ANALYZE {table.name}"))
    # From here on it serves: the big statement is planned once, as it is live.
    inside.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))


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
    rows = inside.execute(text(DEALT), {"persons": list(bought)}).all()
    dealt = {subject: frozenset(items) for subject, items in rows}
    repeat = {who: items & dealt[who] for who, items in bought.items()}
    new = {who: items - dealt[who] for who, items in bought.items()}
    on_sale = int(inside.scalar(text(ON_SALE)) or 0)

    def judged(relevant: Mapping[int, frozenset[int]]) -> Quality:
        some = {who: items for who, items in relevant.items() if items}
        return judge(lists, some, k=plan.count, catalogue=on_sale)

    return Report(judged(bought), judged(repeat), judged(new))
