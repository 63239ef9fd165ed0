"""Tuning: a scenario's weights, chosen by what shoppers took from lists of the log's last weeks.

Chosen on four shoppers of five and judged on the fifth: they become the scenario's own only where
they are surely better there than those that stand. It promises that every attempt is noted with its
figures, also one that finds too few lists; that a change is a fact as any other of a merchant's (so
slates name it, and journeys into the past know it); and that by itself it never touches weights that
somebody chose: whoever made the last fact that changed one of them, whatever it is now.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import orjson
from django.db import transaction
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Identity, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from behavior import coverage
from behavior.events import Kind
from catalog import changes
from catalog.changes import MERCHANT
from catalog.models import Scenario
from catalog.scenarios import HOME, LATER
from recommend import blend, surely
from recommend.ranker.examples import Example, held_out
from recommend.sources import NAMES
from recsite.db import METADATA, connection
from recsite.numbers import many

tuning = Table(
    "tuning",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("scenario", Text, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("stood", JSONB, nullable=False),
    Column("weights", JSONB, nullable=False),
    Column("judged", JSONB, nullable=False),
    Column("is_saved", Boolean, nullable=False),
)
"""`stood` and `weights` are weights by source, before and as chosen; `judged` is Judged or
TooFew; `until` where the log ended."""

KEEP: Final = """
INSERT INTO tuning (scenario, until, stood, weights, judged, is_saved)
VALUES (:scenario, :until, CAST(:stood AS jsonb), CAST(:weights AS jsonb), CAST(:judged AS jsonb),
        :is_saved)
"""
LAST_SAVED: Final = """
SELECT weights::text FROM tuning WHERE scenario = :scenario AND is_saved ORDER BY id DESC LIMIT 1
"""

# What stood before the first of those that were saved one upon another: between them nobody chose.
FIRST_STOOD: Final = """
SELECT stood::text FROM (
    SELECT id, stood, stood @> lag(weights) OVER (ORDER BY id) AS goes_on
    FROM tuning WHERE scenario = :scenario AND is_saved
) AS saved
WHERE goes_on IS NOT TRUE ORDER BY id DESC LIMIT 1
"""

TUNING: Final = "tuning"

# The last fact that changed one of its weights. Facts did not always say by whom: one that says what was
# last saved here is taken for ours. The whole log is asked, whatever a split has put in front of it.
CHOOSER: Final = f"""
SELECT coalesce(detail->>'by', CASE WHEN detail->'scenario' @> (
    SELECT weights FROM tuning WHERE scenario = :scenario AND is_saved ORDER BY id DESC LIMIT 1
) THEN '{TUNING}' ELSE '{MERCHANT}' END)
FROM rec.event
WHERE subject IS NULL AND kind = {Kind.RULE_CHANGED.value}
  AND detail->'scenario'->>'name' = :scenario
  AND EXISTS (SELECT FROM unnest(CAST(:names AS text[])) AS name
              WHERE detail->'scenario'->name IS DISTINCT FROM detail->'before'->name)
ORDER BY id DESC LIMIT 1
"""

LEAST: Final = 100
"""Lists in which something was bought: there are eight weights to find, not a network's thousand."""

LEAST_OF_EACH: Final = LEAST // 5
"""Lists to choose by, and lists to judge by: one shopper may have given most of them."""

EMPTY: Final = "the log is empty, so they stay as they are"

Weights = Mapping[str, float]
"""By source, one of sources.NAMES."""


@dataclass(frozen=True, slots=True)
class Judged:
    """On `lists` of shoppers that nothing was chosen by: NDCG@10 of the weights that were found on
    `learned` lists, and of those that stood, and whether that is surely better. `goal` is a key of
    recommend.goals.GOALS."""

    lists: int
    learned: int
    ndcg: float
    stood: float
    goal: str
    is_better: bool


@dataclass(frozen=True, slots=True)
class TooFew:
    """Lists that were `found`, and how many of them are `held` out to judge by."""

    found: int
    held: int
    goal: str


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of it, as a sentence."""

    said: str
    judged: Judged | None = None
    weights: Weights | None = None
    is_saved: bool = False


def tune(scenario: str, goal: str, found: Sequence[Example], until: datetime) -> Tuned:
    """Choose the weights anew, and save them where they are surely better."""
    stood = standing(scenario)
    known, held = held_out(found)
    if lacks := lacking(len(found), len(held)):
        _keep(scenario, until, stood, stood, TooFew(len(found), len(held), goal), False)
        return Tuned(f"{lacks}: they stay as they are")
    chosen = _climbed(known, stood)
    ours, theirs = _judged(held, chosen), _judged(held, stood)
    is_better = surely.is_better(ours, theirs)
    judged = Judged(len(held), len(known), surely.mean(ours), surely.mean(theirs), goal, is_better)
    # Both or neither: weights that were saved are noted, and what is noted as saved was.
    with transaction.atomic():
        is_saved = is_better and _save(scenario, stood, chosen)
        _keep(scenario, until, stood, chosen, judged, is_saved)
    return Tuned(_sentence(judged, is_saved), judged, chosen, is_saved)


def lacking(found: int, held: int) -> str:
    """What there is too little of, in words; none where there is enough."""
    if found < LEAST:
        return f"{many(found, 'list')} to choose by, {LEAST} are needed"
    if min(found - held, held) < LEAST_OF_EACH:
        return (
            f"{many(found - held, 'list')} to choose by and {held} to judge by, {LEAST_OF_EACH} of"
            " each are needed"
        )
    return ""


def standing(scenario: str) -> Weights:
    """The scenario's weights; those that ship where it is gone."""
    found = Scenario.objects.filter(name=scenario).values(*NAMES).first()
    return found or {name: float(HOME.get(name, 0.0)) for name in NAMES}


