"""Vectors: where each passage lies among all others, as one encoder has it.

Vectors of two encoders cannot be compared, and an index has one length: so all that serve are one
encoder's, in one narrow table with one index. Those of another encoder are made in a table beside
it, a batch a transaction, and switched in in one step that only renames; until then lists go on
with the old ones. A vector is replaced only where an image came to be read that could not be before.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import psycopg
from django.db import transaction
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import Boolean, Column, Connection, Index, Integer, Table, Text, text

from recommend.encoders import DEFAULT
from recsite.db import METADATA, Xid8, cursor


class Space(Protocol):
    """What is to be known of an encoder here: its name says all that decides a vector."""

    @property
    def name(self) -> str: ...
    @property
    def dimensions(self) -> int: ...


embedding = Table(
    "embedding",
    METADATA,
    Column("passage", Integer, primary_key=True, autoincrement=False),
    Column("vector", HALFVEC(DEFAULT.dimensions), nullable=False),
    Column("encoded_xid", Xid8),
    Index("embedding_vector_idx", "vector", postgresql_using="hnsw",
          postgresql_ops={"vector": "halfvec_cosine_ops"}),
)  # fmt: skip
"""`encoded_xid` is the transaction that brought the vector, so that a replay sees only those there
were. With another encoder the vectors have another length."""

encoder = Table(
    "encoder",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("is_live", Boolean, nullable=False, unique=True),
)
"""Whose vectors serve, and whose are being made beside them."""

unencoded = Table(
    "unencoded",
    METADATA,
    Column("passage", Integer, primary_key=True, autoincrement=False),
)
"""What the fold of content found without a vector. Looking for it in all passages, at every fold,
would cost a second where there are a million."""

LIVE: Final = "(SELECT name FROM encoder WHERE is_live)"
"""As an SQL expression, for whoever serves."""

BESIDE: Final = "rec_beside"
SERVING: Final = "rec"

PATIENCE: Final = "50ms"
"""For the readers of the old vectors to come to an end. While the switch waits, new readers wait
behind it; so it gives up soon, and is tried again at the next fold."""

MAKE: Final = """
CREATE TABLE {schema}.embedding (passage int CONSTRAINT embedding_pkey PRIMARY KEY,
                                 vector halfvec({dimensions}) NOT NULL, encoded_xid xid8)
"""
# Of all the vectors at once: several times as fast as one by one.
INDEX: Final = f"""
CREATE INDEX IF NOT EXISTS embedding_vector_idx ON {BESIDE}.embedding USING hnsw (vector halfvec_cosine_ops)
"""

# Kept schemas of the past (recommend.travel) look at the old table; they go with it.
SWITCH: Final = (
    f"SET LOCAL lock_timeout = '{PATIENCE}'",
    f"DROP TABLE {SERVING}.embedding CASCADE",
    f"ALTER TABLE {BESIDE}.embedding SET SCHEMA {SERVING}",
    f"DROP SCHEMA {BESIDE}",
    "DELETE FROM encoder WHERE is_live",
    "UPDATE encoder SET is_live = true",
)

# Of the passages that some item has now, the first that have no vector beside, but for images of
# which it is known that they cannot be read. Read in the order of an index, from where the last batch ended.
LACKING: Final = f"""
SELECT passage, body, image, false AS is_made FROM (
    SELECT DISTINCT passage FROM item_passage WHERE passage > :after
      AND NOT EXISTS (SELECT FROM {BESIDE}.embedding AS made WHERE made.passage = item_passage.passage)
      AND NOT EXISTS (SELECT FROM unread_image AS unread
                      WHERE unread.passage = item_passage.passage AND unread.encoder = :encoder)
    ORDER BY passage LIMIT :limit) AS lacking
JOIN passage USING (passage) ORDER BY passage
"""
COUNT_LACKING: Final = "SELECT count(DISTINCT passage) FROM item_passage"

# A passage may have got its vector since it was queued: from the other encoder's switch, say. One whose
# image could not be read is there to be tried again, unless this run has tried it already.
QUEUED: Final = """
SELECT queued.passage, body, image, made.passage IS NOT NULL AS is_made,
       CASE WHEN unread.passage IS NULL THEN made.passage IS NULL ELSE tried_at < :began END AS is_due
FROM (SELECT passage FROM unencoded ORDER BY passage LIMIT :limit) AS queued
JOIN passage USING (passage) LEFT JOIN embedding AS made USING (passage)
LEFT JOIN unread_image AS unread ON unread.passage = queued.passage AND unread.encoder = :encoder
ORDER BY queued.passage
"""
DONE: Final = "DELETE FROM unencoded WHERE passage = ANY(:passages)"

# They are encoded anew in the same transaction.
FORGET: Final = "DELETE FROM {schema}.embedding WHERE passage = ANY(:passages)"

STORE: Final = """
INSERT INTO {schema}.embedding (passage, vector, encoded_xid)
SELECT passage, vector::halfvec, pg_current_xact_id()
FROM unnest(CAST(:passages AS int[]), CAST(:vectors AS text[])) AS given(passage, vector)
ON CONFLICT (passage) DO NOTHING
"""

# After a dump was restored into another cluster, whose transaction ids these are not; a no-op
# everywhere else.
ADOPT: Final = """
UPDATE embedding SET encoded_xid = NULL WHERE NOT pg_visible_in_snapshot(encoded_xid, pg_current_snapshot())
"""


def live(inside: Connection) -> str | None:
    """The name of the encoder whose vectors serve; None before there were any."""
    name: str | None = inside.scalar(text(f"SELECT {LIVE}"))
    return name


def begin(inside: Connection, made_by: Space) -> None:
    """Have a table beside for this encoder's vectors; one that was begun is gone on with."""
    if inside.scalar(text("SELECT name FROM encoder WHERE NOT is_live")) == made_by.name:
        return
    inside.execute(text("DELETE FROM encoder WHERE NOT is_live"))
    inside.execute(text(f"DROP SCHEMA IF EXISTS {BESIDE} CASCADE"))
    inside.execute(text(f"CREATE SCHEMA {BESIDE}"))
    inside.execute(text(MAKE.format(schema=BESIDE, dimensions=made_by.dimensions)))
    inside.execute(text("INSERT INTO encoder VALUES (:name, false)"), {"name": made_by.name})


def abandon(inside: Connection) -> None:
    """Leave no table beside: its encoder is not the chosen one any more."""
    if inside.execute(text("DELETE FROM encoder WHERE NOT is_live")).rowcount:
        inside.execute(text(f"DROP SCHEMA {BESIDE} CASCADE"))


def store(
    inside: Connection, schema: str, passages: Sequence[int], vectors: Sequence[Sequence[float]]
) -> None:
    """Keep the vectors of these passages, in the table that serves or in the one beside."""
    written = ["[" + ",".join(f"{x:.6g}" for x in vector) + "]" for vector in vectors]
    given = {"passages": list(passages), "vectors": written}
    inside.execute(text(STORE.format(schema=schema)), given)


def forget(inside: Connection, schema: str, passages: Sequence[int]) -> None:
    """Make room for the vectors of passages that are encoded anew."""
    if passages:
        inside.execute(text(FORGET.format(schema=schema)), {"passages": list(passages)})


def switch() -> bool:
    """Have the vectors beside serve; False where readers of the old ones were in the way."""
    try:
        with transaction.atomic(), cursor() as hot:
            for statement in SWITCH:
                hot.execute(statement)
    except psycopg.errors.LockNotAvailable:
        return False
    return True
