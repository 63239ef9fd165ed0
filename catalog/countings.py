"""How projections count: what each kind of event weighs in each of them.

It knows what ships and what the merchant set instead. `double_click` is in seconds: the same
shopper's same click on the same item again within that time counts once; 0 counts all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from behavior.events import BY_NAME, Kind
from recsite.db import cursor


@dataclass(frozen=True, slots=True)
class Counting:
    """What a projection is told: weights by kind (absent: 0), and seconds of a double click."""

    weights: Mapping[Kind, float]
    double_click: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """As it is stored beside what was folded with it."""
        weights = {kind.label: weight for kind, weight in sorted(self.weights.items()) if weight}
        return {"weights": weights, "double_click": self.double_click}


def of_json(said: Mapping[str, Any]) -> Counting:
    """The opposite of as_json; kinds that no longer exist are left out."""
    weights = {BY_NAME[k]: float(w) for k, w in said.get("weights", {}).items() if k in BY_NAME}
    return Counting(weights, float(said.get("double_click", 0.0)))


SHIPPED: Final[dict[str, Counting]] = {
    "popularity": Counting({
        Kind.VIEW_ITEM: 1, Kind.SELECT_ITEM: 1, Kind.ADD_TO_CART: 3, Kind.REMOVE_FROM_CART: -3,
        Kind.PURCHASE: 6, Kind.REFUND: -6, Kind.ADD_TO_WISHLIST: 3, Kind.REMOVE_FROM_WISHLIST: -3,
        Kind.RATE: 3, Kind.DISMISS: -1, Kind.SHARE: 2, Kind.FOLLOW: 2,
    }),
    "covisit": Counting({
        Kind.VIEW_ITEM: 1.0, Kind.SELECT_ITEM: 1.0, Kind.ADD_TO_CART: 0.5, Kind.PURCHASE: 0.5,
        Kind.ADD_TO_WISHLIST: 0.5, Kind.RATE: 1.0, Kind.SHARE: 1.0, Kind.FOLLOW: 1.0,
    }),
}  # fmt: skip
"""By projection; a rating of five stars weighs its kind's weight, of none its negative."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Which kinds a projection weighs at all, and the least weight that makes sense there."""

    kinds: tuple[Kind, ...]
    least: float


MOST: Final = 100.0
LIGHTEST: Final = 0.001
"""Of what weighs anything: sums are integers of 2^-16, and of less than that nothing would be left."""

SCALES: Final = {
    "popularity": Scale(
        tuple(k for k in BY_NAME.values() if k not in (Kind.SEARCH, Kind.IDENTIFY)), -MOST
    ),
    # What takes back undoes a pair rather than weighing against it.
    "covisit": Scale(tuple(SHIPPED["covisit"].weights), 0.0),
}

UNTOLD: Final = Counting({})
"""For a projection that counts nothing by weight."""

WANTED: Final = (
    "SELECT weights::text, double_click FROM catalog_signalweights WHERE projection = %s"
)


def wanted(projection: str) -> Counting:
    """What the projection is told now: the merchant's weights, or those that ship."""
    with cursor() as hot:
        row = hot.execute(WANTED, [projection]).fetchone()
    if row is None:
        return SHIPPED.get(projection, UNTOLD)
    return of_json({"weights": orjson.loads(row[0]), "double_click": row[1]})
