"""Which encoder that the log taught is live: every attempt, and what the good ones learned.

It promises that at most one is live of each encoder, switched in one transaction, and that an
attempt that is not live has changed nothing that serves. Vectors follow by themselves: another
encoder's name is another space (recommend.vectors). What those learned that were live last is kept,
so that there is a way back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from django.db import transaction
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    text,
)  # fmt: skip
from sqlalchemy.dialects.postgresql import JSONB

from recommend.encoders import tuned
from recommend.encoders.tuned import Weights
from recsite.db import METADATA, connection

finetuning = Table(
    "finetuning",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text),
    Column("base", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("judged", JSONB, nullable=False),
    Column("weights", LargeBinary),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("live_since", DateTime(timezone=True)),
    Column("retired_at", DateTime(timezone=True)),
    Column("is_live", Boolean, nullable=False),
    Index("finetuning_live_idx", "base", unique=True, postgresql_where=text("is_live")),
    Index("finetuning_name_idx", "name", unique=True, postgresql_where=text("weights IS NOT NULL")),
)
"""`base` is the name of the encoder that was taught, `name` that of what came of it; `until` where
the log ended; `judged` is Judged, TooFew or Failed; `weights` are of those that were live, the last
few. One that goes live again is the same row."""

KEPT: Final = 5
"""Of each encoder, those that were live last keep what they learned: 45 MB at most of each."""

NOTE: Final = """
INSERT INTO finetuning (name, base, mode, judged, until, is_live)
VALUES (:name, :base, :mode, CAST(:judged AS jsonb), :until, false) RETURNING id
"""
GIVE: Final = """
UPDATE finetuning SET weights = :weights
WHERE id = :id AND NOT EXISTS (
    SELECT FROM finetuning AS other WHERE other.name = :name AND other.weights IS NOT NULL)
"""
RETIRE: Final = """
UPDATE finetuning SET is_live = false, retired_at = now() WHERE is_live AND base = :base RETURNING name
"""
GO_LIVE: Final = """
UPDATE finetuning SET is_live = true, live_since = now(), retired_at = NULL
WHERE name = :name AND base = :base AND weights IS NOT NULL RETURNING id
"""
LET_GO: Final = f"""
UPDATE finetuning SET weights = NULL
WHERE weights IS NOT NULL AND NOT is_live AND id NOT IN (
    SELECT id FROM finetuning WHERE base = :base AND weights IS NOT NULL
    ORDER BY live_since DESC LIMIT {KEPT})
  AND base = :base
"""
NEWEST: Final = "SELECT max(until) FROM finetuning WHERE base = :base"
NAMES: Final = """
SELECT name FROM finetuning WHERE base = :base AND weights IS NOT NULL ORDER BY live_since DESC
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """On what `shoppers` chose in the log's last weeks, `queries` choices: NDCG@10 of the taught
    encoder, which learned from `pairs`, of the one that it was made of, and of the one that was live
    (None: there was none); `new_ndcg` and `new_base` of those `new` shoppers who chose a text that
    nobody had chosen before. `seconds` is what it took."""

    pairs: int
    queries: int
    shoppers: int
    ndcg: float
    base: float
    live: float | None
    new: int
    new_ndcg: float | None
    new_base: float | None
    seconds: int


@dataclass(frozen=True, slots=True)
class TooFew:
    """Pairs that were `found` to learn from, and `shoppers` to judge by."""

    found: int
    shoppers: int


@dataclass(frozen=True, slots=True)
class Failed:
    """What went wrong."""

    failed: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """Which encoder was taught, how, and where the log ended."""

    base: str
    mode: str
    until: datetime


def note(attempt: Attempt, judged: Judged | TooFew | Failed) -> None:
    """Note an attempt that does not serve."""
    with transaction.atomic():
        _note(attempt, judged, None)


def publish(attempt: Attempt, judged: Judged, weights: Weights) -> str:
    """Note it, and make it the live one of its encoder; its name."""
    name = f"{attempt.base}+{attempt.mode}-{tuned.digest(weights)}"
    with transaction.atomic():
        given = {"id": _note(attempt, judged, name), "name": name}
        with connection() as inside:
            inside.execute(text(GIVE), given | {"weights": tuned.as_bytes(weights)})
        use(attempt.base, name)
    return name


def use(base: str, name: str) -> bool:
    """Have this one be live in place of any other; False where what it learned is not kept."""
    with transaction.atomic(), connection() as inside:
        inside.execute(text(RETIRE), {"base": base})
        if inside.execute(text(GO_LIVE), {"name": name, "base": base}).rowcount == 0:
            transaction.set_rollback(True)
            return False
        inside.execute(text(LET_GO), {"base": base})
    return True


def retire(base: str) -> str | None:
    """Have the encoder serve as its package has it; the name of the one that was live."""
    with transaction.atomic(), connection() as inside:
        name: str | None = inside.scalar(text(RETIRE), {"base": base})
    return name


def kept(base: str) -> Sequence[str]:
    """Those that can be used again, the last first."""
    with transaction.atomic(), connection() as inside:
        return list(inside.scalars(text(NAMES), {"base": base}))


def newest_until(base: str) -> datetime | None:
    """Where the log ended at the last attempt, whatever came of it."""
    with transaction.atomic(), connection() as inside:
        newest: datetime | None = inside.scalar(text(NEWEST), {"base": base})
    return newest


def _note(attempt: Attempt, judged: Judged | TooFew | Failed, name: str | None) -> int:
    told: dict[str, Any] = {
        "name": name, "base": attempt.base, "mode": attempt.mode, "until": attempt.until,
        "judged": orjson.dumps(judged).decode(),
    }  # fmt: skip
    with connection() as inside:
        return int(inside.scalar(text(NOTE), told) or 0)
