"""Splits of the log: what was known, and what shoppers did next.

There are three: the log before a cut; the log without the last deeds of each drawn shopper; and
without all that those did since they met the last thing that was new to them. Of slates the same.
What was known is folded into tables of its own, from which the serving path then answers. It promises
that nothing that is held out is counted, and that no live table is touched: all of it is one
transaction, rolled back. Texts of items are today's, and of archived months nothing is known: a ranker
learns from the rest, whoever judges asks for the whole log (require_whole).
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from sqlalchemy import Connection, text

from behavior import coverage, people, user_state
from behavior.user_state import KIND_LIST
from catalog.countings import wanted
from recommend import fold, goals
from recommend.goals import Goal
from recommend.projections import covisit, popularity
from recommend.ranker import store
from recommend.spaces import store as spaces
from recsite.db import one_snapshot

FOLDED: Final = (popularity, covisit)
TABLES: Final = (
    *people.TABLES, *user_state.TABLES, *popularity.TABLES, *covisit.TABLES, *store.TABLES,
    *spaces.TABLES,
)  # fmt: skip
"""Rankers, habits and spaces, too: those that are live have learned from what came after."""

# A split inside a split (a ranker that is taught within an evaluation) knows of log and slates
# what the outer one knows, so it asks which are in front.
IN_FRONT: Final = """
SELECT quote_ident(nspname) || '.' || quote_ident(relname)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE pg_class.oid = to_regclass(:name)
"""

WHOLE: Final = {"event": "whole_log", "slate": "whole_slate"}
"""What is split, and under which name all that is known outside stays."""

BEFORE: Final = "id < first_id(CAST('{cut}' AS timestamptz))"

# Who did it, as a person: none who is hidden.
_WHO: Final = "CASE WHEN person.subject IS NULL THEN deed.subject ELSE person.person END"

# Whether a deed is what a list is for.
REACHES: Final = "(CAST(:strengths AS float8[]))[signal(kind, detail)] > 0"

# Shoppers with a history before the cut, and the items they dealt with after it; hashing draws
# the same shoppers each time.
TARGETS: Final = f"""
SELECT person, key, CAST(:cut AS timestamptz) AS at, items
FROM (SELECT {_WHO} AS person, array_agg(DISTINCT item) AS items
      FROM whole_log AS deed LEFT JOIN person USING (subject)
      WHERE id >= first_id(:cut) AND id < first_id(:until) AND {REACHES} AND item IS NOT NULL
      GROUP BY 1) AS buyer
JOIN subject_key ON subject_key.subject = person
WHERE person IN (SELECT person FROM user_state)
ORDER BY hashint4(person), person
LIMIT :most
"""

DEALT: Final = (
    "SELECT person, array_agg(item) FROM user_item WHERE person = ANY(:persons) GROUP BY 1"
)
HELD_OUT: Final = """
CREATE TABLE held_out (
    subject int PRIMARY KEY, person int NOT NULL, at timestamptz NOT NULL, since uuid NOT NULL)
"""

# Of each drawn shopper who did something before it: the moment of their last such deed, under
# all their names.
HOLD_OUT: Final = f"""
WITH dealing AS (
    SELECT subject, {_WHO} AS person, uuid_extract_timestamp(id) AS at, {REACHES} AS is_meant
    FROM event AS deed LEFT JOIN person USING (subject)
    WHERE kind IN ({KIND_LIST}) AND item IS NOT NULL
), final AS (
    SELECT person, max(at) FILTER (WHERE is_meant) AS at
    FROM dealing WHERE person IS NOT NULL
    GROUP BY person HAVING min(at) < max(at) FILTER (WHERE is_meant)
    ORDER BY hashint4(person), person LIMIT :most
)
INSERT INTO held_out (subject, person, at, since)
SELECT DISTINCT subject, person, final.at, first_id(final.at) FROM dealing JOIN final USING (person)
"""

# Of those who met something new last, from when they met it: whether they looked at it first or not,
# nothing of it is known.
HOLD_OUT_NEW: Final = f"""
WITH dealing AS (
    SELECT subject, {_WHO} AS person, item, uuid_extract_timestamp(id) AS at, {REACHES} AS is_meant
    FROM event AS deed LEFT JOIN person USING (subject)
    WHERE kind IN ({KIND_LIST}) AND item IS NOT NULL
), met AS (
    SELECT person, item, min(at) AS at, bool_or(is_meant) AS is_meant
    FROM dealing WHERE person IS NOT NULL GROUP BY person, item
), final AS (
    SELECT person, max(at) FILTER (WHERE is_meant) AS at
    FROM met GROUP BY person HAVING min(at) < max(at) FILTER (WHERE is_meant)
    ORDER BY at DESC, person LIMIT :most
)
INSERT INTO held_out (subject, person, at, since)
SELECT DISTINCT subject, person, final.at, first_id(final.at) FROM dealing JOIN final USING (person)
"""

# Who is one person with whom is known by then, and stays so.
NOT_HELD_OUT: Final = """
NOT EXISTS (SELECT FROM held_out WHERE held_out.subject = {whole}.subject AND id >= since)
"""

AT_ONCE: Final = "AND id < first_id(at + interval '1 millisecond')"
LAST: Final = f"""
SELECT held_out.person, key, at, array_agg(DISTINCT item) AS items
FROM held_out JOIN whole_log USING (subject)
JOIN subject_key ON subject_key.subject = held_out.person
WHERE id >= since {{until}}
  AND {REACHES} AND item IS NOT NULL
