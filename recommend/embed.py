"""Embedding what waits: passages without a vector get one, a batch a transaction.

It promises that a text is encoded once, that a worker killed in the middle loses one batch
of work and nothing else, and that two workers do not do the same work.
"""

from collections.abc import Iterator
from typing import Final

from django.db import transaction
from sqlalchemy import Connection, text

from recommend import encoders
from recommend.projections.content import ENCODED, WAITING
from recsite.db import connection, cursor

BATCH: Final = 512


def waiting() -> int:
    """Passages without a vector."""
    with cursor() as hot:
        hot.execute("SELECT count(*) FROM passage WHERE vector IS NULL")
        (count,) = hot.fetchone() or (0,)
        return int(count)


def embed() -> Iterator[int]:
    """Encode all that waits; yields the size of each batch after its commit.

    Ends at once where another worker is at it: that one will also do what is new.
    """
    with cursor() as session:
        session.execute("SELECT pg_try_advisory_lock(hashtext('recsite.embed'))")
        if session.fetchone() != (True,):
            return
    try:
        while done := _batch():
            yield done
    finally:
        with cursor() as session:
            session.execute("SELECT pg_advisory_unlock(hashtext('recsite.embed'))")


def _batch() -> int:
    with transaction.atomic(), connection() as inside:
        rows = inside.execute(text(WAITING), {"limit": BATCH}).all()
        if rows:
            _store(
                inside, [row.passage for row in rows], encoders.encode([row.body for row in rows])
            )
        return len(rows)


def _store(inside: Connection, passages: list[int], vectors: list[list[float]]) -> None:
    written = ["[" + ",".join(f"{x:.6g}" for x in vector) + "]" for vector in vectors]
    inside.execute(text(ENCODED), {"passages": passages, "vectors": written})
