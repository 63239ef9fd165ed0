"""Erasing a person: out of every projection and of the log, in one transaction.

It promises that afterwards every table is what it would be had the person never been there:
their part is taken back from each projection by the projection's own fold (the person is
hidden, and nothing else is new), then their events, slates, state and names are deleted. What
stays is a proof that somebody was erased, and nothing of whom. It waits for folds under way and
for a ranker that is just going live, and while it works nobody's names are joined. Archived
months that hold something of the person come back into the log first, and their files go.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.db import transaction
from sqlalchemy import Column, Connection, DateTime, Identity, Integer, Table, Text, text

from behavior import coverage, people, rejected, suspects
from behavior.events import Kind
from behavior.months import InUse, Month
from catalog.countings import wanted
from recommend import fold
from recommend.projections import PROJECTIONS, Projection
from recommend.ranker import habits, store
from recommend.spaces import retained, shoppers
from recommend.spaces import store as spaces
from recsite.db import METADATA, connection

erasure = Table(
    "erasure",
    METADATA,
    Column("erasure", Integer, Identity(always=True), primary_key=True),
    Column("erased_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("names", Integer, nullable=False),
    Column("events", Integer, nullable=False),
    Column("slates", Integer, nullable=False),
    Column("asked_by", Text, nullable=False),
)
"""Proofs: that somebody was erased, how much there was, and who asked for it (a key's number, a
command); never who it was."""

SCRATCH: Final = "rec_erase"


class Nobody(Exception):
    """No shopper has this name."""


class OutOfReach(Exception):
    """Archived months hold something of the person and cannot be attached; the message says why."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What there was. `erasure` is the number of the proof; `events` counts lines."""

    erasure: int
    names: int
    events: int
    slates: int


def erase(name: str, *, asked_by: str) -> Erased:
    """Erase the person who bears this name ("user:ID"), under all names that were joined to it.

    Raises Nobody where the name is unknown, OutOfReach where an archive cannot be read, and
    fold.FoldedByNewer where a projection is newer code's, which alone can take the person out.
    """
    members = people.members([name])
    files = _attach(members)
    done = _erase(name, asked_by, rejected.look_for(members.values() or [name]))
    for file in files:
        file.unlink(missing_ok=True)
    return done


def _attach(members: Mapping[int, str]) -> list[Path]:
    """Have all of their months in the log; the files that hold them."""
    due = coverage.months_with(list(members))
    return _back(due) if due else []


def _back(due: Sequence[Month]) -> list[Path]:
    # Only here: reading Parquet takes 60 MB, and a web process hardly ever has to.
    from behavior import archive
    from behavior.month_file import BadFile

    try:
        return [
            Path(archive.attach(month, readers=[one.NAME for one in PROJECTIONS]).file)
            for month in due
        ]
    except (archive.Refused, BadFile, InUse, OSError) as error:
        raise OutOfReach(str(error)) from None


def _erase(name: str, asked_by: str, found: rejected.Found) -> Erased:
    with people.nobody_moves(), contextlib.ExitStack() as folds:
        for one in PROJECTIONS:
            folds.enter_context(fold.alone(one))
            # Whatever was joined before is folded by now, so a fold has only this person to do.
            fold.advance(one)
        folds.enter_context(habits.alone())
        folds.enter_context(shoppers.alone())
        with transaction.atomic(), connection() as inside:
            people.hold({name}, ())
            members = people.members([name])
            if not members and not rejected.forget_found(found, [name]):
                raise Nobody(f"There is no shopper {name!r}.")
            _lock(inside, members)
            _hide(inside, members)
            for one in PROJECTIONS:
                _take_back(inside, one)
            return _delete(inside, members, asked_by, found)


# A list that is just being served for this person holds the row (slates.RECORD).
LOCK: Final = "SELECT FROM subject_key WHERE subject = ANY (:members) ORDER BY subject FOR UPDATE"

HIDE: Final = """
WITH shown AS (
    SELECT lone AS subject, coalesce(person, lone) AS before
    FROM unnest(CAST(:members AS int[])) AS lone LEFT JOIN person ON person.subject = lone
    WHERE person.subject IS NULL OR person IS NOT NULL
), noted AS (
    INSERT INTO person_change (subject, before) SELECT subject, before FROM shown
)
INSERT INTO person AS known (subject, hidden, person) SELECT subject, true, NULL FROM shown
ON CONFLICT (subject) DO UPDATE SET hidden = true, person = NULL
"""


