"""People: which subjects are one person, and who is hidden from all counting.

A subject is a name that a shop gave: a browser, a device, a user. `identify` facts link one
to another, a quarantine hides one; `person` is what follows, a function of the set of those
facts, and moves in the transaction that appends them. Of the links that were not undone the
newest counts; the person is the chain's end (of a circle, the first name in alphabetical
order). It never changes a fact: undo one, and the histories are apart again as they were.
"""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import psycopg
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Identity,
    Index,
    Integer,
    Table,
    text,
)

from behavior import user_state
from behavior.events import Kind
from recsite.db import METADATA, Xid8, cursor

person = Table(
    "person",
    METADATA,
    Column("subject", Integer, primary_key=True, autoincrement=False),
    Column("link", Integer),
    Column("hidden", Boolean, nullable=False),
    Column("person", Integer),
    Index("person_link_idx", "link"),
    Index("person_person_idx", "person"),
)
"""Subjects of whom a fact of this kind is known; everybody else is a person of their own.
`person` is the subject who stands for all that are joined; none where the subject is hidden."""

person_change = Table(
    "person_change",
    METADATA,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("subject", Integer, nullable=False),
    Column("before", Integer),
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    Index("person_change_xid_idx", "xid"),
    Index("person_change_subject_idx", "subject"),
)
"""Who a subject was before each change, for readers of the log that have yet to follow it."""

TABLES: Final = (person,)

LONGEST_CHAIN: Final = 50
"""Links that are followed; bounds what a chain of a thousand names can cost."""

# ── the facts, as links ────────────────────────────────────────────────────────────────────

# Of each pair the newest fact says whether the link stands, of what stands the newest counts.
# What archived months said stands until the log says otherwise: they are older than the log.
LINK: Final = f"""
WITH said AS (
    SELECT subject, id, kind, detail->>'person' AS target, detail->>'undo' IS NOT NULL AS undone
    FROM event WHERE kind IN ({Kind.IDENTIFY.value}, {Kind.SUBJECT_QUARANTINED.value}) {{chosen}}
), newest AS (
    SELECT DISTINCT ON (subject, kind, target) * FROM said ORDER BY subject, kind, target, id DESC
), linked AS (
    SELECT DISTINCT ON (newest.subject) newest.subject, known.subject AS link
    FROM newest JOIN subject_key AS known ON known.key = target
    WHERE kind = {Kind.IDENTIFY.value} AND NOT undone ORDER BY newest.subject, id DESC
), quarantined AS (
    SELECT subject, NOT undone AS hidden FROM newest WHERE kind = {Kind.SUBJECT_QUARANTINED.value}
), archived AS (
    SELECT subject, hidden, CASE WHEN NOT EXISTS (
        SELECT FROM newest JOIN subject_key AS parted ON parted.key = target
        WHERE newest.subject = person.subject AND parted.subject = link AND undone) THEN link END AS link
    FROM person WHERE subject IN (SELECT subject FROM said)
        AND EXISTS (SELECT FROM archived_month WHERE subjects @> ARRAY[person.subject])
)
INSERT INTO person AS known (subject, link, hidden, person)
SELECT subject, coalesce(linked.link, archived.link),
       coalesce(quarantined.hidden, archived.hidden, false), subject
FROM (SELECT DISTINCT subject FROM said) AS everyone
LEFT JOIN linked USING (subject) LEFT JOIN quarantined USING (subject) LEFT JOIN archived USING (subject)
ORDER BY subject
ON CONFLICT (subject) DO UPDATE SET link = excluded.link, hidden = excluded.hidden
"""

