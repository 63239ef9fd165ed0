"""The time split: what was known before a cut, and what shoppers did after it.

The log before the cut is folded into tables of its own, from which the serving path then
answers. It promises that nothing from after the cut is counted, and that no live table is
touched: all of it is one transaction, rolled back. Texts of items are today's.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from sqlalchemy import Connection, text

from behavior import people, user_state
from behavior.events import Kind
from catalog.countings import wanted
from recommend import fold
from recommend.projections import covisit, popularity
from recommend.ranker import store
from recsite.db import one_snapshot

FOLDED: Final = (popularity, covisit)
TABLES: Final = (
    *people.TABLES, *user_state.TABLES, *popularity.TABLES, *covisit.TABLES, *store.TABLES,
)  # fmt: skip
"""Ranker and habits, too: those that are live have learned from what came after."""

BEFORE: Final = """
CREATE VIEW event AS SELECT * FROM rec.event WHERE id < first_id(CAST('{cut}' AS timestamptz))
"""

# Shoppers with a history before the cut, and the items they dealt with after it; hashing draws
# the same shoppers each time.
TARGETS: Final = """
SELECT person, key, items
FROM (SELECT CASE WHEN person.subject IS NULL THEN later.subject ELSE person.person END AS person,
             array_agg(DISTINCT item) AS items
      FROM rec.event AS later LEFT JOIN person USING (subject)
      WHERE id >= first_id(:cut) AND id < first_id(:until) AND kind = ANY(:kinds) AND item IS NOT NULL
      GROUP BY 1) AS buyer
JOIN subject_key ON subject_key.subject = person
WHERE person IN (SELECT person FROM user_state)
ORDER BY hashint4(person), person
LIMIT :most
"""

DEALT: Final = (
    "SELECT person, array_agg(item) FROM user_item WHERE person = ANY(:persons) GROUP BY 1"
)


@dataclass(frozen=True, slots=True)
class Target:
    """A shopper, and what they dealt with after the cut."""

    person: int
    key: str
    items: frozenset[int]


@contextlib.contextmanager
def before(cut: datetime, schema: str) -> Iterator[Connection]:
    """Inside the block serving answers from the log before the cut."""
    with one_snapshot() as inside:
        with fold.beside(inside, TABLES, schema):
            _fold(inside, cut)
            yield inside
        transaction.set_rollback(True)


def _fold(inside: Connection, cut: datetime) -> None:
    inside.execute(text(BEFORE.format(cut=cut.isoformat())))
    people.fill(inside)
    user_state.fill(inside)
    for one in FOLDED:
        one.fill(inside, wanted(one.NAME))
    for table in TABLES:
        inside.execute(text(f"ANALYZE {table.name}"))
    # From here on it serves: the big statement is planned once, as it is live.
    inside.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))


def targets(
    inside: Connection, cut: datetime, until: datetime, *, most: int,
    kinds: Sequence[Kind] = (Kind.PURCHASE,),
) -> list[Target]:  # fmt: skip
    """At most so many shoppers who were known before the cut and came again until then."""
    told = {"cut": cut, "until": until, "most": most, "kinds": [kind.value for kind in kinds]}
    rows = inside.execute(text(TARGETS), told)
    return [Target(row.person, row.key, frozenset(row.items)) for row in rows]


def dealt(inside: Connection, persons: Sequence[int]) -> dict[int, frozenset[int]]:
    """The items that each of these persons dealt with before the cut."""
    rows = inside.execute(text(DEALT), {"persons": list(persons)}).all()
    known = {person: frozenset(items) for person, items in rows}
    return {person: known.get(person, frozenset()) for person in persons}