def _lock(inside: Connection, members: Mapping[int, str]) -> None:
    inside.execute(text(LOCK), {"members": list(members)})


def _hide(inside: Connection, members: Mapping[int, str]) -> None:
    inside.execute(text(HIDE), {"members": list(members)})


STANDS: Final = "SELECT snapshot FROM projection WHERE name = :name"
AS_READ: Final = """
CREATE VIEW event AS SELECT * FROM rec.event
WHERE pg_visible_in_snapshot(xid, CAST('{snapshot}' AS pg_snapshot))
"""


def _take_back(inside: Connection, one: Projection) -> None:
    """Fold the hiding alone: of the log the projection sees what it has read, nothing newer."""
    snapshot = inside.scalar(text(STANDS), {"name": one.NAME})
    if snapshot is None:
        return
    with _log_as_read(inside, snapshot):
        one.fold(inside, snapshot, wanted(one.NAME))


@contextlib.contextmanager
def _log_as_read(inside: Connection, snapshot: str) -> Iterator[None]:
    with fold.beside(inside, (), SCRATCH):
        inside.execute(text(AS_READ.format(snapshot=snapshot).replace(":", r"\:")))
        yield
    inside.execute(text(f"DROP SCHEMA {SCRATCH} CASCADE"))


# ── what is left of them ───────────────────────────────────────────────────────────────────

ATTRIBUTED: Final = """
DELETE FROM attribution WHERE slate IN (SELECT id FROM slate WHERE subject = ANY (:members))
"""
SLATES: Final = "DELETE FROM slate WHERE subject = ANY (:members)"

# From the log, for of who is hidden there is no state; the rankers may have learned before that.
BOUGHT: Final = f"""
SELECT DISTINCT item FROM event
WHERE subject = ANY (:members) AND kind = {Kind.PURCHASE.value} AND item IS NOT NULL
"""
EVENTS: Final = "DELETE FROM event WHERE subject = ANY (:members)"

# Others may have been said to be this person, and it was taken back.
ONCE_JOINED: Final = """
DELETE FROM event WHERE kind = 17 AND detail->>'person' = ANY (:names) RETURNING subject
"""
UNLINKED: Final = """
DELETE FROM person WHERE subject = ANY (:subjects)
  AND NOT EXISTS (SELECT FROM event WHERE event.subject = person.subject AND kind IN (17, 23))
"""
STATE: Final = (
    suspects.ALONE,
    "DELETE FROM suspect WHERE person = ANY (:members)",
    "DELETE FROM user_state WHERE person = ANY (:members)",
    "DELETE FROM user_item WHERE person = ANY (:members)",
    "DELETE FROM sequence_shopper WHERE person = ANY (:members)",
    "DELETE FROM person WHERE subject = ANY (:members)",
    "DELETE FROM person_change WHERE subject = ANY (:members)",
    "DELETE FROM subject_key WHERE subject = ANY (:members)",
)
PROVE: Final = """
INSERT INTO erasure (names, events, slates, asked_by) VALUES (:names, :events, :slates, :asked_by)
RETURNING erasure
"""


def _delete(
    inside: Connection, members: Mapping[int, str], asked_by: str, refused: rejected.Found
) -> Erased:
    whom = {"members": list(members)}
    inside.execute(text("SET LOCAL rec.erasing = 'on'"))
    inside.execute(text(ATTRIBUTED), whom)
    slates = inside.execute(text(SLATES), whom).rowcount
    bought = list(inside.scalars(text(BOUGHT), whom))
    events = inside.execute(text(EVENTS), whom).rowcount
    others = list(inside.scalars(text(ONCE_JOINED), {"names": list(members.values())}))
    inside.execute(text("SET LOCAL rec.erasing = 'off'"))
    if others:
        inside.execute(text(UNLINKED), {"subjects": others})
    for statement in STATE:
        inside.execute(text(statement), whom)
    habits.recount(inside, bought)
    store.owe_links(inside)
    retained.owe(inside)
    spaces.drop_left(inside)
    rejected.forget_found(refused, members.values() or refused.names)
    found = {"names": len(members), "events": events, "slates": slates}
    proof = inside.scalar(text(PROVE), found | {"asked_by": asked_by})
    return Erased(int(proof or 0), **found)
