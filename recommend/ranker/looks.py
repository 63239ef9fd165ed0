"""Looks: how much each place of a list is looked at, and so what a choice from one says of its item.

Who is shown an item at the top takes it more than who would have to look for it, so a ranker that
learns from what was taken learns its own lists again. How much places differ is told by items that
stood now here, now there in lists made for the same shopper, page or basket: intervention harvesting
(Agarwal et al., Estimating Position Bias without Intrusive Interventions, WSDM 2019). What was taken
then weighs the inverse of how much its place is looked at (Joachims et al., WSDM 2017). It knows only
the log and the slates that are in front (recommend.split), and nobody who is hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from recommend import goals, split
from recommend.goals import Goal
from recommend.untried import CHOSEN
from recsite.db import one_snapshot

LEAST: Final = 1_000
"""Choices of a scenario's items that moved: a hundred at each of ten places tell its looks to a tenth."""

SLATES: Final = 100_000
"""The newest that are read, for which some seconds are enough."""

PLACES: Final = 50
"""As deep as lists are looked into."""

PRIOR: Final = 5.0
"""Choices by which every place is held to be like the others, until more is known of it."""

ROUNDS: Final = 500
CLOSE: Final = 1e-6

FLOOR: Final = 0.1
"""No place counts as looked at less: one choice would outvote ten."""

LATELY: Final = timedelta(days=7)
"""Who was shown an item longer before they took it came back for it by themselves."""

# Places of what stood at several, in lists that were made for the same: the page or basket that was
# asked for, else the shopper. Who is hidden has no lists.
STOOD: Final = f"""
WITH lately AS MATERIALIZED (
    SELECT id, scenario, items, concat_ws(' ', coalesce(
               nullif(detail->'asked'->>'items', '[]'), person.person::text, slate.subject::text),
               'in ' || (detail->'asked'->>'category')) AS made_for
    FROM slate LEFT JOIN person USING (subject)
    WHERE id < first_id(:until) AND (person.subject IS NULL OR person.person IS NOT NULL)
    ORDER BY id DESC LIMIT {SLATES}
), taken AS MATERIALIZED (
    SELECT DISTINCT attribution.slate, attribution.item FROM attribution
    JOIN lately ON lately.id = attribution.slate JOIN event ON event.id = attribution.event
    WHERE attribution.kind IN ({CHOSEN}) AND attribution.event < first_id(:until)
), stood AS (
    SELECT scenario, made_for, listed.item, place, count(*) AS shown, count(taken.item) AS chosen
    FROM lately CROSS JOIN unnest(items) WITH ORDINALITY AS listed(item, place)
    LEFT JOIN taken ON taken.slate = lately.id AND taken.item = listed.item
    WHERE place <= {PLACES} GROUP BY 1, 2, 3, 4
), moved AS (
    SELECT *, dense_rank() OVER (ORDER BY scenario, made_for, item) AS thing,
           count(*) OVER same AS places, sum(chosen) OVER same AS choices
    FROM stood WINDOW same AS (PARTITION BY scenario, made_for, item)
), lists AS (
    SELECT scenario, count(*) AS slates FROM lately GROUP BY 1
)
SELECT scenario, slates, thing, place, shown, chosen FROM moved JOIN lists USING (scenario)
WHERE places > 1 AND choices > 0 ORDER BY scenario, thing, place
"""

