"""An invented shop: a history of any length out of a seed.

Shoppers, shelves and the items of a shelf follow power laws; shoppers come in sessions of
about six events over 24 months, and one event in a hundred takes something back. It promises
the same rows for the same seed and size, in order of time, without a loop over events.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SPAN: Final = timedelta(days=730)
CHUNK: Final = 1_000_000
"""Rows of one table."""

A_SESSION: Final = 6
A_SHOPPER: Final = 40
AN_ITEM: Final = 200
"""Events of each, on average."""

SHELF: Final = 64
"""Items that lie together: a session stays at one shelf."""

KINDS: Final = {
    "view_item": 0.78, "select_item": 0.05, "add_to_cart": 0.09, "purchase": 0.05,
    "add_to_wishlist": 0.02, "remove_from_cart": 0.006, "refund": 0.004,
}  # fmt: skip
PURCHASE, TAKES_BACK = 3, 5
"""Places in KINDS: what has an order, and from where on an event is about the item before it."""

GAP: Final = 45.0
"""Seconds between a session's events, on average."""

Numbers = Any
"""One number an event (numpy's stubs make every operation on them a type of its own)."""


@dataclass(frozen=True, slots=True)
class Invention:
    """What is made. The shoppers h0, h1, … (`heavy` of them) have `heavy_events` each; all names
    begin with `street`, so that two shops can stand side by side in one log."""

    events: int
    seed: int
    until: datetime
    heavy: int = 0
    heavy_events: int = 1_000
    street: str = ""

    @property
    def shoppers(self) -> int:
        return max(self.events // A_SHOPPER, 1)

    @property
    def shelves(self) -> int:
        return max(self.events // AN_ITEM // SHELF, 2)

    def users(self) -> list[str]:
        """Every user_id that can occur."""
        names = [f"s{n}" for n in range(self.shoppers)] + [f"h{n}" for n in range(self.heavy)]
        return [self.street + name for name in names]

    def items(self) -> list[str]:
        """Every item_id that can occur."""
        return [f"{self.street}i{n}" for n in range(self.shelves * SHELF)]


def tables(*wanted: Invention) -> Iterator[pa.Table]:
    """The histories, which end at the same time, as one: in the columns of an events file, oldest
    first, a million rows at a time."""
    columns = _as_one(wanted, [_columns(each) for each in wanted])
    users, items = (pa.array([name for each in wanted for name in names(each)])
                    for names in (Invention.users, Invention.items))  # fmt: skip
    for first in range(0, len(columns["at"]), CHUNK):
        rows = {name: each[first : first + CHUNK] for name, each in columns.items()}
        yield _table(rows, users, items, wanted[0].until - SPAN)


def _as_one(wanted: Sequence[Invention], parts: Sequence[dict[str, Numbers]]) -> dict[str, Numbers]:
    """In order of time; the numbers of each shop's names follow those of the shop before."""
    before = {"user": 0, "item": 0, "order": 0}
    for each, part in zip(wanted, parts, strict=True):
        sizes = {"user": len(each.users()), "item": len(each.items()), "order": each.events}
        for name, size in sizes.items():
            part[name] = part[name] + before[name]
            before[name] += size
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    by_time = np.argsort(columns["at"], kind="stable")
    return {name: column[by_time] for name, column in columns.items()}


def _columns(wanted: Invention) -> dict[str, Numbers]:
    """All events as numbers; `at` is in seconds since the history began."""
    draw = np.random.default_rng(wanted.seed)
    count = wanted.events
    lengths = draw.geometric(1 / A_SESSION, size=2 * count // A_SESSION + 100)
    session = np.repeat(np.arange(len(lengths)), lengths)[:count]
    sessions = int(session[-1]) + 1
    kind = draw.choice(len(KINDS), size=count, p=np.array(list(KINDS.values())))
    shelf = _power(draw, wanted.shelves, sessions, 0.8)[session]
    item = _taken_back(kind, shelf * SHELF + _power(draw, SHELF, count, 1.0), session)
    shopper = _power(draw, wanted.shoppers, sessions, 0.6)[session]
    return {
        "kind": kind,
        "at": _times(draw, session, sessions),
        "user": _with_heavy(draw, wanted, shopper),
        "item": item,
        "order": session,
    }


def _power(draw: np.random.Generator, count: int, size: int, power: float) -> Numbers:
    """`size` numbers under `count`, the n-th as often as n ** -power."""
    weights = np.cumsum(np.arange(1, count + 1, dtype=float) ** -power)
    return np.searchsorted(weights, draw.uniform(0, weights[-1], size=size))


def _times(draw: np.random.Generator, session: Numbers, sessions: int) -> Numbers:
    came = draw.uniform(0, SPAN.total_seconds() - 86_400, size=sessions)
    gone = np.cumsum(draw.exponential(GAP, size=len(session)))
    first = np.searchsorted(session, np.arange(sessions))
    return came[session] + gone - gone[first][session]


def _taken_back(kind: Numbers, item: Numbers, session: Numbers) -> Numbers:
    """What is taken back is the item of the event before, where the session has one."""
    before, same = np.roll(item, 1), np.roll(session, 1) == session
    return np.where((kind >= TAKES_BACK) & same, before, item)


def _with_heavy(draw: np.random.Generator, wanted: Invention, shopper: Numbers) -> Numbers:
    """Events from all over the history go to the heavy shoppers, who come after the others."""
    taken = draw.choice(len(shopper), size=wanted.heavy * wanted.heavy_events, replace=False)
    shopper[taken] = wanted.shoppers + np.arange(len(taken)) // wanted.heavy_events
    return shopper


def _table(
    columns: dict[str, Numbers], users: pa.Array, items: pa.Array, began: datetime
) -> pa.Table:
    at = np.datetime64(began.replace(tzinfo=None), "us") + (columns["at"] * 1e6).astype(
        "timedelta64[us]"
    )
    ordered = pa.array(columns["kind"] == PURCHASE)
    price = pc.divide(pa.array(columns["item"] * 37 % 9_900 + 100), pa.scalar(100.0))
    return pa.table(
        {
            "event": pa.array(list(KINDS)).take(pa.array(columns["kind"])),
            "occurred_at": pa.array(at).cast(pa.timestamp("us", "UTC")),
            "user_id": users.take(pa.array(columns["user"])),
            "item_id": items.take(pa.array(columns["item"])),
            "quantity": pc.if_else(ordered, pa.array(columns["order"] % 3 + 1), None),
            "price": pc.if_else(ordered, price, None),
            "order_id": pc.if_else(ordered, pc.cast(pa.array(columns["order"]), "string"), None),
        }
    )
