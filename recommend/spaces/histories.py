"""Histories: what shoppers did, in flat arrays. Pure, numpy only.

Items are numbers from 0, as the caller counts those that may be learned; times are whole hours,
and what was done within one of them is one moment, whose order need mean nothing (a basket).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

KINDS: Final = 8
"""Kinds of events are numbers below this; what each means is learned."""

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Histories:
    """Shopper n did `items[ends[n - 1]:ends[n]]`, oldest first; `kinds` (0 to 7, the stronger the
    higher) and `hours` (since 1970) have a value an item."""

    items: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int8]
    hours: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        if not len(self.items) == len(self.kinds) == len(self.hours) == self.ends.max(initial=0):
            raise ValueError(
                "Items, kinds and hours must be as many as the last history's end says."
            )
        if np.any(np.diff(self.ends, prepend=0) < 0):
            raise ValueError("A history must not end before it begins.")
        if self.kinds.min(initial=0) < 0 or self.kinds.max(initial=0) >= KINDS:
            raise ValueError(f"A kind must be a number from 0 to {KINDS - 1}.")

    @property
    def starts(self) -> Whole:
        """Where each shopper's history begins."""
        return np.concatenate([np.zeros(1, np.int64), self.ends])[: len(self.ends)]

    @property
    def owners(self) -> Whole:
        """The shopper of each event."""
        return np.repeat(np.arange(len(self.ends)), self.ends - self.starts)


def once_a_run(histories: Histories) -> Histories:
    """An item that a shopper came back to at once stands there once: its last event, as the
    strongest kind of the run. A view, a cart and a purchase of one item say nothing of the next."""
    items, owners = histories.items, histories.owners
    again = np.zeros(len(items), bool)
    again[1:] = (items[1:] == items[:-1]) & (owners[1:] == owners[:-1])
    firsts = np.flatnonzero(~again)
    if not len(firsts):
        return histories
    lasts = np.append(firsts[1:], len(items)) - 1
    ends = np.searchsorted(owners[lasts], np.arange(len(histories.ends)), side="right")
    kinds = np.maximum.reduceat(histories.kinds, firsts)
    return Histories(items[lasts], ends.astype(np.int64), kinds, histories.hours[lasts])
