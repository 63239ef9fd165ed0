"""The vocabulary: what can happen in a shop.

Pure. It knows the kinds of events, with the numbers that the log stores, and the shape of a
fact. It never reads a record from outside: that is behavior.envelope.
"""

import enum
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple


class Kind(enum.IntEnum):
    """Event kinds with the numbers the log stores; a number is never reused."""

    VIEW_ITEM = 1
    VIEW_ITEM_LIST = 2
    SELECT_ITEM = 3
    ADD_TO_CART = 4
    REMOVE_FROM_CART = 5
    VIEW_CART = 6
    BEGIN_CHECKOUT = 7
    PURCHASE = 8
    REFUND = 9
    ADD_TO_WISHLIST = 10
    REMOVE_FROM_WISHLIST = 11
    SEARCH = 12
    RATE = 13
    DISMISS = 14
    SHARE = 15
    FOLLOW = 16
    IDENTIFY = 17
    ITEM_CHANGED = 20
    ITEM_REMOVED = 21
    RULE_CHANGED = 22
    SUBJECT_QUARANTINED = 23

    @property
    def label(self) -> str:
        """The name shops send: GA4's, in lower case."""
        return self.name.lower()


MERCHANT: Final = frozenset(
    {Kind.ITEM_CHANGED, Kind.ITEM_REMOVED, Kind.RULE_CHANGED, Kind.SUBJECT_QUARANTINED}
)
"""Facts that only the house itself writes; a shop cannot post them."""

WITHOUT_ITEM: Final = frozenset({Kind.SEARCH, Kind.VIEW_CART, Kind.BEGIN_CHECKOUT, Kind.IDENTIFY})
"""Kinds that make sense with no item at all."""

BY_NAME: Final = {kind.label: kind for kind in Kind if kind not in MERCHANT}


class Line(NamedTuple):
    """One item of an event. `price` is the unit price in the event's currency; `place` is
    where the item stood in its list, which the log keeps as the row's detail `index`."""

    item: str | None
    quantity: int | None = None
    price: Decimal | None = None
    place: int | None = None


class Event(NamedTuple):
    """A fact, as it goes into the log. (A tuple: an import makes a million of them.)

    `subject` is "user:ID" or "anonymous:ID"; None for a merchant's fact. `key` makes a
    repeated delivery a no-op, whatever time it gives; without one the event is new each time.
    `keyed` is False where the key was made of what the event says (see by_content).
    """

    kind: Kind
    occurred_at: datetime
    subject: str | None
    lines: tuple[Line, ...]
    key: str | None = None
    slate: uuid.UUID | None = None
    detail: dict[str, Any] | None = None
    keyed: bool = True


# ── signals ────────────────────────────────────────────────────────────────────────────────

HALF_STARS: Final = 10
SIGNALS: Final = 32 * HALF_STARS + 32
"""Where a kind is stored with its strength it is a signal: the kind, and for `rate` 32 times
the half stars on top (SQL's function `signal`). Weights are looked up by signal."""


def by_signal(weights: Mapping[Kind, float]) -> list[float]:
    """The weights of kinds as an array in the order of signals, 1 to SIGNALS.

    A rating of five stars weighs its kind's weight, of none its negative, half of it nothing; between
    them it is steep about the middle, for that somebody chose a thing says more than how many stars
    it got. (In proportion to the stars, three weighed a fifth of five: in a shop of ratings
    neighbours alone had NDCG@10 .071 in place of .078, what is popular .037 in place of .041.)
    """
    found = [0.0] * SIGNALS
    for kind, weight in weights.items():
        found[kind - 1] = float(weight)
    for half in range(HALF_STARS + 1):
        share = math.cbrt((2 * half - HALF_STARS) / HALF_STARS)
        found[Kind.RATE + 32 * half - 1] = weights.get(Kind.RATE, 0.0) * share
    return found


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a record did not become an event."""

    code: str
    message: str


def subject_key(user: str | None, anonymous: str | None) -> str:
    """How the log names a shopper; a known id wins over an anonymous one."""
    return f"user:{user}" if user is not None else f"anonymous:{anonymous}"


def by_content(event: Event) -> Event:
    """The event with a key made of what it says: for files without an `event_id` column.

    Two identical lines are the same fact, so importing a file twice changes nothing.
    """
    if event.key is not None:
        return event
    detail = event.detail or {}
    lines = "\x1e".join(
        f"{item}\x1f{quantity}\x1f{price}" for item, quantity, price, _ in event.lines
    )
    said = f"{event.kind:d}\x1f{event.subject}\x1f{detail.get('order_id')}\x1f{detail.get('query')}"
    if event.kind is Kind.IDENTIFY:
        said += f"\x1f{detail['person']}\x1f{detail.get('undo')}"
    return Event(event.kind, event.occurred_at, event.subject, event.lines,
                 f"content:{said}\x1f{lines}", event.slate, event.detail, keyed=False)  # fmt: skip
