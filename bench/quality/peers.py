"""Peers: a library's lists for one of the sets, its settings chosen before the cut.

    python peers.py PEER FOLDER OUT MINUTES KIND…

Runs in an environment of its own (peers.txt) and imports nothing of ours. Every peer is given the
same: the events before the cut, TRIALS settings and the same minutes, a window at the end of those
events to choose by (never what judges), and then all of them to learn from. OUT gets lists of ten
for each kind, `any.parquet`, `new.parquet`, and `said.json`.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import scipy.sparse as sp

TRIALS = 6
COUNT = 10
AT_ONCE = 256
DAY = 86_400_000_000
WINDOW = 30 * DAY
SHOPPERS = 1_000
"""Whom settings are chosen by."""

WEIGHTS = {"view_item": 1.0, "add_to_wishlist": 2.0, "add_to_cart": 2.0, "purchase": 3.0}
MOST_DENSE = 13_000
"""Items of which a closed-form model inverts a matrix."""

NEVER = -1e6
"""A score under every other."""

Settings = dict[str, Any]
Scores = Callable[[np.ndarray], np.ndarray]
"""(shoppers) to (shoppers, items)."""

Tried = tuple[dict[str, float], Settings]
"""NDCG by kind, and the settings that gave it."""


class Facts(NamedTuple):
    """What happened, a row an event, oldest first; shoppers and items by number."""

    who: np.ndarray
    item: np.ndarray
    at: np.ndarray
    weight: np.ndarray
    shoppers: int
    items: int

    def before(self, at: int) -> "Facts":
        chosen = self.at < at
        return self._replace(**{
            name: getattr(self, name)[chosen] for name in ("who", "item", "at", "weight")
        })  # fmt: skip

    def matrix(self, weight: np.ndarray) -> sp.csr_matrix:
        """(shoppers, items), what came twice summed."""
        return sp.coo_matrix((weight, (self.who, self.item)), (self.shoppers, self.items)).tocsr()

    def chosen(self) -> sp.csr_matrix:
        """1 where there is anything."""
        found = self.matrix(np.ones(len(self.who), dtype=np.float32))
        found.data[:] = 1
        return found

    def faded(self, days: float | None) -> np.ndarray:
        """A weight an event: half after so many days."""
        if days is None:
            return np.ones(len(self.at))
        weight: np.ndarray = np.power(0.5, (self.at.max() - self.at) / DAY / days)
        return weight


# ── the peers ──────────────────────────────────────────────────────────────────────────────


def popular(facts: Facts, *, days: float | None) -> Scores:
    counted = np.bincount(facts.item, facts.faded(days), facts.items)
    return lambda rows: np.repeat(counted[None, :], len(rows), axis=0)


def own_frequency(facts: Facts, *, days: float | None) -> Scores:
    """What each bought themselves; ties, and the rest, by popularity, which fades alike."""
    own = facts.matrix(facts.faded(days))
    counted = np.bincount(facts.item, facts.faded(days), facts.items)
    # Places, not numbers: after years of halving these differ by more than a float can hold.
    rest = _place(counted) / (facts.items + 1)

    def scores(rows: np.ndarray) -> np.ndarray:
        block = np.repeat(rest[None, :], len(rows), axis=0)
        for n, row in enumerate(rows):
            bought = slice(own.indptr[row], own.indptr[row + 1])
            block[n, own.indices[bought]] += 1 + _place(own.data[bought])
        return block

    return scores


def _place(values: np.ndarray) -> np.ndarray:
    """0 for the least, equal for equals."""
    return np.unique(values, return_inverse=True)[1].astype(float)


def item_knn(facts: Facts, *, decay: float, neighbours: int) -> Scores:
    """Cosine; of a shopper's items the last ones count most."""
    chosen = facts.chosen()
    norm = sp.diags(1 / np.sqrt(np.maximum(np.asarray(chosen.sum(axis=0)).ravel(), 1)))
    alike = _strongest((norm @ (chosen.T @ chosen) @ norm).tocsr(), neighbours)
    history = facts.matrix(_by_recency(facts, decay))
    return lambda rows: (history[rows] @ alike).toarray()


