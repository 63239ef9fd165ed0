"""Places: where a peer puts what shoppers then took, among everything that may be shown.

    python -m bench.quality.places PEER FOLDER OUT MINUTES KIND…

Runs in the peers' environment, from the project's folder. A peer chooses its settings and learns as
for its lists (peers.py); what judges is read only then. OUT gets `any.parquet` and `new.parquet`: of
each item that was taken how many others have a better score (`above`) and how many the same (`equal`).
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.quality import peers
from bench.quality.peers import Facts, Numbered, Scores


class Taken(NamedTuple):
    """Shoppers and items by number, in the order of shoppers."""

    who: np.ndarray
    item: np.ndarray


class Places(NamedTuple):
    """In line with Taken."""

    above: np.ndarray
    equal: np.ndarray


def run(peer: str, folder: Path, out: Path, minutes: float, kinds: list[str]) -> None:
    """Choose, learn from all, and write the places."""
    facts, users, items = peers.read(folder)
    learn, settings = peers.PEERS[peer]
    tries = list(peers.tried(learn, settings, facts, kinds, minutes))
    for kind in kinds:
        scores = learn(facts, **peers.best_of(tries, kind))
        taken = read(folder, users, items)
        write(out / f"{kind}.parquet", taken, placed(scores, facts, taken, kind), users, items)


def read(folder: Path, users: Numbered, items: Numbered) -> Taken:
    """What judges; who has no facts, and what is in no catalogue, has no place."""
    rows = pq.read_table(folder / "targets.parquet").sort_by("user_id")
    who, item = (
        pc.index_in(rows[column], of.names)
        for column, of in (("user_id", users), ("item_id", items))
    )
    known = pc.and_(pc.is_valid(who), pc.is_valid(item))
    return Taken(*(pc.cast(each.filter(known), pa.int64()).to_numpy() for each in (who, item)))


def placed(scores: Scores, facts: Facts, taken: Taken, kind: str) -> Places:
    """Of lists of new items what the shopper knows is no part."""
    seen = facts.chosen()
    above, equal = (np.empty(len(taken.who), dtype=np.int64) for _ in range(2))
    for part in _in_parts(taken.who):
        rows, line = np.unique(taken.who[part], return_inverse=True)
        block = np.array(scores(rows), dtype=np.float32)
        for n, row in enumerate(rows):
            may_be_shown = np.ones(facts.items, dtype=bool)
            if kind == "new":
                may_be_shown[seen.indices[seen.indptr[row] : seen.indptr[row + 1]]] = False
            own = part[line == n]
            above[own], equal[own] = _among(block[n, may_be_shown], block[n, taken.item[own]])
    return Places(above, equal)


def _in_parts(who: np.ndarray) -> Iterator[np.ndarray]:
    """The lines of AT_ONCE shoppers each."""
    shoppers = np.unique(who)
    for start in range(0, len(shoppers), peers.AT_ONCE):
        yield np.flatnonzero(np.isin(who, shoppers[start : start + peers.AT_ONCE]))


def _among(everything: np.ndarray, these: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many have a better score than each of these, and how many others the same."""
    inline = np.sort(everything)
    below, up_to = (np.searchsorted(inline, these, side) for side in ("left", "right"))
    return len(inline) - up_to, up_to - below - 1


def write(path: Path, taken: Taken, places: Places, users: Numbered, items: Numbered) -> None:
    pq.write_table(pa.table({
        "user_id": pc.take(users.names, pa.array(taken.who)),
        "item_id": pc.take(items.names, pa.array(taken.item)),
        "above": places.above, "equal": places.equal,
    }), path)  # fmt: skip


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]), sys.argv[5:])
