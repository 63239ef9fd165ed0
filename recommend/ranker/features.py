"""Features: what the ranker is told of a candidate, as a matrix.

SQL brings what it knows of each candidate as an array, in the order of RAW; `matrix` makes of
it numbers of like size: logarithms of counts, ages against now, and each relative to the best
of the list, for a shopper with two orders and one with two hundred.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from behavior.events import Kind
from recommend.projections.popularity import EVERYTHING, UNIT
from recommend.sources import NAMES

NEVER: Final = 3_650
"""Days since somebody of whom nothing is known was here."""

HALF_LIVES: Final = (30, 90, 365)
"""Days, of the decayed counts of a shopper's own purchases."""

RAW: Final = (
    "viewed_before", "carted", "wished", "touched", "times", *(f"decayed_{days}" for days in HALF_LIVES),
    "first", "last", "came", "dealings", "score", "trend", "seen", "bought", "buyers", "rebuyers", "gap",
    "price",
)  # fmt: skip
"""Hours since 1970 where it says touched, first, last, came; days where it says gap. `came` and
`dealings`, when the shopper last did anything and with how many items, are the same for all
candidates (a wholesaler's lists of new items: NDCG@10 .130 without them, .135 with both)."""

_DECAYED: Final = ", ".join(
    f"sum(power(2::float8, greatest((hour - %(hour)s) / {days * 24.0}::float8, -500)))"
    for days in HALF_LIVES
)

# To be joined to relations `best` (item) of candidates and `dealt`, the shopper's rows of user_item:
# look-ups by key, one or two each. OFFSET 0 keeps the last of them one: joined, the planner would read
# all habits of the ranker.
COLUMNS: Final = f"""ARRAY[
    (kinds >> {Kind.VIEW_ITEM.value}) & 1, (kinds >> {Kind.ADD_TO_CART.value}) & 1,
    (kinds >> {Kind.ADD_TO_WISHLIST.value}) & 1, hour_of(own.last), habit.times,
    {", ".join(f"habit.decayed_{days}" for days in HALF_LIVES)}, habit.oldest, habit.newest,
    (SELECT max(hour_of(last)) FROM dealt), (SELECT count(*) FROM dealt),
    popularity.score / {UNIT}.0, popularity.trend / {UNIT}.0,
    item_count.seen / {UNIT}.0, item_count.bought / {UNIT}.0,
    item_habit.buyers, item_habit.rebuyers, item_habit.gap, price]::float8[]"""
JOINS: Final = f"""
LEFT JOIN dealt AS own ON own.item = best.item
LEFT JOIN LATERAL (
    SELECT count(DISTINCT hour), {_DECAYED}, min(hour), max(hour)
    FROM unnest(CASE WHEN 0 > ANY (own.bought) THEN kept(own.bought) ELSE own.bought END) AS hour
    WHERE own.bought IS NOT NULL
) AS habit(times, {", ".join(f"decayed_{days}" for days in HALF_LIVES)}, oldest, newest) ON true
LEFT JOIN popularity ON popularity.category = {EVERYTHING} AND popularity.item = best.item
LEFT JOIN item_count ON item_count.item = best.item
LEFT JOIN LATERAL (
    SELECT buyers, rebuyers, gap FROM item_habit AS known
    WHERE known.ranker = %(ranker)s AND known.item = best.item OFFSET 0
) AS item_habit ON true
"""

Matrix = npt.NDArray[np.float32]
Shares = npt.NDArray[np.float64]
"""(candidates, sources): what each source said, before its weight."""

# Numbers mean what the code that made them says: a network is asked only by that same code, and
# of the same sources.
_SAID: Final = Path(__file__).read_bytes() + " ".join((*NAMES, COLUMNS, JOINS)).encode()
NAME: Final = hashlib.blake2b(_SAID, digest_size=6).hexdigest()
"""A digest of this module, of what SQL brings, and of the sources."""

_AT: Final = {name: place for place, name in enumerate(RAW)}


