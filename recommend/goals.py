"""Goals: what a list is for, and so what it is judged by and learns from.

A shop that sells has purchases; one that has none yet has what is on the way to one; a magazine,
or a site for ratings, has only what people looked at and liked. The first that the log has enough
of is the goal.
"""

from collections.abc import Mapping
from typing import Final

from behavior.events import Kind, by_signal

Goal = tuple[Kind, ...]
"""Deeds of which any will do."""

PURCHASE: Final[Goal] = (Kind.PURCHASE,)
INTENT: Final[Goal] = (*PURCHASE, Kind.ADD_TO_CART, Kind.ADD_TO_WISHLIST)
DEED: Final[Goal] = (*INTENT, Kind.VIEW_ITEM, Kind.SELECT_ITEM, Kind.RATE, Kind.SHARE, Kind.FOLLOW)

GOALS: Final[Mapping[str, Goal]] = {
    "purchase": PURCHASE,
    "cart": INTENT,
    "event": DEED,
}
"""By name, the one that says most of a list first; each also counts what those before it count."""


CHOSEN: Final = f"""
kinds & {sum(1 << kind for kind in DEED)} <> 0 AND kinds & {1 << Kind.DISMISS} = 0
"""
"""Of a row of user_item: whether the shopper chose the item in any way, and did not dismiss it."""


def strengths(goal: Goal) -> list[float]:
    """Above 0 for each signal that reaches the goal, in the order of signals: a rating only where
    it is above the middle."""
    return by_signal(dict.fromkeys(goal, 1.0))