GROUP BY held_out.person, key, at
ORDER BY hashint4(held_out.person), held_out.person
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A shopper, the moment at which they are asked for, and what they dealt with from then on."""

    person: int
    key: str
    items: frozenset[int]
    at: datetime


def require_whole() -> None:
    """Raises MonthsArchived where the log lacks what its projections counted."""
    with one_snapshot() as inside:
        for one in FOLDED:
            coverage.require_whole(inside, one.NAME)


@contextlib.contextmanager
def before(cut: datetime, schema: str) -> Iterator[Connection]:
    """Inside the block serving answers from the log before the cut."""
    with _apart(schema) as inside:
        _know(inside, BEFORE.format(cut=cut.isoformat()))
        people.fill(inside)
        _fold(inside)
        yield inside


@contextlib.contextmanager
def without_last(
    goal: Goal, schema: str, *, most: int
) -> Iterator[tuple[Connection, list[Target]]]:
    """Inside the block serving answers as if at most so many shoppers had not come again: from
    the moment of their last deed of these kinds on nothing that they did is known. Of everybody
    else all is known, also of later."""
    with _without(HOLD_OUT, AT_ONCE, goal, schema, most) as found:
        yield found


@contextlib.contextmanager
def without_last_new(
    goal: Goal, schema: str, *, most: int
) -> Iterator[tuple[Connection, list[Target]]]:
    """The same of at most so many shoppers who met something new last that they then chose: nothing
    is known from when they met it, and all that they chose since is what they came for."""
    with _without(HOLD_OUT_NEW, "", goal, schema, most) as found:
        yield found


@contextlib.contextmanager
def _without(
    hold_out: str, until: str, goal: Goal, schema: str, most: int
) -> Iterator[tuple[Connection, list[Target]]]:
    with _apart(schema) as inside:
        _know(inside, "true")
        people.fill(inside)
        told = {"strengths": goals.strengths(goal), "most": most}
        inside.execute(text(HELD_OUT))
        inside.execute(text(hold_out), told)
        inside.execute(text("ANALYZE held_out"))
        _know(inside, NOT_HELD_OUT)
        _fold(inside)
        yield inside, _targets(inside, LAST.format(until=until), told)


def targets(
    inside: Connection, cut: datetime, until: datetime, goal: Goal, *, most: int
) -> list[Target]:  # fmt: skip
    """At most so many shoppers who were known before the cut and came again until then."""
    told = {"cut": cut, "until": until, "most": most, "strengths": goals.strengths(goal)}
    return _targets(inside, TARGETS, told)


def dealt(inside: Connection, persons: Sequence[int]) -> dict[int, frozenset[int]]:
    """The items that each of these persons dealt with before the cut."""
    rows = inside.execute(text(DEALT), {"persons": list(persons)}).all()
    known = {person: frozenset(items) for person, items in rows}
    return {person: known.get(person, frozenset()) for person in persons}


def _targets(inside: Connection, statement: str, told: dict[str, object]) -> list[Target]:
    rows = inside.execute(text(statement), told)
    return [Target(row.person, row.key, frozenset(row.items), row.at) for row in rows]


def plan_once(inside: Connection) -> None:
    """From here on it serves: the big statement is planned once, as it is live."""
    inside.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))


@contextlib.contextmanager
def _apart(schema: str) -> Iterator[Connection]:
    """Inside the block there are empty tables of one's own, and WHOLE is what is known outside."""
    with one_snapshot() as inside:
        in_front = {name: inside.scalar(text(IN_FRONT), {"name": name}) for name in WHOLE}
        # Of its own for each session: two that evaluate at once would wait for each other.
        own = f"{schema}_{inside.scalar(text('SELECT pg_backend_pid()'))}"
        with fold.beside(inside, TABLES, own):
            for name, whole in WHOLE.items():
                inside.execute(text(f"CREATE VIEW {whole} AS SELECT * FROM {in_front[name]}"))
            yield inside
        transaction.set_rollback(True)


def _know(inside: Connection, facts: str) -> None:
    """From here on the log, and what was served, is those of its rows."""
    for name, whole in WHOLE.items():
        known = f"SELECT * FROM {whole} WHERE {facts.format(whole=whole)}"
        inside.execute(text(f"CREATE OR REPLACE VIEW {name} AS {known}"))


def _fold(inside: Connection) -> None:
    user_state.fill(inside)
    for one in FOLDED:
        one.fill(inside, wanted(one.NAME))
    for table in TABLES:
        inside.execute(text(f"ANALYZE {table.name}"))
    plan_once(inside)
