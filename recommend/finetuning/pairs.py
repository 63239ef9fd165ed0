"""Pairs: texts whose items the same shopper chose one after another.

The log is cut in time. What many chose before the first cut teaches; what shoppers chose in the
weeks after it says when to stop, and what they chose after those judges. The cuts are those of the
ranker (recommend.ranker.examples), so that what it learns from is later than all that texts
learned from. It promises that no pair that teaches is one shopper's alone, and that nobody who is
hidden is in any. Texts are today's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from recommend import goals
from recommend.goals import DEED
from recsite.db import one_snapshot

REACH: Final = timedelta(days=730)
"""How far before the cut a choice still teaches."""

NEAR: Final = 5
"""The next so many choices of a shopper belong to one."""

TOGETHER: Final = "interval '1 day'"
"""Choices further apart than this do not."""

VOICES: Final = 2
"""Shoppers who chose both: what one alone joined says nothing of others, and is nobody's business."""

MOST: Final = 20_000
"""Pairs, those that most shoppers chose together."""

TAUGHT: Final = 20_000
"""Texts in them, those that most shoppers chose."""

SHOPPERS: Final = 1_000
QUERIES: Final = 3
"""Held out: so many shoppers, and choices of each."""

TEXTS: Final = 20_000
"""Among so many texts of the shop what was chosen next is looked for; more only where more were chosen."""

# Of passages that say the same, and show something else, the first stands for all; some say nothing.
_SAYING: Final = (
    "SELECT said, min(passage) AS passage FROM item_passage WHERE said IS NOT NULL GROUP BY said"
)

_CHOSEN: Final = f"""
SELECT CASE WHEN person.subject IS NULL THEN event.subject ELSE person.person END AS person, id,
       saying.passage
FROM event LEFT JOIN person USING (subject) JOIN item_passage USING (item)
JOIN ({_SAYING}) AS saying USING (said)
WHERE id >= first_id(:since) AND id < first_id(:until)
  AND (CAST(:strengths AS float8[]))[signal(kind, detail)] > 0
  AND event.subject IS NOT NULL AND (person.subject IS NULL OR person.person IS NOT NULL)
"""

_LEADS: Final = ", ".join(
    f"lead(id, {gap}) OVER w AS id_{gap}, lead(passage, {gap}) OVER w AS passage_{gap}"
    for gap in range(1, NEAR + 1)
)
_LATER: Final = ", ".join(f"(id_{gap}, passage_{gap})" for gap in range(1, NEAR + 1))

# Each choice with those of the same shopper soon after it.
_FOLLOWED: Final = f"""
SELECT person, earlier.passage, later.passage AS next
FROM (SELECT person, id, passage, {_LEADS} FROM ({_CHOSEN}) AS chosen
      WINDOW w AS (PARTITION BY person ORDER BY id)) AS earlier,
     LATERAL (VALUES {_LATER}) AS later(id, passage)
WHERE later.passage <> earlier.passage
  AND uuid_extract_timestamp(later.id) < uuid_extract_timestamp(earlier.id) + {TOGETHER}
"""

KNOWN: Final = f"""
SELECT passage FROM ({_CHOSEN}) AS chosen
GROUP BY passage ORDER BY count(DISTINCT person) DESC, passage
"""

LEARNED: Final = f"""
SELECT least(passage, next) AS lo, greatest(passage, next) AS hi
FROM ({_FOLLOWED}) AS followed
WHERE passage = ANY (:taught) AND next = ANY (:taught)
GROUP BY 1, 2 HAVING count(DISTINCT person) >= {VOICES}
ORDER BY count(DISTINCT person) DESC, 1, 2 LIMIT {MOST}
"""

# Hashing draws the same shoppers, and of each the same choices, each time.
HELD_OUT: Final = f"""
WITH followed AS MATERIALIZED ({_FOLLOWED}),
drawn AS (SELECT person FROM followed GROUP BY 1 ORDER BY hashint4(person), person LIMIT {SHOPPERS})
SELECT person, passage, wanted FROM (
    SELECT person, passage, array_agg(DISTINCT next) AS wanted,
           row_number() OVER (PARTITION BY person ORDER BY hashint4(passage), passage) AS place
    FROM followed JOIN drawn USING (person) GROUP BY person, passage) AS asked
WHERE place <= {QUERIES} ORDER BY hashint4(person), person, place
"""

