"""Shoppers: where each stands in the live sequence after what they did last.

Encoded by a worker whenever the log has something new of them. It promises that a vector is a
function of the shopper's own state and of the live space, so that following step by step and filling at
once give the same, that it moves in one transaction with its position, and that two workers do not do
the same work. Of who is hidden or erased there is none.
"""

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from behavior.counted import MOVED
from behavior.position import FRESH
from behavior.user_state import KIND_LIST
from recommend.fold import HERE
from recommend.spaces import network
from recommend.spaces.deeds import CHOSEN, ROW, Whole, kinds
from recommend.spaces.histories import Histories
from recommend.spaces.network import Encoder
from recommend.spaces.rows import DIMENSIONS, Placed, copy, read
from recommend.spaces.store import SEQUENCE, drop_left
from recsite import db
from recsite.db import copied, cursor, one_snapshot

MOST: Final = 200_000
"""Those who came last have a vector when a space goes live; others get one when they come again."""

# Everyone of whom the log has said something since, or who is another person now.
MOVED_ON: Final = f"""
WITH moved AS ({MOVED}), everyone AS (
    SELECT CASE WHEN person.subject IS NULL THEN news.subject ELSE person.person END AS person
    FROM ({FRESH}) AS news LEFT JOIN person USING (subject)
    WHERE kind IN ({KIND_LIST}) AND news.subject IS NOT NULL AND item IS NOT NULL
    UNION SELECT before FROM moved UNION SELECT after FROM moved
)
SELECT person FROM everyone LEFT JOIN user_state USING (person) WHERE person IS NOT NULL
ORDER BY ids[1] DESC NULLS FIRST
"""
THOSE: Final = "SELECT unnest(ARRAY[{persons}]::int[]) AS person"
NEWEST: Final = f"SELECT person FROM user_state ORDER BY ids[1] DESC LIMIT {MOST}"
EVERYONE: Final = "SELECT person FROM user_state"

STATES: Final = f"""
SELECT person, item, signal::int, hour_of(id)
FROM ({{persons}}) AS chosen JOIN user_state USING (person),
     unnest(ids, items, signals) WITH ORDINALITY AS recent(id, item, signal, age)
WHERE signal IN ({CHOSEN}) ORDER BY person, age DESC
"""
STANDS: Final = f"SELECT name, snapshot, epoch FROM space WHERE kind = '{SEQUENCE}' AND is_live"
NETWORK: Final = "SELECT network FROM space WHERE name = %s"
FORGET: Final = "DELETE FROM sequence_shopper WHERE person = ANY (:persons)"
FORGET_ALL: Final = "DELETE FROM sequence_shopper"
# During a deploy an older release may erase somebody, which does not know of vectors.
FORGET_GONE: Final = """
DELETE FROM sequence_shopper AS kept
WHERE NOT EXISTS (SELECT FROM user_state WHERE user_state.person = kept.person)
"""
MOVE: Final = """
UPDATE space SET snapshot = :snapshot, epoch = :epoch WHERE name = :name AND is_live
"""


Rows = npt.NDArray[Any]
"""Deeds as deeds.ROW has them, ordered by person and time."""


def alone() -> AbstractContextManager[None]:
    """Let nobody else write shoppers' vectors: one of before an erasure would bring its person back."""
    return db.alone("sequence")


def forget_gone() -> int:
    """Drop the vectors of whoever has no state any more, and all that were never switched in; of
    how many the first."""
    with alone(), one_snapshot() as inside:
        drop_left(inside)
        return inside.execute(text(FORGET_GONE)).rowcount


def follow() -> int:
    """Encode whoever did something since; how many. Ends at once where another process is at it."""
    with db.if_alone("sequence") as is_ours:
        if not is_ours:
            return 0
        with one_snapshot() as inside:
            return _follow(inside)


def _follow(inside: Connection) -> int:
    live = inside.execute(text(STANDS)).one_or_none()
    if live is None or live.snapshot is None:
        return 0
    here = inside.execute(text(HERE)).one()
    if live.epoch != here.epoch:
        # The transactions of another cluster, before a dump was restored, say nothing here.
        inside.execute(text(FORGET_ALL))
        persons = list(inside.scalars(text(NEWEST)))
    else:
        persons = list(inside.scalars(text(MOVED_ON), {"since": live.snapshot}))
    if not persons:
        return 0
    # What is lost with the power is encoded again.
    inside.execute(text("SET LOCAL synchronous_commit = off"))
    inside.execute(text(FORGET), {"persons": persons})
    # Where the others stood they do not stand any more.
    copy("sequence_shopper (person, vector)", _encoded(_encoder(live.name), persons[:MOST]))
    told = {"snapshot": here.snapshot, "epoch": here.epoch, "name": live.name}
    inside.execute(text(MOVE), told)
    return len(persons)


@functools.lru_cache(maxsize=2)
def _encoder(name: str) -> Encoder:
    """Its network; where items lie is in the table, with those that were placed since."""
    with cursor() as hot:
        (said,) = hot.execute(NETWORK, [name]).fetchone() or (b"",)
    return network.of_bytes(bytes(said))


def _encoded(encoder: Encoder, persons: Sequence[int]) -> Placed:
    those = THOSE.format(persons=", ".join(map(str, persons)))
    return _of(encoder, _states(those))


def _of(encoder: Encoder, rows: Rows) -> Placed:
    dealt = rows["item"].astype(np.int64)
    return encode(encoder, read("sequence_item", np.unique(dealt).tolist()), rows)


def newest(encoder: Encoder, items: Placed) -> Placed:
    """Whoever came last, in a space whose items lie there."""
    return encode(encoder, items, _states(NEWEST))


def all_in_front(name: str) -> Placed:
    """Whoever is known in the state that is in front, in the space of that name."""
    return _of(_encoder(name), _states(EVERYONE))


def encode(encoder: Encoder, items: Placed, rows: Rows) -> Placed:
    """Where the persons of these deeds stand, if items lie there; of whom none is known there is none."""
    found, is_known = places(items.keys, rows["item"].astype(np.int64))
    rows, found = rows[is_known], found[is_known]
    if not len(rows):
        return Placed(np.zeros(0, np.int64), np.zeros((0, DIMENSIONS), np.float32))
    persons, begins = np.unique(rows["person"].astype(np.int64), return_index=True)
    ends = np.append(begins[1:], len(rows)).astype(np.int64)
    told = Histories(
        found.astype(np.int32),
        ends,
        kinds(rows["signal"].astype(np.int64)),
        rows["hour"].astype(np.int32),
    )
    return Placed(persons, network.users(replace(encoder, items=items.vectors), told))


def places(keys: Whole, wanted: Whole) -> tuple[Whole, npt.NDArray[np.bool_]]:
    """Where each stands among the keys, and whether it does."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    order = np.argsort(keys, kind="stable")
    found = order[np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)]
    return found, keys[found] == wanted


def _states(persons: str) -> Rows:
    return np.frombuffer(copied(STATES.format(persons=persons)), dtype=ROW)
