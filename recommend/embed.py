"""Embedding what waits: passages without a vector get one, a batch a transaction.

It promises that a text is encoded once by an encoder, that a worker killed in the middle loses one
batch of work and nothing else, and that two workers do not do the same work. Where the deployment
has chosen another encoder, every passage is encoded anew beside the vectors that serve. An image that
cannot be read leaves its item to its text and is tried again (recommend.images.unread).
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from sqlalchemy import text

from recommend import vectors
from recommend.fusion import Fusion, chosen
from recommend.images import unread
from recommend.images.gallery import Gallery
from recommend.spaces import newcomers
from recsite.db import connection, cursor, if_alone

HAS_TEXTS: Final = "SELECT EXISTS (SELECT FROM item_passage WHERE passage IS NOT NULL)"

IS_DUE: Final = f"""
SELECT EXISTS (SELECT FROM unencoded) OR ({vectors.LIVE} IS DISTINCT FROM %s AND ({HAS_TEXTS}))
"""


def is_due() -> bool:
    """Whether texts wait for the chosen encoder; cheap enough for every fold."""
    with cursor() as hot:
        return hot.execute(IS_DUE, [chosen().name]).fetchone() == (True,)


def waiting() -> int:
    """How many texts wait."""
    with transaction.atomic(), connection() as inside:
        anew = vectors.live(inside) != chosen().name
        count = vectors.COUNT_LACKING if anew else "SELECT count(*) FROM unencoded"
        return int(inside.scalar(text(count)) or 0)


def sentence(count: int) -> str:
    """What came of a run that encoded so many texts."""
    if left := waiting():
        return f"{count:,} encoded, {left:,} {'waits' if left == 1 else 'wait'}"
    with cursor() as hot:
        if not count and hot.execute(HAS_TEXTS).fetchone() == (False,):
            return "no item has one; lists go on without content"
    return f"{count:,} encoded ({chosen().name})"


def try_again() -> None:
    """Have every image that could not be read tried once more, however lately it was."""
    with transaction.atomic(), connection() as inside:
        unread.queue(inside, pause="0")


@dataclass(frozen=True, slots=True)
class Run:
    """One run through all that waits: since when, by the database's clock, and by what."""

    began: datetime
    encoder: Fusion
    gallery: Gallery


def embed() -> Iterator[int]:
    """Encode all that waits; yields the size of each batch after its commit. Raises ModelMissing.

    Ends at once where another worker is at it: that one will also do what is new.
    """
    with if_alone("embed") as is_ours:
        if not is_ours:
            return
        run = _begin()
        if not (_is_live(run.encoder) or (yield from _anew(run))):
            return
        while (done := _queued(run)) is not None:
            # None of it was new where all of it came with the switch.
            if done:
                yield done


def _begin() -> Run:
    with cursor() as hot:
        (now,) = hot.execute("SELECT clock_timestamp()").fetchone() or ()
    return Run(now, chosen(), Gallery())


def _is_live(encoder: Fusion) -> bool:
    with transaction.atomic(), connection() as inside:
        is_live = vectors.live(inside) == encoder.name
        if is_live:
            vectors.abandon(inside)
            unread.keep(inside, encoder.name)
            unread.queue(inside)
        return is_live


def _anew(run: Run) -> Generator[int, None, bool]:
    """Encode all beside the vectors that serve, then switch; whether that was possible."""
    with transaction.atomic(), connection() as inside:
        vectors.begin(inside, run.encoder)
    yield from _lacking(run)
    with transaction.atomic(), connection() as inside:
        inside.execute(text(vectors.INDEX))
    # What came while the index was built.
    yield from _lacking(run)
    return vectors.switch()


def _lacking(run: Run) -> Iterator[int]:
    last = 0
    while rows := _rows(vectors.LACKING, run, after=last):
        yield _encode(vectors.BESIDE, run, rows)
        last = rows[-1].passage


def _queued(run: Run) -> int | None:
    """One batch of the queue; None where it is empty."""
    rows = _rows(vectors.QUEUED, run, began=run.began)
    if not rows:
        return None
    done = _encode(vectors.SERVING, run, [row for row in rows if row.is_due])
    with transaction.atomic(), connection() as inside:
        inside.execute(text(vectors.DONE), {"passages": [row.passage for row in rows]})
    return done


def _rows(statement: str, run: Run, **given: Any) -> Sequence[Any]:
    given |= {"encoder": run.encoder.name, "limit": run.encoder.batch}
    with transaction.atomic(), connection() as inside:
        return inside.execute(text(statement), given).all()


def _encode(schema: str, run: Run, rows: Sequence[Any]) -> int:
    """Encode a batch and keep it; how many vectors it brought.

    No transaction is open meanwhile: hosts may let an image wait for seconds.
    """
    encoded = run.encoder.encode(rows, run.gallery)
    made = {row.passage: one for row, one in zip(rows, encoded, strict=True)}
    tried = {row.passage: made[row.passage].unread for row in rows if row.image is not None}
    # What has a vector keeps it while its image is unread.
    anew = [row.passage for row in rows if row.is_made and tried[row.passage] is None]
    new = [row.passage for row in rows if not row.is_made] + anew
    found = {one: vector for one in new if (vector := made[one].vector) is not None}
    with transaction.atomic(), connection() as inside:
        vectors.forget(inside, schema, anew)
        vectors.store(inside, schema, [*found], [*found.values()])
        if schema == vectors.SERVING:
            newcomers.place(inside, [*found])
        if run.encoder.looks:
            unread.settle(inside, run.encoder.name, tried)
    return len(found)
