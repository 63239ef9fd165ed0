"""Which ranker is live: every attempt to learn one, and the one that serves.

It promises that readers see a ranker together with its habits and links, switched in one
transaction, that one made for other features than this code has is never asked, and that no links
outlive an erasure for long. Of two versions of the code that run at once each has a live one of its
own. Those that were replaced stay, with what they know while a list is kept that one of them ordered,
so that it can be made again.
"""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson
from django.db import transaction
from sqlalchemy import Boolean, Column, Connection, DateTime, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from recommend.ranker import features, habits, links, network
from recommend.ranker.network import Network
from recsite.db import METADATA, Xid8, connection, cursor, one_snapshot

ranker = Table(
    "ranker",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("features", Text, nullable=False),
    Column("network", JSONB),
    Column("judged", JSONB, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("live_since", DateTime(timezone=True)),
    Column("retired_at", DateTime(timezone=True)),
    Column("is_live", Boolean, nullable=False),
    Column("recounted_xid", Xid8),
    Column("owes_links", Boolean, nullable=False, server_default=text("false")),
    Index("ranker_live_idx", "features", unique=True, postgresql_where=text("is_live")),
)
"""`judged` says how one that learned so did on shoppers that it had not learned from, beside the
blend; `until` where the log ended then; `live_since` when it last went live, null for one that
never did, `retired_at` when another took its place; `recounted_xid` which transaction last
counted some of its habits anew; `owes_links` whether somebody was erased since its links were learned.
An attempt that had too little to learn from has no `network`,
and its `judged` says only how many lists it `found`; of one that failed, only `why`."""

TABLES: Final = (ranker, habits.item_habit, links.item_link)

LIVE: Final = f"(SELECT name FROM ranker WHERE is_live AND features = '{features.NAME}')"
"""As an SQL expression, for whoever serves."""

# For a schema that is served from instead of the live one: the same rankers, another one live.
VIEW: Final = """
CREATE VIEW {schema}.ranker AS
SELECT name, features, network, judged, until, made_at, live_since, retired_at,
       coalesce(name = {wanted}, false) AS is_live FROM rec.ranker
"""

# One that was judged before it was noted for which lists orders all, as it did.
FIND: Final = """
SELECT network::text, until, made_at, coalesce(judged->'serves', '["any", "new"]')::text
FROM ranker WHERE name = %s AND network IS NOT NULL
"""
KEEP: Final = """
INSERT INTO ranker (name, features, network, judged, until, made_at, is_live)
VALUES (:name, :features, nullif(CAST(:network AS jsonb), 'null'), CAST(:judged AS jsonb), :until,
        now(), false)
ON CONFLICT (name) DO UPDATE SET judged = excluded.judged
"""
RETIRE: Final = """
UPDATE ranker SET is_live = false, retired_at = now()
WHERE is_live AND features = :features AND name <> :name
"""
GO_LIVE: Final = """
UPDATE ranker SET is_live = true, live_since = now(), retired_at = NULL
WHERE name = :name AND NOT is_live
"""
NEWEST: Final = "SELECT max(until) FROM ranker WHERE features = :features"

# A slate's id begins with the time, so only lists of its own days are looked at, and of one that
# served few of them. A list that it ordered may be recorded a little after it was retired.
UNNAMED: Final = """
SELECT name FROM ranker
WHERE NOT is_live AND retired_at < now() - interval '1 day'
  AND (EXISTS (SELECT FROM item_habit WHERE item_habit.ranker = ranker.name)
       OR EXISTS (SELECT FROM item_link WHERE item_link.ranker = ranker.name))
  AND NOT EXISTS (
      SELECT FROM slate
      WHERE id >= first_id(made_at) AND id < first_id(retired_at + interval '1 hour')
        AND detail->'receipt'->>'ranker' = ranker.name)
ORDER BY retired_at LIMIT :most
"""
LET_GO: Final = (
    "DELETE FROM item_habit WHERE ranker = ANY (:names)",
    "DELETE FROM item_link WHERE ranker = ANY (:names)",
)

OWE: Final = """
UPDATE ranker SET owes_links = true
WHERE NOT owes_links AND EXISTS (SELECT FROM item_link WHERE item_link.ranker = ranker.name)
"""
FORGET_OWED: Final = """
DELETE FROM item_link WHERE ranker IN (SELECT name FROM ranker WHERE owes_links)
"""
LIVE_AND_OWING: Final = "SELECT name FROM ranker WHERE owes_links AND is_live ORDER BY name"
SETTLE: Final = """
UPDATE ranker SET owes_links = false, recounted_xid = pg_current_xact_id() WHERE owes_links
"""

MOST_LET_GO: Final = 10
"""Rankers whose habits go at once."""


NEW: Final = "new"
LISTS: Final = ("any", NEW)
"""Lists of any items, and those that leave out what the shopper knows: what decides in the one, an
own habit, says nothing in the other, so a ranker may be good for one of them only."""


@dataclass(frozen=True, slots=True)
class Judged:
    """On `lists` of shoppers that nothing was learned from: NDCG@10, the mean over shoppers of the
    mean over their lists, of a network that learned from `learned` lists, of the blend alone, of
    the ranker that was live (None: there was none). `goal` is a key of recommend.goals.GOALS;
    `serves` says for which LISTS it was surely better than the blend; `slates` from how many of our
    own lists it was known how much each place is looked at (recommend.ranker.looks), 0 for too few; for
    those of LISTS that are `barred` the last weeks misled it (recommend.judging)."""

    lists: int
    learned: int
    ndcg: float
    blend: float
    live: float | None
    goal: str = "purchase"
    serves: Sequence[str] = LISTS
    slates: int = 0
    barred: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Ranker:
    """A network, where the log ended when it was made, how far that was behind the clock, and which
    of LISTS it orders."""

    name: str
    network: Network
    until: datetime
    lag: timedelta
    serves: frozenset[str] = frozenset(LISTS)

    def clock(self, now: datetime) -> datetime:
        """What the shop's time is: a history that was imported goes on from where it ended."""
        return min(now, max(self.until, now - self.lag))


def find(name: str) -> Ranker | None:
    """The ranker of that name; None where it is gone."""
    try:
        return _read(name)
    except LookupError:
        return None


@functools.lru_cache(maxsize=4)
def _read(name: str) -> Ranker:
    """It is never changed, so it may be kept; that there is none may not, hence the error."""
    with cursor() as hot:
        row = hot.execute(FIND, [name]).fetchone()
    if row is None:
        raise LookupError(name)
    said, until, made_at, serves = row
    lag = max(made_at - until, timedelta(0))
    return Ranker(name, network.of_json(said), until, lag, frozenset(orjson.loads(serves)))


def live(inside: Connection) -> Ranker | None:
    """The one that serves; None where the blend serves alone."""
    name = inside.scalar(text(f"SELECT {LIVE}"))
    return None if name is None else find(name)


def publish(made: Network, judged: Judged, until: datetime) -> None:
    """Make it the live one, with the habits of the log that it learned from."""
    whose = {"name": made.name, "features": features.NAME}
    with habits.alone(), one_snapshot() as inside:
        keep(inside, made, judged, until)
        inside.execute(text(RETIRE), whose)
        inside.execute(text(GO_LIVE), whose)
        habits.fill(inside, made.name, until)
        links.fill(inside, made.name)


def keep(inside: Connection, made: Network, judged: Judged, until: datetime) -> None:
    """Note what was made, and how good it was."""
    _keep(inside, made.name, made.as_json(), orjson.dumps(judged), until)


def keep_too_few(inside: Connection, lists: int, until: datetime) -> None:
    """Note that up to there so many lists were found, and that they taught nothing."""
    _keep_none(inside, {"found": lists}, until)


def keep_failed(inside: Connection, why: str, until: datetime) -> None:
    """Note that up to there something was tried, and why nothing came of it."""
    _keep_none(inside, {"why": why}, until)


def _keep_none(inside: Connection, judged: Mapping[str, int | str], until: datetime) -> None:
    name = hashlib.blake2b(f"{features.NAME} {until.isoformat()}".encode(), digest_size=6)
    _keep(inside, name.hexdigest(), b"null", orjson.dumps(judged), until)


def _keep(inside: Connection, name: str, made: bytes, judged: bytes, until: datetime) -> None:
    inside.execute(text(KEEP), {
        "name": name, "features": features.NAME, "network": made.decode(),
        "judged": judged.decode(), "until": until,
    })  # fmt: skip


def let_go() -> int:
    """Drop the habits and links of rankers that nothing kept rests on any more; of how many."""
    with habits.alone(), transaction.atomic(), connection() as inside:
        names = list(inside.scalars(text(UNNAMED), {"most": MOST_LET_GO}))
        for statement in LET_GO:
            inside.execute(text(statement), {"names": names})
    return len(names)


def owe_links(inside: Connection) -> None:
    """Somebody was erased: whatever links were learned before are to be learned anew."""
    inside.execute(text(OWE))


def settle_links() -> int:
    """Learn the links of what is live anew, where somebody was erased since; of how many rankers they
    are settled. Those of others go: they cannot be learned as of then, and replays say so."""
    with habits.alone(), one_snapshot() as inside:
        inside.execute(text(FORGET_OWED))
        for name in inside.scalars(text(LIVE_AND_OWING)).all():
            links.fill(inside, name)
        return inside.execute(text(SETTLE)).rowcount


def newest_until(inside: Connection) -> datetime | None:
    """Where the log ended when one was last made, live or not."""
    newest: datetime | None = inside.scalar(text(NEWEST), {"features": features.NAME})
    return newest
