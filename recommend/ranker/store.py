"""Which ranker is live: every one that was ever good enough, and the one that serves.

It promises that readers see a ranker together with its habits, switched in one transaction,
and that one made for other features than this code has is never asked. Of two versions of the
code that run at once each has a live one of its own. Those that were replaced stay, so that a
list can be made again.
"""

import functools
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson
from sqlalchemy import Boolean, Column, Connection, DateTime, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from recommend.ranker import features, habits, network
from recommend.ranker.network import Network
from recsite.db import METADATA, Xid8, cursor, one_snapshot

ranker = Table(
    "ranker",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("features", Text, nullable=False),
    Column("network", JSONB, nullable=False),
    Column("judged", JSONB, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("live_since", DateTime(timezone=True)),
    Column("is_live", Boolean, nullable=False),
    Column("recounted_xid", Xid8),
    Index("ranker_live_idx", "features", unique=True, postgresql_where=text("is_live")),
)
"""`judged` says how it did on shoppers that it had not learned from, beside the blend; `until`
where the log ended then; `live_since` when it last went live, null for one that never did;
`recounted_xid` which transaction last counted some of its habits anew."""

TABLES: Final = (ranker, habits.item_habit)

LIVE: Final = f"(SELECT name FROM ranker WHERE is_live AND features = '{features.NAME}')"
"""As an SQL expression, for whoever serves."""

# For a schema that is served from instead of the live one: the same rankers, another one live.
VIEW: Final = """
CREATE VIEW {schema}.ranker AS
SELECT name, features, network, judged, until, made_at, live_since,
       coalesce(name = {wanted}, false) AS is_live FROM rec.ranker
"""

FIND: Final = "SELECT network::text, until, made_at FROM ranker WHERE name = %s"
KEEP: Final = """
INSERT INTO ranker (name, features, network, judged, until, made_at, is_live)
VALUES (:name, :features, CAST(:network AS jsonb), CAST(:judged AS jsonb), :until, now(), false)
ON CONFLICT (name) DO UPDATE SET judged = excluded.judged
"""
RETIRE: Final = """
UPDATE ranker SET is_live = false WHERE is_live AND features = :features AND name <> :name
"""
GO_LIVE: Final = """
UPDATE ranker SET is_live = true, live_since = now() WHERE name = :name AND NOT is_live
"""
NEWEST: Final = """
SELECT max(until) FROM ranker WHERE features = :features
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """On `lists` of shoppers that nothing was learned from: mean NDCG@10 of the network, of the
    blend alone, of the ranker that was live (None: there was none)."""

    lists: int
    learned: int
    ndcg: float
    blend: float
    live: float | None


@dataclass(frozen=True, slots=True)
class Ranker:
    """A network, where the log ended when it was made, and how far that was behind the clock."""

    network: Network
    until: datetime
    lag: timedelta

    def clock(self, now: datetime) -> datetime:
        """What the shop's time is: a history that was imported goes on from where it ended."""
        return min(now, max(self.until, now - self.lag))


@functools.lru_cache(maxsize=4)
def find(name: str) -> Ranker:
    """The ranker of that name; it is never changed, so it may be kept."""
    with cursor() as hot:
        said, until, made_at = hot.execute(FIND, [name]).fetchall()[0]
    return Ranker(network.of_json(said), until, max(made_at - until, timedelta(0)))


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


def keep(inside: Connection, made: Network, judged: Judged, until: datetime) -> None:
    """Note what was made, and how good it was."""
    inside.execute(text(KEEP), {
        "name": made.name, "features": features.NAME, "network": made.as_json().decode(),
        "judged": orjson.dumps(judged).decode(), "until": until,
    })  # fmt: skip


def newest_until(inside: Connection) -> datetime | None:
    """Where the log ended when one was last made, live or not."""
    newest: datetime | None = inside.scalar(text(NEWEST), {"features": features.NAME})
    return newest