# Where what was taken in a window had stood before that, in lists of the same person.
SHOWN: Final = f"""
WITH member(person, subject) AS MATERIALIZED (
    SELECT lone, lone FROM unnest(CAST(:persons AS int[])) AS lone
    UNION SELECT person, subject FROM person WHERE person = ANY (:persons)
), taken AS MATERIALIZED (
    SELECT DISTINCT ON (person, item) person, item, id FROM member JOIN whole_log USING (subject)
    WHERE id >= first_id(:cut) AND id < first_id(:until) AND {split.REACHES} AND item IS NOT NULL
    ORDER BY person, item, id
)
SELECT DISTINCT taken.person, taken.item, scenario, array_position(items, taken.item) AS place
FROM taken JOIN member USING (person) JOIN whole_slate AS slate ON slate.subject = member.subject
WHERE slate.id < taken.id AND slate.id >= first_id(uuid_extract_timestamp(taken.id) - :lately)
  AND taken.item = ANY (items)
"""

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Looks:
    """By scenario `places`, how much each is looked at, of the one that is looked at most; known from
    so many `slates`. `choices` of items that moved is the most that any scenario has."""

    places: Mapping[str, Vector] = field(default_factory=dict)
    slates: int = 0
    choices: int = 0

    @property
    def said(self) -> str:
        """Whether what was taken is weighed by its place, as a part of a sentence."""
        if self.places:
            return f"their places unlearned by {self.slates} slates"
        return f"their places not unlearned ({self.choices} choices of items that moved, {LEAST} are needed)"

    def worth(self, scenario: str, place: int) -> float:
        """What a choice says that stood at this place, 1 at the top, of one that stood nowhere: that
        is held to have been looked at like the place that is looked at least."""
        looked = self.places.get(scenario)
        if looked is None or place > len(looked):
            return 1.0
        return max(float(looked.min()), FLOOR) / max(float(looked[place - 1]), FLOOR)


NONE: Final = Looks()
"""Too little is known of any place."""


@dataclass(frozen=True, slots=True)
class Stood:
    """Things that stood at several places: a row for each `thing` and `place`, both counted from 0,
    how often it was `shown` there and how often it was then `chosen`."""

    thing: npt.NDArray[np.intp]
    place: npt.NDArray[np.intp]
    shown: Vector
    chosen: Vector


def read(until: datetime) -> Looks:
    """How much the places of each scenario are looked at, by all that was known until then."""
    with one_snapshot() as inside:
        rows = inside.execute(text(STOOD), {"until": until}).all()
    known, most = {}, 0
    for scenario, own in groupby(rows, key=lambda row: (row.scenario, row.slates)):
        stood = _stood([tuple(row)[2:] for row in own])
        most = max(most, int(stood.chosen.sum()))
        if stood.chosen.sum() >= LEAST:
            known[scenario] = estimate(stood)
    return Looks(
        {name: looked for (name, _), looked in known.items()}, sum(n for _, n in known), most
    )


def _stood(rows: Sequence[tuple[int, ...]]) -> Stood:
    thing, place, shown, chosen = np.array(rows, dtype=np.int64).T
    # Those in between stood at one place only, or were never chosen.
    thing = np.unique(thing, return_inverse=True)[1]
    return Stood(thing, place - 1, shown.astype(float), chosen.astype(float))


def estimate(stood: Stood) -> Vector:
    """(places,): how much each is looked at, of the one that is looked at most.

    The choices of a thing at a place are held to be Poisson, their mean how often it was shown
    there, times how good it is, times how much the place is looked at. How good each is falls out
    where its choices are given, and the rest is right whatever their distribution (Wooldridge,
    J. Econometrics 1999). By the steps of Hunter (Annals of Statistics 2004), each of which makes
    what was seen more likely.
    """
    chosen = np.bincount(stood.place, stood.chosen) + PRIOR
    of_thing = np.bincount(stood.thing, stood.chosen)
    looked = np.ones(len(chosen))
    for _ in range(ROUNDS):
        met = np.bincount(stood.thing, stood.shown * looked[stood.place])
        good = of_thing / met
        before, looked = (
            looked,
            chosen
            / (np.bincount(stood.place, stood.shown * good[stood.thing], len(chosen)) + PRIOR),
        )
        if np.abs(looked / before - 1).max() < CLOSE:
            break
    return np.asarray(looked / looked.max(), dtype=np.float64)


Worth = Mapping[int, Mapping[int, float]]
"""Of a person's items, where a choice says less than one without help: how much of it."""


def worth(
    inside: Connection, looks: Looks, cut: datetime, end: datetime, goal: Goal, persons: Sequence[int]
) -> Worth:  # fmt: skip
    """Of what these persons took in the window. Of several lists the one in which it was looked at
    most counts."""
    if not looks.places:
        return {}
    told = {"cut": cut, "until": end, "strengths": goals.strengths(goal), "persons": list(persons),
            "lately": LATELY}  # fmt: skip
    found: dict[int, dict[int, float]] = {}
    for row in inside.execute(text(SHOWN), told):
        own = found.setdefault(row.person, {})
        own[row.item] = min(own.get(row.item, 1.0), looks.worth(row.scenario, row.place))
    return found
