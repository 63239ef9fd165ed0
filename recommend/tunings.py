"""Tunings: every attempt to choose a scenario's weights by the log, and whose choice those are that stand.

It promises that weights count as somebody's where a merchant made the last fact that changed one of
them, whatever it is now, and has not handed them over since; as those of a tuning where that one did;
and else as those that ship. Where that fact may be archived, the weights themselves tell: a merchant who
put those back that ship, or that were tuned, or switched off a source that came later, then passes for
nobody, and weights that were handed over are a merchant's. It never changes a scenario that is served from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Identity, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from behavior import coverage
from behavior.events import Kind
from catalog.changes import MERCHANT, NOBODY
from catalog.models import Scenario
from catalog.scenarios import HOME, LATER
from recommend.sources import NAMES
from recsite.db import METADATA, connection

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

TUNING: Final = "tuning"

# The facts that changed one of its weights, or handed them over. The whole log is asked, whatever a split
# has put in front of it.
_CHOICES: Final = f"""
FROM rec.event
WHERE subject IS NULL AND kind = {Kind.RULE_CHANGED.value}
  AND detail->'scenario'->>'name' = :scenario
  AND (detail->>'by' = '{NOBODY}' OR EXISTS (
      SELECT FROM unnest(CAST(:names AS text[])) AS name
      WHERE detail->'scenario'->name IS DISTINCT FROM detail->'before'->name))
"""

# What stood before the first of those that were saved one upon another since a merchant chose. Weights
# alone do not tell where that was: a merchant may choose others and then put back what was tuned.
FIRST_STOOD: Final = f"""
SELECT stood::text FROM (
    SELECT id, stood, stood @> lag(weights) OVER (ORDER BY id) AS goes_on
    FROM tuning WHERE scenario = :scenario AND is_saved AND made_at > coalesce(
        (SELECT occurred_at {_CHOICES} AND detail->>'by' = '{MERCHANT}' ORDER BY event.id DESC LIMIT 1),
        '-infinity')
) AS saved
WHERE goes_on IS NOT TRUE ORDER BY id DESC LIMIT 1
"""

# The last of them, and by whom. Facts did not always say so: one that says what tuning saved last is taken
# for its own.
CHOOSER: Final = f"""
SELECT id, coalesce(detail->>'by', CASE WHEN detail->'scenario' @> (
    SELECT weights FROM tuning WHERE scenario = :scenario AND is_saved ORDER BY id DESC LIMIT 1
) THEN '{TUNING}' ELSE '{MERCHANT}' END) AS chooser,
    (detail->'scenario')::text AS weights,
    NOT EXISTS (SELECT FROM archived_month WHERE last_at > occurred_at) AS is_newest
{_CHOICES}
ORDER BY id DESC LIMIT 1
"""

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
class Begun:
    """A scenario as it stood before its lists were collected, which takes minutes: its weights, and
    the fact that chose them, as weights may be changed and put back meanwhile."""

    scenario: str
    stood: Weights
    fact: UUID | None


@dataclass(frozen=True, slots=True)
class _Choice:
    """A fact that chose weights, and by whom; `is_newest` where no archived month can have a later one."""

    fact: UUID
    by: str
    weights: Weights
    is_newest: bool


def begin(scenario: str) -> Begun:
    """The fact is read first: who chooses between the two reads is then seen by has_changed."""
    last = _last(scenario)
    return Begun(scenario, standing(scenario), None if last is None else last.fact)


def has_changed(begun: Begun) -> bool:
    """Whether somebody chose since, be it the same weights again. Only sure where the
    scenario's row is locked, as whoever chooses does."""
    return begin(begun.scenario) != begun


def standing(scenario: str) -> Weights:
    """The scenario's weights; those that ship where it is gone."""
    found = Scenario.objects.filter(name=scenario).values(*NAMES).first()
    return found or {name: float(HOME.get(name, 0.0)) for name in NAMES}


def is_left_alone(scenario: str) -> bool:
    """Whether nobody chose its weights by hand since they shipped, were tuned, or were handed over."""
    return Scenario.objects.filter(name=scenario).exists() and _chooser(scenario) != MERCHANT


def is_tuned(scenario: str) -> bool:
    """Whether its weights are those that were last tuned."""
    return _chooser(scenario) == TUNING


def forget(scenario: str) -> None:
    """As if they had not been tuned since somebody chose them: what stood before stands again. Only
    where scenarios are a copy that is thrown away: there is no fact of it."""
    stood = _kept(FIRST_STOOD, scenario)
    if stood is not None and is_tuned(scenario):
        Scenario.objects.filter(name=scenario).update(**stood)


def keep(
    scenario: str,
    until: datetime,
    stood: Weights,
    chosen: Weights,
    judged: Judged | TooFew,
    is_saved: bool,
) -> None:
    """Note an attempt, whatever came of it."""
    told: dict[str, Any] = {
        "scenario": scenario, "until": until, "is_saved": is_saved,
        "stood": orjson.dumps(stood).decode(), "weights": orjson.dumps(chosen).decode(),
        "judged": orjson.dumps(judged).decode(),
    }  # fmt: skip
    with connection() as inside:
        inside.execute(text(KEEP), told)


def _chooser(scenario: str) -> str | None:
    """Whose its weights are: MERCHANT's, TUNING's, NOBODY's again; None where they are as they shipped."""
    last = _last(scenario)
    if last is None:
        return _by_values(scenario) if coverage.archived() else None
    # Of two facts the later may be archived, and the earlier not.
    is_it = last.is_newest or last.weights == standing(scenario)
    return last.by if is_it else _by_values(scenario)


def _last(scenario: str) -> _Choice | None:
    """The last that the log has."""
    with connection() as inside:
        found = inside.execute(text(CHOOSER), _asked(scenario)).one_or_none()
    if found is None:
        return None
    return _Choice(found.id, found.chooser, _of_json(found.weights), found.is_newest)


def _by_values(scenario: str) -> str | None:
    """Where the fact may be in a month that is archived."""
    stand = standing(scenario)
    if stand == _kept(LAST_SAVED, scenario):
        return TUNING
    # A shop that is older than a source has it off.
    shipped = all(w in (HOME.get(name, 0.0), LATER.get(name)) for name, w in stand.items())
    return None if shipped else MERCHANT


def _kept(statement: str, scenario: str) -> Weights | None:
    with connection() as inside:
        said = inside.scalar(text(statement), _asked(scenario))
    return None if said is None else _of_json(said)


def _asked(scenario: str) -> dict[str, Any]:
    return {"scenario": scenario, "names": list(NAMES)}


def _of_json(said: str) -> Weights:
    """A source that came later was off."""
    kept = orjson.loads(said)
    return {name: kept.get(name, 0.0) for name in NAMES}