def _strongest(alike: sp.csr_matrix, count: int) -> sp.csr_matrix:
    """Each row's `count` largest, without the diagonal."""
    alike.setdiag(0)
    alike.eliminate_zeros()
    for row in range(alike.shape[0]):
        values = alike.data[alike.indptr[row] : alike.indptr[row + 1]]
        if len(values) > count:
            values[np.argpartition(-values, count)[count:]] = 0
    alike.eliminate_zeros()
    return alike


def _by_recency(facts: Facts, decay: float) -> np.ndarray:
    """Each shopper's newest event weighs 1, the one before it `decay`; an item only once."""
    order = np.lexsort((-facts.at, facts.who))
    firsts = np.r_[True, np.diff(facts.who[order]) != 0]
    place = np.arange(len(order)) - np.maximum.accumulate(
        np.where(firsts, np.arange(len(order)), 0)
    )
    weight = np.empty(len(order))
    weight[order] = np.power(decay, np.minimum(place, 200))
    _, newest = np.unique((facts.who * facts.items + facts.item)[order], return_index=True)
    once = np.zeros(len(order), dtype=bool)
    once[order[newest]] = True
    return weight * once


def ease(facts: Facts, *, ridge: float) -> Scores:
    """Steck, WWW 2019, over the best known items; the others are never shown."""
    everything = facts.chosen().astype(np.float32)
    known = np.argsort(-everything.sum(axis=0).A1, kind="stable")[:MOST_DENSE]
    chosen = everything[:, known]
    gram = (chosen.T @ chosen).toarray()
    gram[np.diag_indices_from(gram)] += ridge
    inverse = np.linalg.inv(gram)
    linked = inverse / -np.diag(inverse)
    linked[np.diag_indices_from(linked)] = 0

    def scores(rows: np.ndarray) -> np.ndarray:
        block = np.full((len(rows), facts.items), NEVER)
        block[:, known] = chosen[rows] @ linked
        return block

    return scores


def als(facts: Facts, **settings: Any) -> Scores:
    from implicit.als import AlternatingLeastSquares

    return _factors(facts, AlternatingLeastSquares(iterations=15, random_state=1, **settings))


def bpr(facts: Facts, **settings: Any) -> Scores:
    from implicit.bpr import BayesianPersonalizedRanking

    return _factors(facts, BayesianPersonalizedRanking(iterations=100, random_state=1, **settings))


def _factors(facts: Facts, model: Any) -> Scores:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        model.fit(facts.matrix(facts.weight.astype(np.float32)), show_progress=False)
    return lambda rows: model.user_factors[rows] @ model.item_factors.T


def bm25(facts: Facts, **settings: Any) -> Scores:
    from implicit.nearest_neighbours import BM25Recommender

    return _neighbours(facts, BM25Recommender(**settings))


def tf_idf(facts: Facts, **settings: Any) -> Scores:
    from implicit.nearest_neighbours import TFIDFRecommender

    return _neighbours(facts, TFIDFRecommender(**settings))


def _neighbours(facts: Facts, model: Any) -> Scores:
    known = facts.matrix(facts.weight)
    model.fit(known, show_progress=False)
    return lambda rows: (known[rows] @ model.similarity).toarray()


def lightfm(facts: Facts, *, factors: int, epochs: int, rate: float) -> Scores:
    """WARP (Weston et al., IJCAI 2011), without features of items."""
    from lightfm import LightFM

    model = LightFM(no_components=factors, loss="warp", learning_rate=rate, random_state=1)
    model.fit(facts.chosen().tocoo(), epochs=epochs, num_threads=2)
    biases, vectors = model.get_item_representations()
    _, shoppers = model.get_user_representations()
    return lambda rows: shoppers[rows] @ vectors.T + biases


def sasrec(facts: Facts, *, factors: int, blocks: int, length: int, epochs: int = 5) -> Scores:
    """Kang & McAuley, ICDM 2018, in RecTools, with its softmax loss over drawn negatives."""
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    model = SASRecModel(
        n_factors=factors, n_blocks=blocks, session_max_len=length, epochs=epochs,
        loss="sampled_softmax", n_negatives=256, verbose=0, deterministic=False,
    )  # fmt: skip
    dataset = Dataset.construct(_frame(facts))
    model.fit(dataset)
    popular = np.bincount(facts.item, minlength=facts.items)

    def scores(rows: np.ndarray) -> np.ndarray:
        # Of who did one thing only it learns nothing, and says nothing: they get what is popular.
        found = model.recommend(
            users=rows, dataset=dataset, k=min(500, facts.items), filter_viewed=False,
            on_unsupported_targets="ignore",
        )  # fmt: skip
        block = np.repeat(NEVER + popular[None, :], len(rows), axis=0)
        place = {who: n for n, who in enumerate(rows)}
        at = [place[who] for who in found["user_id"]]
        block[at, found["item_id"].to_numpy()] = found["score"].to_numpy()
        return block

    return scores