def matrix(shares: Shares, raw: Sequence[Sequence[float | None]], hour: int) -> Matrix:
    """(candidates, features) of one list. `shares` has a row a candidate and a column a source."""
    told = np.array(raw, dtype=np.float64).reshape(len(raw), len(RAW))
    columns = [
        *shares.T,
        *_ranks(shares),
        _of_list(shares.sum(axis=1)),
        *_own(told, hour),
        *_in_order(_item(told, hour)),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def silenced(told: Matrix, silent: Sequence[int]) -> tuple[Matrix, npt.NDArray[np.bool_]]:
    """What would have been told, had these sources said nothing, by their place in NAMES; and of which
    candidates: what nobody else proposed is none."""
    sources = len(NAMES)
    others = np.delete(told[:, :sources], list(silent), axis=1)
    is_heard: npt.NDArray[np.bool_] = np.any(others > 0, axis=1)
    kept = told[is_heard]
    kept[:, [*silent, *(sources + place for place in silent)]] = 0
    total = kept[:, :sources].astype(np.float64).sum(axis=1)
    kept[:, 2 * sources] = _of_list(total)
    for place, of in _OF_LIST.items():
        kept[:, place] = _of_list(kept[:, of].astype(np.float64))
    return kept, is_heard


OF_ITEM: Final = (
    "score", "trend", "score_of_list", "trend_of_list", "seen", "bought", "bought_of_seen", "buyers",
    "rebuyers", "gap", "has_gap", "price", "price_of_list",
)  # fmt: skip
"""The matrix' last columns: what all shoppers did with each."""

_LAST: Final = {name: place - len(OF_ITEM) for place, name in enumerate(OF_ITEM)}
_OF_LIST: Final = {_LAST[f"{name}_of_list"]: _LAST[name] for name in ("score", "trend", "price")}
"""Where the matrix says how these stand in the list, and where it says them."""


def _ranks(shares: Shares) -> list[npt.NDArray[np.float64]]:
    """Of how many candidates each source says more, as a logarithm: a share tells how much better the
    source's best is, a rank how many are."""
    return [
        np.log1p(len(said) - np.searchsorted(np.sort(said), said, side="right"))
        for said in shares.T
    ]


def _own(told: npt.NDArray[np.float64], hour: int) -> list[npt.NDArray[np.float64]]:
    """The shopper's own dealings with each."""
    times = np.nan_to_num(_column(told, "times"))
    decayed = [np.nan_to_num(_column(told, f"decayed_{days}")) for days in HALF_LIVES]
    age = _days_ago(told, "last", hour)
    gap = (_column(told, "last") - _column(told, "first")) / 24 / np.maximum(times - 1, 1)
    usual = _column(told, "gap")
    touched, away = (_days_ago(told, name, hour) for name in ("touched", "came"))
    n = len(told)
    return [
        *(np.nan_to_num(_column(told, name)) for name in ("viewed_before", "carted", "wished")),
        np.log1p(times), *(np.log1p(d) for d in decayed),
        _of_best(times), *(_of_best(d) for d in decayed),
        _fresh(age), _fresh(touched), (times == 1) * 1.0, (times == 0) * 1.0,
        np.log1p(np.where(times > 1, gap, 0)),
        _due(age, np.where(times > 1, gap, np.nan)), _due(age, np.where(usual > 0, usual, np.nan)),
        np.full(n, np.log1p(times.max(initial=0))), np.full(n, np.log1p((times > 0).sum())),
        np.full(n, _fresh(np.array([np.nanmin(age) if np.isfinite(age).any() else np.nan]))[0]),
        np.log1p(24 * np.nan_to_num(away, nan=NEVER)), np.log1p(np.nan_to_num(_column(told, "dealings"))),
    ]  # fmt: skip


def _in_order(columns: Mapping[str, npt.NDArray[np.float64]]) -> list[npt.NDArray[np.float64]]:
    return [columns[name] for name in OF_ITEM]


def _item(told: npt.NDArray[np.float64], hour: int) -> dict[str, npt.NDArray[np.float64]]:
    """What all shoppers did with each, by OF_ITEM."""
    buyers, rebuyers = (np.nan_to_num(_column(told, name)) for name in ("buyers", "rebuyers"))
    usual = np.nan_to_num(_column(told, "gap"))
    score = np.nan_to_num(_column(told, "score") - hour / 24 / 30, nan=-20, neginf=-20)
    told_trend = np.nan_to_num(_column(told, "trend") - hour / 24 / 3, nan=-40, neginf=-40)
    trend = np.maximum(told_trend, -40)
    seen, bought = (_counted(told, name) for name in ("seen", "bought"))
    price = np.log1p(np.nan_to_num(_column(told, "price")))
    return {
        "score": score, "trend": trend, "seen": seen, "bought": bought, "bought_of_seen": bought - seen,
        "buyers": np.log1p(buyers), "rebuyers": (rebuyers + 0.25) / (buyers + 5),
        "gap": np.log1p(usual), "has_gap": (usual > 0) * 1.0, "price": price,
        "score_of_list": _of_list(score), "trend_of_list": _of_list(trend),
        "price_of_list": _of_list(price),
    }  # fmt: skip


def _column(told: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.float64]:
    column: npt.NDArray[np.float64] = told[:, _AT[name]]
    return column


def _counted(told: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.float64]:
    """The logarithm of a sum; more may have been taken back than is known to have been done."""
    counted: npt.NDArray[np.float64] = np.log1p(np.maximum(np.nan_to_num(_column(told, name)), 0))
    return counted


def _days_ago(told: npt.NDArray[np.float64], name: str, hour: int) -> npt.NDArray[np.float64]:
    return np.maximum(hour - _column(told, name), 0) / 24


def _fresh(days: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """1 today, 0 never; half after a week."""
    fresh: npt.NDArray[np.float64] = np.nan_to_num(7 / (7 + days))
    return fresh


def _due(age: npt.NDArray[np.float64], gap: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The time since, in usual gaps, as a logarithm; 0 where there is no gap."""
    due: npt.NDArray[np.float64] = np.nan_to_num(np.log2((age + 1) / (np.maximum(gap, 0) + 1)))
    return due


def _of_best(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return values / max(float(values.max(initial=0)), 1e-9)


def _of_list(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Where each stands in the list: deviations from its mean."""
    spread = float(values.std()) if len(values) else 0.0
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros_like(values)
