"""Deeds: what shoppers did lately, person by person and in its order, as arrays.

Read from the log that is in front, so that a split teaches nothing of later. It promises numbers
without an object a row, at most MOST deeds, and that items which hardly anybody chose are left out.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from behavior.events import Kind
from recommend.goals import DEED, strengths
from recommend.spaces.histories import Histories
from recsite.db import copied

MOST: Final = 1_000_000
"""The newest deeds that are read."""

ITEMS: Final = 100_000
"""The best known ones are learned; it bounds what a large shop costs."""

LEAST_KNOWN: Final = 2
"""Shoppers who dealt with an item: what one alone did is theirs."""

# A rating below the middle is no choice.
CHOSEN: Final = ", ".join(str(n) for n, strength in enumerate(strengths(DEED), 1) if strength > 0)

NEWEST: Final = f"""
SELECT person, item, signal::int, hour_of(id) FROM (
    SELECT id, CASE WHEN person.subject IS NULL THEN event.subject ELSE person.person END AS person,
           item, signal(kind, detail) AS signal
    FROM event LEFT JOIN person USING (subject)
    WHERE kind IN ({", ".join(str(kind.value) for kind in DEED)})
      AND event.subject IS NOT NULL AND item IS NOT NULL
    ORDER BY id DESC LIMIT {MOST}) AS deed
WHERE person IS NOT NULL AND signal IN ({CHOSEN})
ORDER BY person, id
"""
ROW: Final = np.dtype([
    ("fields", ">i2"), ("a", ">i4"), ("person", ">i4"), ("b", ">i4"), ("item", ">i4"),
    ("c", ">i4"), ("signal", ">i4"), ("d", ">i4"), ("hour", ">i4"),
])  # fmt: skip

KINDS: Final = {
    Kind.VIEW_ITEM: 1, Kind.SELECT_ITEM: 1, Kind.SHARE: 2, Kind.FOLLOW: 2, Kind.RATE: 3,
    Kind.ADD_TO_WISHLIST: 4, Kind.ADD_TO_CART: 5, Kind.PURCHASE: 6,
}  # fmt: skip
"""As the encoder tells them apart, the stronger the higher."""

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Deeds:
    """What shoppers did, ordered by person and then by time: (deeds) each. `items` are places in
    `known`, the interned ids of the items that are learned, best known first."""

    persons: Whole
    items: Whole
    signals: Whole
    hours: Whole
    known: Whole

    def __len__(self) -> int:
        return len(self.items)


def read() -> Deeds:
    """The newest deeds of the log that is in front."""
    rows = np.frombuffer(copied(NEWEST), dtype=ROW)
    persons, items, signals, hours = (
        rows[name].astype(np.int64) for name in ("person", "item", "signal", "hour")
    )
    known = _known(persons, items)
    places = np.full(int(items.max(initial=0)) + 1, -1)
    places[known] = np.arange(len(known))
    kept = places[items] >= 0
    return Deeds(persons[kept], places[items][kept], signals[kept], hours[kept], known)


def kinds(signals: Whole) -> npt.NDArray[np.int8]:
    """Each signal's kind as the encoder tells them apart; stars are one kind."""
    by_kind = np.zeros(32, np.int8)
    by_kind[[int(kind) for kind in KINDS]] = list(KINDS.values())
    said: npt.NDArray[np.int8] = by_kind[signals % 32]
    return said


def are_baskets(deeds: Deeds) -> bool:
    """Whether most deeds are purchases beside another one of their hour: their order means nothing."""
    moments = deeds.persons * 10_000_000 + deeds.hours
    beside = np.zeros(len(deeds) + 1, bool)
    beside[1:-1] = moments[1:] == moments[:-1]
    bought = deeds.signals == Kind.PURCHASE
    return bool(len(deeds) and (bought & (beside[1:] | beside[:-1])).mean() > 0.5)


def in_order(deeds: Deeds) -> Histories:
    """Person by person, for the encoder."""
    ends = np.flatnonzero(np.diff(deeds.persons, append=-1)) + 1
    return Histories(
        deeds.items.astype(np.int32), ends, kinds(deeds.signals), deeds.hours.astype(np.int32)
    )


def _known(persons: Whole, items: Whole) -> Whole:
    """Items that enough shoppers chose, the best known first, of equals the lower number."""
    choices = (
        np.unique(np.stack([items, persons], axis=1), axis=0)
        if len(items)
        else np.zeros((0, 2), int)
    )
    found, shoppers = np.unique(choices[:, 0], return_counts=True)
    found, shoppers = found[shoppers >= LEAST_KNOWN], shoppers[shoppers >= LEAST_KNOWN]
    best: Whole = found[np.lexsort((found, -shoppers))][:ITEMS]
    return best