# Where the chains of these subjects, and of all who lead to them, end.
_ROOTS: Final = f"""
below(subject) AS (
    {{chosen}}
    UNION SELECT person.subject FROM person JOIN below ON person.link = below.subject
), walk(subject, at, path, is_circle) AS (
    SELECT subject, subject, ARRAY[subject], false FROM below
    UNION ALL
    SELECT walk.subject, link, path || link, link = ANY (path)
    FROM walk JOIN person ON person.subject = walk.at
    WHERE link IS NOT NULL AND NOT is_circle AND cardinality(path) <= {LONGEST_CHAIN}
), rooted AS (
    SELECT DISTINCT ON (subject) subject, CASE WHEN is_circle THEN (
        SELECT s.subject FROM unnest(path[array_position(path, at):]) AS circle(subject)
        JOIN subject_key AS s USING (subject) ORDER BY key LIMIT 1) ELSE at END AS root
    FROM walk ORDER BY subject, cardinality(path) DESC
)
"""
_SETTLE: Final = """
UPDATE person SET person = CASE WHEN NOT hidden THEN root END FROM rooted
WHERE rooted.subject = person.subject
  AND person.person IS DISTINCT FROM CASE WHEN NOT hidden THEN root END
"""
SETTLE: Final = f"""
WITH RECURSIVE {_ROOTS.format(chosen="SELECT unnest(%s::int[])")}, moved AS (
    {_SETTLE} RETURNING person.subject, old.person AS before, new.person AS after
), noted AS (
    INSERT INTO person_change (subject, before) SELECT subject, before FROM moved ORDER BY subject
)
SELECT before FROM moved WHERE before IS NOT NULL
UNION SELECT after FROM moved WHERE after IS NOT NULL
"""
SETTLE_ALL: Final = f"WITH RECURSIVE {_ROOTS.format(chosen='SELECT subject FROM person')} {_SETTLE}"

# Before the new rows are made, so that a writer's row which was waited for is among the old.
CLEAR_STATE: Final = "DELETE FROM user_state WHERE person = ANY (%s)"
CLEAR_ITEMS: Final = "DELETE FROM user_item WHERE person = ANY (%s)"

# Who anybody is who was ever named by a fact about people; of whom nothing stands, themselves.
MOVED: Final = f"""
SELECT DISTINCT CASE WHEN person.subject IS NULL THEN named.subject ELSE person.person END
FROM (SELECT subject FROM person
      UNION SELECT target.subject FROM event JOIN subject_key AS target ON target.key = detail->>'person'
      WHERE kind = {Kind.IDENTIFY.value}) AS named LEFT JOIN person USING (subject)
WHERE person.subject IS NULL OR person.person IS NOT NULL
"""

# Everyone who is one of these persons; one of whom nothing is known is their own.
MEMBERS: Final = """
SELECT subject FROM person WHERE person = ANY ({persons})
UNION SELECT lone FROM unnest({persons}) AS lone
WHERE NOT EXISTS (SELECT FROM person WHERE subject = lone)
"""

# The person who serves as the shopper of a key.
OF_KEY: Final = """
SELECT CASE WHEN person.subject IS NULL THEN known.subject ELSE person.person END AS person
FROM subject_key AS known LEFT JOIN person USING (subject) WHERE key = {key}
"""


def settle(keys: Collection[str]) -> None:
    """Bring persons, and the state of the shoppers concerned, up to date with the facts about
    these names. In the transaction that appended them, under `hold`."""
    with cursor() as hot:
        hot.execute("SELECT subject FROM subject_key WHERE key = ANY(%s)", [list(keys)])
        subjects = [subject for (subject,) in hot.fetchall()]
        hot.execute(LINK.format(chosen="AND subject = ANY(%s)"), [subjects])
        hot.execute(SETTLE, [subjects])
        _refill(hot, [person for (person,) in hot.fetchall()])


def _refill(hot: psycopg.Cursor[tuple[Any, ...]], persons: list[int]) -> None:
    """Make their state anew from the histories of all who are them."""
    if persons:
        hot.execute(CLEAR_STATE, [persons])
        hot.execute(CLEAR_ITEMS, [persons])
        hot.execute(
            user_state.FILL_SOME.format(members=MEMBERS.format(persons="%(persons)s::int[]")),
            {"persons": persons},
        )


def refill_whoever_moved() -> None:
    """Make the state anew of everyone who was ever joined, parted or hidden: where that was while a
    part of their history was archived, it was made of the rest. In a transaction that keeps
    everybody from the log, and once no month is archived."""
    with cursor() as hot:
        _refill(hot, [person for (person,) in hot.execute(MOVED).fetchall()])


def fill(connection: Connection) -> None:
    """Fill `person`, which must be empty, from the whole log that is visible."""
    connection.execute(text(LINK.format(chosen="")))
    connection.execute(text(SETTLE_ALL))


def members(keys: Sequence[str]) -> dict[int, str]:
    """subject → key of everyone who is one person with one of these names, hidden or not."""
    with cursor() as hot:
        hot.execute(_WHOLE.format(named="SELECT subject FROM subject_key WHERE key = ANY(%s)"),
                    [list(keys)])  # fmt: skip
        return dict(hot.fetchall())


