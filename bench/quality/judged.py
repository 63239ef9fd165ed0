"""Judged: lists against what each shopper did next, by the project's own metrics.

Full ranking: nothing but what the shopper then took counts, over the whole catalogue. Of lists of
new items only new ones are wanted.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from bench.quality.sets import Kept
from recommend import metrics
from recommend.evaluation.intervals import Estimate, estimate

AT: Final = 10

Wanted = dict[str, set[str]]


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over shoppers: NDCG@10 with its interval, and the hit rate."""

    ndcg: Estimate
    hit_rate: float


def wanted(kept: Kept, kind: str) -> Wanted:
    """What each shopper took next, of what such lists can show."""
    taken = by_user(pq.read_table(kept.folder / "targets.parquet"))
    if kind == "any":
        return taken
    seen = by_user(pq.read_table(kept.folder / "events.parquet", columns=["user_id", "item_id"]))
    new = {user: items - seen.get(user, set()) for user, items in taken.items()}
    return {user: items for user, items in new.items() if items}


def of_each(path: Path, wanted: Wanted) -> list[dict[str, float]]:
    """The figures of each shopper's list, in the order of `wanted`; who has no list has an empty one."""
    shown: dict[str, list[str]] = {}
    for row in pq.read_table(path).sort_by("rank").to_pylist():
        shown.setdefault(row["user_id"], []).append(row["item_id"])
    return [metrics.of_list(shown.get(u, []), items, k=AT) for u, items in wanted.items()]  # type: ignore[arg-type]


def judge(path: Path, wanted: Wanted) -> Figures:
    """The means over all shoppers."""
    rows = of_each(path, wanted)
    ndcg = estimate(row["ndcg"] for row in rows)
    assert ndcg is not None, "A set without anybody to judge by is no set."
    return Figures(ndcg, sum(row["hit_rate"] for row in rows) / len(rows))


def by_user(pairs: pa.Table) -> Wanted:
    """The items of each, of rows (user_id, item_id)."""
    found: Wanted = {}
    for user, item in zip(pairs["user_id"].to_pylist(), pairs["item_id"].to_pylist(), strict=True):
        found.setdefault(user, set()).add(item)
    return found
