"""Slates: every list that was served, with what is needed to explain it.

A slate is a fact like an event: written once, never changed. Its id is the
`recommendation_id` that the shop sends back with what the shopper then did.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import (
    ARRAY,
    Column,
    DateTime,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from recsite.db import METADATA, cursor

slate = Table(
    "slate",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("served_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("scenario", Text, nullable=False),
    Column("subject", Integer),
    Column("items", ARRAY(Integer), nullable=False),
    Column("shortfall", SmallInteger, nullable=False),
    Column("position", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    Index("slate_subject_idx", "subject"),
)
"""`detail` holds the request, each item's scores and reasons, the rules that acted, the receipt
(what the list rests on), and `recorded`, the snapshot of the statement that kept it."""


@dataclass(frozen=True, slots=True)
class Served:
    """A list on its way into the table; items are interned ids, best first."""

    scenario: str
    shopper: str | None
    items: Sequence[int]
    shortfall: int
    position: str
    detail: dict[str, Any]


# uuidv7 keeps the index append-only: new slates touch its last page. The commit does not
# wait for the disk: a crash may lose the last moments' slates, never an event. The shopper's
# row is held, so that who is being erased leaves no list behind. A list is made of several
# statements; what `recorded` sees and the receipt does not came while it was made.
RECORD: Final = """
INSERT INTO slate (id, scenario, subject, items, shortfall, position, detail)
SELECT uuidv7(), %s, (SELECT subject FROM subject_key WHERE key = %s FOR KEY SHARE), %s::int[], %s, %s,
       %s::jsonb || jsonb_build_object('recorded', pg_current_snapshot()::text)
FROM set_config('synchronous_commit', 'off', true)
RETURNING id
"""


def record(served: Served) -> uuid.UUID:
    """Keep a served list; returns its recommendation_id."""
    with cursor() as hot:
        hot.execute(
            RECORD,
            [served.scenario, served.shopper, list(served.items), served.shortfall,
             served.position, orjson.dumps(served.detail).decode()],
            prepare=True,
        )  # fmt: skip
        (slate_id,) = hot.fetchone() or (None,)
        return uuid.UUID(str(slate_id))
