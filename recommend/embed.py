"""Embedding what waits: passages without a vector get one, a batch a transaction.

It promises that a text is encoded once by an encoder, that a worker killed in the middle loses one
batch of work and nothing else, and that two workers do not do the same work. Where the deployment
has chosen another encoder, every text is encoded anew beside the vectors that serve.
"""

from collections.abc import Generator, Iterator
from typing import Any, Final

from django.db import transaction
from sqlalchemy import Connection, text

from recommend import vectors
from recommend.encoders import Encoder, chosen
from recommend.spaces import newcomers
from recsite.db import connection, cursor, if_alone

BATCH: Final = 512

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


def embed() -> Iterator[int]:
    """Encode all that waits; yields the size of each batch after its commit. Raises ModelMissing.

    Ends at once where another worker is at it: that one will also do what is new.
    """
    encoder = chosen()
    with if_alone("embed") as is_ours:
        if not is_ours or not (_is_live(encoder) or (yield from _anew(encoder))):
            return
        while (done := _queued(encoder)) is not None:
            # None of it was new where all of it came with the switch.
            if done:
                yield done


def _is_live(encoder: Encoder) -> bool:
    with transaction.atomic(), connection() as inside:
        is_live = vectors.live(inside) == encoder.name
        if is_live:
            vectors.abandon(inside)
        return is_live


def _anew(encoder: Encoder) -> Generator[int, None, bool]:
    """Encode all texts beside the vectors that serve, then switch; whether that was possible."""
    with transaction.atomic(), connection() as inside:
        vectors.begin(inside, encoder)
    yield from _lacking(encoder)
    with transaction.atomic(), connection() as inside:
        inside.execute(text(vectors.INDEX))
    # What came while the index was built.
    yield from _lacking(encoder)
    return vectors.switch()


def _lacking(encoder: Encoder) -> Iterator[int]:
    last = 0
    while True:
        with transaction.atomic(), connection() as inside:
            rows = inside.execute(text(vectors.LACKING), {"after": last, "limit": BATCH}).all()
            if not rows:
                return
            _encode(inside, vectors.BESIDE, encoder, rows)
        last = rows[-1].passage
        yield len(rows)


def _queued(encoder: Encoder) -> int | None:
    """One batch of the queue; None where it is empty."""
    with transaction.atomic(), connection() as inside:
        rows = inside.execute(text(vectors.QUEUED), {"limit": BATCH}).all()
        if not rows:
            return None
        new = [row for row in rows if row.body is not None]
        _encode(inside, vectors.SERVING, encoder, new)
        newcomers.place(inside, [row.passage for row in new])
        inside.execute(text(vectors.DONE), {"passages": [row.passage for row in rows]})
    return len(new)


def _encode(inside: Connection, schema: str, encoder: Encoder, rows: Any) -> None:
    made = encoder.encode([row.body for row in rows])
    vectors.store(inside, schema, [row.passage for row in rows], made)
