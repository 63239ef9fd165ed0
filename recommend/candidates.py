"""Candidates: one statement asks every source, fuses, and drops what may not be shown.

It promises at most `pool` items, each with what every source said of it, all on sale right
now: stock, availability and price are read from the live catalogue row. What is removed here, and nowhere
else, is what is not on sale, seen, dismissed, outside the category asked for, or on the page already.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from behavior.events import Kind, by_signal
from recommend.gathering import (
    COLUMNS,
    EXPLORING,
    GATHER_GIVEN,
    GATHER_PERSONAL,
    GATHER_RANKED,
    LONG,
    PINNED,
    SCORE,
    SPOKE,
)
from recommend.ranker import features
from recsite.db import ask, cursor

SEED_WEIGHTS: Final = {
    Kind.VIEW_ITEM: 1.0, Kind.SELECT_ITEM: 1.0, Kind.ADD_TO_CART: 3.0, Kind.PURCHASE: 3.0,
    Kind.ADD_TO_WISHLIST: 3.0, Kind.RATE: 1.0, Kind.SHARE: 1.0, Kind.FOLLOW: 1.0,
    Kind.REMOVE_FROM_CART: -3.0, Kind.REFUND: -3.0, Kind.REMOVE_FROM_WISHLIST: -3.0,
    Kind.DISMISS: -1_000.0,
}  # fmt: skip
"""What takes back weighs as much as the deed, less; what is dismissed seeds nothing."""

# As Postgres writes an array: written anew these 352 numbers cost a tenth of a millisecond a list.
_STRENGTHS: Final = "{" + ",".join(map(str, by_signal(SEED_WEIGHTS))) + "}"


@dataclass(frozen=True, slots=True)
class Part:
    """What one source said of a candidate: its share of the score, and the item behind it."""

    source: int
    share: float
    because: int | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that may be shown. `score` is the fused sum of its parts' shares; `fame` how popular it
    is in the whole shop (projections.popularity), where that was asked and is known; `said` a digest of
    its text."""

    item: int
    item_id: str
    score: float
    parts: tuple[Part, ...]
    lineage: tuple[int, ...]
    brand: str
    said: int | None
    attributes: Mapping[str, Any]
    seller: str = ""
    fame: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the sources are asked. `seeds` None: the shopper's own history.

    `weights` are in the order of sources; `seen` is a bit mask of event kinds; `category`
    is popularity.EVERYTHING for the whole shop; `attributes` are read only where a rule asks, and
    `fame` where it matters. With a `ranker` and `now` each candidate is described to it. With
    `listed`, the length of the list, what few have been shown is found beside the candidates.
    """

    shopper: str | None
    seeds: Sequence[int] | None
    weights: Sequence[float]
    category: int
    seen: int
    pool: int
    attributes: bool = False
    ranker: str | None = None
    now: datetime | None = None
    fame: bool = False
    listed: int | None = None


Order = Callable[[features.Matrix], npt.NDArray[np.intp]]
"""Rows of the matrix, the best first."""

RANKED: Final = 100
"""Candidates that are put in order by a ranker. Of 300 the best ten are hardly other ones
(measured: NDCG@10 0.385 against 0.382), and describing them takes twice the statement. Each source
proposes half as many: where eleven take turns the rest hardly come to theirs (of a wholesaler's lists
a ranker makes .290 so and .289 with all), and a tenth of the statement is saved."""


class Gathered(NamedTuple):
    """The best candidates, best first, equal scores in the order of interned ids; where the
    statement stood that found them; what the ranker is told, a row a candidate; and the newest
    items, of which no source spoke."""

    candidates: list[Candidate]
    standing: dict[str, Any]
    told: features.Matrix | None = None
    newest: Sequence[Candidate] = ()


def gather(wanted: Wanted, order: Order | None = None) -> Gathered:
    """Ask every source at once.

    With an `order` that many more are asked for, and of the candidates in that order the first
    `wanted.pool` come back. Their scores are those of the blend, handed out anew from the highest
    down: so a merchant's factors, and the weight of diversity, mean the same in any order.
    """
    *every, standing = ask(_statement(wanted), _parameters(wanted))
    rows = [row for row in every if row[SPOKE]]
    newest = [_candidate(row, row[SCORE]) for row in every if not row[SPOKE]]
    told = _told(wanted, rows)
    scores = [row[SCORE] for row in rows]
    if order is not None and told is not None:
        rows = [rows[n] for n in order(told)[: wanted.pool]]
    found = [_candidate(row, score) for row, score in zip(rows, scores, strict=False)]
    return Gathered(found, orjson.loads(standing[COLUMNS - 1]), told, newest)


def _statement(wanted: Wanted) -> str:
    personal = GATHER_PERSONAL if wanted.ranker is None else GATHER_RANKED
    statement = personal if wanted.seeds is None else GATHER_GIVEN
    return statement if wanted.listed is None else EXPLORING[statement]


def _told(wanted: Wanted, rows: Sequence[tuple[Any, ...]]) -> features.Matrix | None:
    """Shares as the sources gave them, whatever weights the merchant gives the sources."""
    if wanted.ranker is None or wanted.now is None:
        return None
    shares = np.zeros((len(rows), len(wanted.weights)))
    places = [place for place, row in enumerate(rows) for _ in row[3]]
    sources = np.array([source - 1 for row in rows for source in row[3]], dtype=np.intp)
    shares[places, sources] = [share for row in rows for share in row[4]]
    shares /= np.maximum(wanted.weights, 1e-9)
    return features.matrix(shares, [row[COLUMNS] for row in rows], _hour(wanted.now))


def _hour(now: datetime) -> int:
    return int(now.timestamp() // 3600)


def pinned(items: Sequence[int], wanted: Wanted) -> dict[int, Candidate]:
    """Those of the items that may be shown in this list. A pin outweighs `seen`."""
    given = {"pins": list(items), "left_out": list(wanted.seeds or ()), "category": wanted.category}
    with cursor() as hot:
        hot.execute(PINNED, given, prepare=True)
        return {row[0]: _candidate(row, row[SCORE]) for row in hot.fetchall()}


def _parameters(wanted: Wanted) -> dict[str, Any]:
    pool = wanted.pool if wanted.ranker is None else max(wanted.pool, RANKED)
    return {
        "shopper": wanted.shopper,
        "strengths": _STRENGTHS,
        "seeds": list(wanted.seeds or ()),
        "left_out": list(wanted.seeds or ()),
        "weights": [float(weight) for weight in wanted.weights],
        "category": wanted.category,
        "seen": wanted.seen,
        "pool": pool,
        "each": pool // 2 if wanted.ranker is not None and pool <= LONG else pool,
        "attributes": wanted.attributes,
        "ranker": wanted.ranker,
        "hour": _hour(wanted.now) if wanted.now else None,
        "fame": wanted.fame,
        "listed": wanted.listed,
    }


def _candidate(row: tuple[Any, ...], score: float) -> Candidate:
    (item, item_id, _, sources, shares, becauses, lineage, brand, seller, fame, said,
     attributes) = row[:COLUMNS]  # fmt: skip
    parts = sorted(map(Part, sources, shares, becauses), key=lambda p: (-p.share, p.source))
    # Django's connection hands JSONB over as text.
    known = orjson.loads(attributes) if attributes else {}
    return Candidate(
        item,
        item_id,
        score,
        tuple(parts),
        tuple(lineage or ()),
        brand,
        said,
        known,
        seller,
        fame,
    )