def _frame(facts: Facts) -> Any:
    import pandas as pd

    return pd.DataFrame({
        "user_id": facts.who, "item_id": facts.item, "weight": 1.0,
        "datetime": pd.to_datetime(facts.at, unit="us"),
    })  # fmt: skip


def _each(**values: list[Any]) -> list[Settings]:
    """The TRIALS first of every combination."""
    grid: list[Settings] = [{}]
    for name, several in values.items():
        grid = [old | {name: value} for old in grid for value in several]
    return grid[:TRIALS]


DAYS = _each(days=[90, 30, 180, 14, 7, None])
PEERS: dict[str, tuple[Callable[..., Scores], list[Settings]]] = {
    "popular": (popular, DAYS),
    "own frequency": (own_frequency, DAYS),
    "item-kNN": (item_knn, _each(decay=[0.9, 0.6, 1.0], neighbours=[200, 50])),
    "EASE": (ease, _each(ridge=[200, 100, 500, 50, 1000, 2000])),
    "implicit ALS": (als, _each(factors=[128, 64], alpha=[10, 1, 40], regularization=[0.05])),
    "implicit BPR": (bpr, _each(factors=[128, 64], learning_rate=[0.05, 0.02, 0.1])),
    "implicit BM25": (bm25, _each(K=[100, 50, 300], B=[0.2, 0.75])),
    "implicit TF-IDF": (tf_idf, _each(K=[100, 50, 200, 20, 500, 1000])),
    "LightFM WARP": (lightfm, _each(factors=[64, 128], rate=[0.05, 0.02], epochs=[30, 10])),
    "RecTools SASRec": (sasrec, _each(factors=[64, 128], blocks=[1, 2], length=[20, 50])),
}


# ── choosing, and the lists ────────────────────────────────────────────────────────────────


def run(peer: str, folder: Path, out: Path, minutes: float, kinds: list[str]) -> None:
    """Choose, learn from all, and write its lists."""
    facts, users, items = read(folder)
    learn, settings = PEERS[peer]
    seen = facts.chosen()
    asked = users.known(pq.read_table(folder / "users.parquet")["user_id"])
    began = time.monotonic()
    tries = list(tried(learn, settings, facts, kinds, minutes))
    said: dict[str, Any] = {"lists": {}, "tried": len(tries), "of": len(settings),
                            "choosing": time.monotonic() - began}  # fmt: skip
    for kind in kinds:
        best = best_of(tries, kind)
        said["lists"][kind] = {"settings": best}
        scores = learn(facts, **best)
        _write(out / f"{kind}.parquet", _lists(scores, asked, seen, kind), asked, users, items)
    _say(out, said | {"seconds": time.monotonic() - began})