HIDDEN: Final = """
SELECT key FROM person JOIN subject_key USING (subject)
WHERE hidden AND subject = ANY(%s) ORDER BY key COLLATE "C"
"""


def hidden(subjects: Collection[int]) -> list[str]:
    """The keys of those who are hidden from all counting."""
    with cursor() as hot:
        hot.execute(HIDDEN, [list(subjects)])
        return [key for (key,) in hot.fetchall()]


# Up and down all links from these subjects; of a hidden one, too.
_WHOLE: Final = """
WITH RECURSIVE whole(subject) AS (
    ({named})
    UNION
    SELECT CASE WHEN person.link = whole.subject THEN person.subject ELSE person.link END
    FROM whole JOIN person ON person.link = whole.subject OR person.subject = whole.subject
    WHERE person.link IS NOT NULL
)
SELECT subject, key FROM whole JOIN subject_key USING (subject)
"""

# ── who may write about whom ───────────────────────────────────────────────────────────────

# Names fall into 256 buckets. Who appends shares the buckets of their shoppers; who joins,
# hides or erases people has theirs alone, or a click would be counted for who they were. All
# are taken before anything is written, in one order, so that nobody waits in a circle.
SHARE: Final = """
SELECT pg_advisory_xact_lock_shared(hashtext('recsite.people'), bucket)
FROM (SELECT DISTINCT hashtext(key) & 255 AS bucket FROM unnest(%s::text[]) AS given(key)
      ORDER BY 1) AS needed
"""
HOLD: Final = """
SELECT CASE WHEN is_alone THEN pg_advisory_xact_lock(hashtext('recsite.people'), bucket)
            ELSE pg_advisory_xact_lock_shared(hashtext('recsite.people'), bucket) END
FROM (SELECT hashtext(key) & 255 AS bucket, bool_or(is_alone) AS is_alone
      FROM (SELECT unnest(%s::text[]), false UNION ALL SELECT unnest(%s::text[]), true)
           AS given(key, is_alone)
      GROUP BY 1 ORDER BY 1) AS needed
"""
ALONE: Final = "SELECT pg_advisory_xact_lock(hashtext('recsite.identity'))"
STOP: Final = "SELECT pg_advisory_lock(hashtext('recsite.identity'))"
GO_ON: Final = "SELECT pg_advisory_unlock(hashtext('recsite.identity'))"

# Everyone whose state could move: whoever is one person with these names, or was by any fact.
CONCERNED: Final = _WHOLE.format(
    named=f"""
    SELECT subject FROM subject_key WHERE key = ANY(%(keys)s)
    UNION SELECT target.subject FROM subject_key AS named JOIN event USING (subject)
    JOIN subject_key AS target ON target.key = detail->>'person'
    WHERE named.key = ANY(%(keys)s) AND kind = {Kind.IDENTIFY.value}"""
)

# Links that stand already: saying so again changes nobody.
STANDING: Final = """
SELECT NOT EXISTS (
    SELECT FROM unnest(%s::text[], %s::text[]) AS said(name, target)
    WHERE NOT EXISTS (
        SELECT FROM subject_key AS a JOIN person USING (subject)
        JOIN subject_key AS b ON b.subject = person.link
        WHERE a.key = said.name AND b.key = said.target))
"""


def share(hot: psycopg.Cursor[tuple[Any, ...]], keys: Collection[str]) -> None:
    """Let nobody join, hide or erase these shoppers until the transaction ends."""
    hot.execute(SHARE, [list(keys)], prepare=True)


def hold(concerned: Collection[str], others: Collection[str]) -> None:
    """Have everyone who is one person with the concerned alone, and share the others."""
    with cursor() as hot:
        hot.execute(ALONE)
        hot.execute(CONCERNED, {"keys": list(concerned)})
        everyone = {key for _, key in hot.fetchall()} | set(concerned)
        hot.execute(HOLD, [list(others), list(everyone)])


@contextlib.contextmanager
def nobody_moves() -> Iterator[None]:
    """Let no transaction but this session's join or hide anybody."""
    with cursor() as session:
        session.execute(STOP)
    try:
        yield
    finally:
        with cursor() as session:
            session.execute(GO_ON)


def stand(links: Collection[tuple[str, str]]) -> bool:
    """Whether each of these links (name, target) is the one that counts already."""
    with cursor() as hot:
        names, targets = zip(*links, strict=True)
        hot.execute(STANDING, [list(names), list(targets)], prepare=True)
        return hot.fetchone() == (True,)