def is_left_alone(scenario: str) -> bool:
    """Whether nobody chose its weights by hand since they shipped, or since they were chosen here."""
    return Scenario.objects.filter(name=scenario).exists() and _chooser(scenario) != MERCHANT


def is_tuned(scenario: str) -> bool:
    """Whether its weights are those that were last chosen here."""
    return _chooser(scenario) == TUNING


def forget(scenario: str) -> None:
    """As if weights had never been chosen here: what stood before stands again. Only where scenarios
    are a copy that is thrown away: there is no fact of it."""
    stood = _kept(FIRST_STOOD, scenario)
    if stood is not None and is_tuned(scenario):
        Scenario.objects.filter(name=scenario).update(**stood)


def _chooser(scenario: str) -> str | None:
    """Who changed its weights last: MERCHANT or TUNING; None where they are as they shipped."""
    asked = {"scenario": scenario, "names": list(NAMES)}
    with connection() as inside:
        said: str | None = inside.scalar(text(CHOOSER), asked)
    return _by_values(scenario) if said is None and coverage.archived() else said


def _by_values(scenario: str) -> str | None:
    """Where the fact may be in a month that is archived."""
    stand = standing(scenario)
    if stand == _kept(LAST_SAVED, scenario):
        return TUNING
    # A shop that is older than a source has it off.
    shipped = all(w in (HOME.get(name, 0.0), LATER.get(name)) for name, w in stand.items())
    return None if shipped else MERCHANT


def _kept(statement: str, scenario: str) -> Weights | None:
    """A source that came later was off."""
    with connection() as inside:
        said = inside.scalar(text(statement), {"scenario": scenario})
    if said is None:
        return None
    kept = orjson.loads(said)
    return {name: kept.get(name, 0.0) for name in NAMES}


# ── choosing and judging ───────────────────────────────────────────────────────────────────


def _climbed(known: Sequence[Example], stood: Weights) -> Weights:
    """What no list has heard, no step makes better, so it stays."""
    lists = blend.beside([example.heard for example in known], len(NAMES))
    gave = Counter(example.person for example in known)
    shares = np.array([1 / gave[example.person] for example in known]) / len(gave)
    best = blend.climb(lists, shares, np.array([stood[name] for name in NAMES]))
    return dict(zip(NAMES, map(float, best), strict=True))


def of_each(examples: Sequence[Example], weights: Weights) -> list[float]:
    """NDCG@10 of each list, as the blend with these weights has it."""
    lists = blend.beside([example.heard for example in examples], len(NAMES))
    return list(blend.ndcg(lists, [weights[name] for name in NAMES]))


def _judged(held: Sequence[Example], weights: Weights) -> list[float]:
    return surely.by_shopper([example.person for example in held], of_each(held, weights))


# ── what is kept ───────────────────────────────────────────────────────────────────────────


def _save(scenario: str, stood: Weights, chosen: Weights) -> bool:
    """Compare and set: whoever chose others meanwhile has the last word."""
    row = Scenario.objects.select_for_update().filter(name=scenario).first()
    if row is None or {name: getattr(row, name) for name in NAMES} != stood:
        return False
    for name, weight in chosen.items():
        setattr(row, name, weight)
    changes.save_scenario(row, by=TUNING)
    return True


def _keep(
    scenario: str,
    until: datetime,
    stood: Weights,
    chosen: Weights,
    judged: Judged | TooFew,
    is_saved: bool,
) -> None:
    told: dict[str, Any] = {
        "scenario": scenario, "until": until, "is_saved": is_saved,
        "stood": orjson.dumps(stood).decode(), "weights": orjson.dumps(chosen).decode(),
        "judged": orjson.dumps(judged).decode(),
    }  # fmt: skip
    with connection() as inside:
        inside.execute(text(KEEP), told)


def _sentence(judged: Judged, is_saved: bool) -> str:
    state = "not surely better, so they stay as they are"
    if judged.is_better:
        state = "saved" if is_saved else "somebody changed them meanwhile, so they stay as they are"
    return (
        f"chosen by {judged.learned} lists; on {judged.lists} others NDCG@{blend.AT} "
        f"{judged.ndcg:.4f}, those that stood have {judged.stood:.4f}: {state}"
    )