def tried(
    learn: Callable[..., Scores], settings: list[Settings], facts: Facts, kinds: list[str],
    minutes: float,
) -> Iterator[Tried]:  # fmt: skip
    """NDCG of each on the window, by kind; as many as the minutes allow and one at least."""
    cut = int(facts.at.max()) + 1 - min(WINDOW, int(facts.at.max() - facts.at.min()) // 6)
    known = facts.before(cut)
    seen = known.chosen()
    taken = {kind: _taken(facts, known, cut, kind) for kind in kinds}
    end = time.monotonic() + 60 * minutes
    for one in settings:
        scores = learn(known, **one)
        yield {kind: _judged(scores, seen, wanted, kind) for kind, wanted in taken.items()}, one
        if time.monotonic() > end:
            return


def best_of(tries: list[Tried], kind: str) -> Settings:
    """The settings whose lists of this kind were the best."""
    return max(tries, key=lambda one: one[0][kind])[1]


def _taken(facts: Facts, known: Facts, cut: int, kind: str) -> sp.csr_matrix:
    """(shoppers, items): what who was known took from the cut on, purchases where there are any."""
    after = (facts.at >= cut) & np.isin(facts.who, known.who)
    if (facts.weight == WEIGHTS["purchase"]).any():
        after &= facts.weight == WEIGHTS["purchase"]
    seen = known.chosen()
    wanted = sp.coo_matrix(
        (np.ones(after.sum()), (facts.who[after], facts.item[after])), seen.shape
    ).tocsr()
    if kind == "new":
        wanted = wanted - wanted.multiply(seen)
        wanted.eliminate_zeros()
    return wanted


def _judged(scores: Scores, seen: sp.csr_matrix, wanted: sp.csr_matrix, kind: str) -> float:
    rows = np.flatnonzero(np.diff(wanted.indptr))
    rows = np.random.default_rng(1).permutation(rows)[:SHOPPERS]
    return float(np.mean([
        _ndcg(items, wanted.indices[wanted.indptr[row] : wanted.indptr[row + 1]])
        for row, items in zip(rows, _lists(scores, rows, seen, kind), strict=True)
    ]))  # fmt: skip


def _ndcg(items: np.ndarray, wanted: np.ndarray) -> float:
    gains = 1 / np.log2(np.arange(2, COUNT + 2))
    return float(gains[: len(items)][np.isin(items, wanted)].sum() / gains[: len(wanted)].sum())


def _lists(
    scores: Scores, rows: np.ndarray, seen: sp.csr_matrix, kind: str
) -> Iterator[np.ndarray]:
    """The best ten of each; what the shopper knows is in none of new items."""
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        block = np.array(scores(some), dtype=np.float32)
        for n, row in enumerate(some):
            if kind == "new":
                block[n, seen.indices[seen.indptr[row] : seen.indptr[row + 1]]] = -np.inf
            best = np.argpartition(-block[n], COUNT)[:COUNT]
            yield best[np.argsort(-block[n, best], kind="stable")]


# ── files ──────────────────────────────────────────────────────────────────────────────────


class Numbered:
    """Names by number, and back."""

    def __init__(self, names: Any) -> None:
        self.names = pc.unique(names)

    def index_of(self, names: Any) -> np.ndarray:
        found: np.ndarray = pc.index_in(names, self.names).to_numpy()
        return found

    def known(self, names: Any) -> np.ndarray:
        """The numbers of those that there are: who only gave things back has no fact here."""
        found: np.ndarray = pc.drop_null(pc.index_in(names, self.names)).to_numpy()
        return found

    def __len__(self) -> int:
        return len(self.names)


def read(folder: Path) -> tuple[Facts, Numbered, Numbered]:
    events = pq.read_table(folder / "events.parquet").sort_by("occurred_at")
    events = events.filter(pc.is_in(events["event"], pa.array(list(WEIGHTS))))
    catalogue = pq.read_table(folder / "catalogue.parquet")["item_id"]
    users = Numbered(events["user_id"])
    items = Numbered(pa.chunked_array(
        [*catalogue.cast(pa.string()).chunks, *events["item_id"].cast(pa.string()).chunks]
    ))  # fmt: skip
    weight = np.array([WEIGHTS[kind] for kind in events["event"].to_pylist()])
    at = pc.cast(events["occurred_at"], pa.int64()).to_numpy()
    return Facts(
        users.index_of(events["user_id"]).astype(np.int64),
        items.index_of(events["item_id"].cast(pa.string())).astype(np.int64),
        at, weight, len(users), len(items),
    ), users, items  # fmt: skip


def _write(
    path: Path, lists: Iterator[np.ndarray], asked: np.ndarray, users: Numbered, items: Numbered
) -> None:
    found = np.array(list(lists))
    pq.write_table(pa.table({
        "user_id": pc.take(users.names, pa.array(np.repeat(asked, COUNT))),
        "rank": np.tile(np.arange(1, COUNT + 1), len(asked)),
        "item_id": pc.take(items.names, pa.array(found.ravel())),
    }), path)  # fmt: skip


def _say(out: Path, said: Settings) -> None:
    (out / "said.json").write_text(json.dumps(said))


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]), sys.argv[5:])