BODIES: Final = f"""
SELECT passage, body FROM passage WHERE passage = ANY (:needed)
UNION ALL (
    SELECT passage, body FROM passage
    WHERE passage <> ALL (:needed) AND passage IN (SELECT passage FROM ({_SAYING}) AS saying)
    ORDER BY digest LIMIT :more)
"""

Pairs = npt.NDArray[np.int64]
"""(pairs, 2): where the two stand among the texts."""


@dataclass(frozen=True, slots=True)
class Query:
    """What one shopper chose, and what they chose next: where they stand among the texts."""

    person: int
    at: int
    wanted: frozenset[int]


@dataclass(frozen=True, slots=True)
class Lessons:
    """`pairs` teach, by `tried` it is known when to stop, `judged` judges. `known` are the texts
    that somebody chose before the cut."""

    texts: Sequence[str]
    pairs: Pairs
    tried: Sequence[Query]
    judged: Sequence[Query]
    known: frozenset[int]


def collect(spans: Sequence[tuple[datetime, datetime]]) -> Lessons:
    """The lessons that the log gives; `spans` are examples.windows, of which there must be two."""
    *later, (cut, then) = spans
    with one_snapshot() as inside:
        before = _told(cut - REACH, cut)
        known = list(inside.scalars(text(KNOWN), before))
        learned = inside.execute(text(LEARNED), before | {"taught": known[:TAUGHT]}).all()
        tried = _asked(inside, cut, then)
        judged = _asked(inside, then, later[0][1])
        bodies = _bodies(inside, [tuple(row) for row in learned], [*tried, *judged])
    places = {passage: place for place, passage in enumerate(bodies)}
    pairs = np.array([[places[lo], places[hi]] for lo, hi in learned], dtype=np.int64)
    return Lessons(
        list(bodies.values()), pairs.reshape(-1, 2), _placed(tried, places),
        _placed(judged, places), frozenset(places[p] for p in known if p in places),
    )  # fmt: skip


def persons(queries: Iterable[Query]) -> list[int]:
    """Whose each is."""
    return [query.person for query in queries]


def of_new(lessons: Lessons) -> list[Query]:
    """What judges, where a text is wanted that nobody had chosen before the cut; only those count."""
    wanted = [(query, query.wanted - lessons.known) for query in lessons.judged]
    return [Query(query.person, query.at, new) for query, new in wanted if new]


def fewer(lessons: Lessons, shoppers: int, texts: int) -> Lessons:
    """So many of the shoppers by whom it is known when to stop, and the texts they need, with others
    up to so many: where each text is encoded again and again."""
    few = set(list(dict.fromkeys(persons(lessons.tried)))[:shoppers])
    tried = [query for query in lessons.tried if query.person in few]
    needed = dict.fromkeys(p for query in tried for p in (query.at, *sorted(query.wanted)))
    others = (place for place in range(len(lessons.texts)) if place not in needed)
    kept = [*needed, *(place for place, _ in zip(others, range(texts - len(needed)), strict=False))]
    places = {place: new for new, place in enumerate(kept)}
    bodies = [lessons.texts[place] for place in kept]
    return Lessons(bodies, np.empty((0, 2), np.int64), _placed(tried, places), (), frozenset())


def _told(since: datetime, until: datetime) -> dict[str, Any]:
    return {"since": since, "until": until, "strengths": goals.strengths(DEED)}


def _asked(inside: Connection, since: datetime, until: datetime) -> list[Query]:
    rows = inside.execute(text(HELD_OUT), _told(since, until))
    return [Query(row.person, row.passage, frozenset(row.wanted)) for row in rows]


def _bodies(
    inside: Connection, learned: Iterable[tuple[int, ...]], queries: Iterable[Query]
) -> dict[int, str]:  # fmt: skip
    """passage → text, of all that is needed, and others of the shop beside."""
    needed = {passage for pair in learned for passage in pair}
    needed |= {passage for query in queries for passage in (query.at, *query.wanted)}
    told = {"needed": sorted(needed), "more": max(TEXTS - len(needed), 0)}
    rows = inside.execute(text(BODIES), told)
    return dict(sorted((row.passage, row.body) for row in rows))


def _placed(queries: Iterable[Query], places: Mapping[int, int]) -> list[Query]:
    return [
        Query(query.person, places[query.at], frozenset(places[p] for p in query.wanted))
        for query in queries
    ]
