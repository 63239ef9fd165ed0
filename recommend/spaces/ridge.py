"""Ridge: where an item would lie by its description alone (text and image, recommend.fusion), for those
that hardly anybody has dealt with.

A linear map from the descriptions' vectors to a space, learned in closed form (ridge regression) from the
items that are known in both. It promises nothing where they do not tell: how well they do is measured
on items that it has not learned from, and below TELLING nothing is placed.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from recommend.spaces.rows import Placed, Vectors
from recsite.db import copied, cursor

HELD_BACK: Final = (0.1, 1.0, 10.0, 100.0)
"""Ridges that are tried."""

PART: Final = 5
"""Every so manieth item is held out to choose by."""

LEAST: Final = 20
"""Items known in both, below which a map would be chance."""

TELLING: Final = 0.1
"""The mean cosine between where held-out items lie and where their texts say."""

NEWEST: Final = 50_000
"""Items that are placed with a space; those that come later are as they are encoded."""

OF_A_TEXT: Final = 5
"""Items of one text that are placed: they lie at one place, and would be all that is found there."""

TEXTS: Final = """
SELECT item, vector FROM item_passage JOIN embedding USING (passage) WHERE item IN ({items}) ORDER BY item
"""

# The newest first: what has been there for long and was never chosen is not missed.
UNKNOWN: Final = f"""
SELECT item FROM (
    SELECT item, row_number() OVER (PARTITION BY passage ORDER BY item DESC) AS nth
    FROM item_passage JOIN embedding USING (passage) JOIN catalog_item ON catalog_item.id = item
    WHERE NOT EXISTS (SELECT FROM unnest(%s::int[]) AS placed(item) WHERE placed.item = catalog_item.id)
) AS unknown
WHERE nth <= {OF_A_TEXT} ORDER BY item DESC LIMIT {NEWEST}
"""


@dataclass(frozen=True, slots=True)
class Ridge:
    """`weights` (text dimensions + 1, space dimensions), of vectors by this `encoder`; `norm` is how far
    out little-known items lie."""

    encoder: str
    weights: Vectors
    norm: float

    def place(self, texts: Vectors) -> Vectors:
        """(texts): where items of these texts lie. A ridge shrinks, so they are put as far out as
        others that few know."""
        placed = _with_one(texts) @ self.weights
        length = np.linalg.norm(placed, axis=1, keepdims=True)
        said: Vectors = (placed * self.norm / np.maximum(length, 1e-9)).astype(np.float32)
        return said

    def as_bytes(self) -> bytes:
        """For `of_bytes`."""
        kept = io.BytesIO()
        np.savez(kept, encoder=self.encoder, weights=self.weights, norm=self.norm)
        return kept.getvalue()


def of_bytes(said: bytes) -> Ridge:
    """The ridge that said so."""
    kept = np.load(io.BytesIO(said))
    return Ridge(str(kept["encoder"]), kept["weights"], float(kept["norm"]))


def learn(known: Placed, encoder: str) -> Ridge | None:
    """From items of the space, the best known first; None where texts do not tell."""
    texts = read_texts(known.keys.tolist())
    order = np.argsort(known.keys)
    places = order[np.searchsorted(known.keys, texts.keys, sorter=order)]
    wanted = known.vectors[places]
    if len(wanted) < LEAST:
        return None
    held = np.arange(len(wanted)) % PART == 0
    told = _with_one(texts.vectors)
    tried = {
        _likeness(told[held] @ _solve(told[~held], wanted[~held], ridge), wanted[held]): ridge
        for ridge in HELD_BACK
    }
    if max(tried) < TELLING:
        return None
    lengths = np.linalg.norm(known.vectors, axis=1)
    return Ridge(
        encoder,
        _solve(told, wanted, tried[max(tried)]),
        float(np.median(lengths[len(lengths) // 2 :])),
    )


def _with_one(texts: Vectors) -> Vectors:
    return np.concatenate([texts, np.ones((len(texts), 1), np.float32)], axis=1)


def _solve(told: Vectors, wanted: Vectors, ridge: float) -> Vectors:
    gram = told.T @ told + ridge * np.eye(told.shape[1], dtype=np.float32)
    solved: Vectors = np.linalg.solve(gram, told.T @ wanted)
    return solved


def _likeness(found: Vectors, wanted: Vectors) -> float:
    length = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    return float(((found * wanted).sum(axis=1) / np.maximum(length, 1e-9)).mean())


def unknown(known: Sequence[int]) -> list[int]:
    """Items with a text that lie nowhere yet."""
    with cursor() as hot:
        return [item for (item,) in hot.execute(UNKNOWN, [list(known)]).fetchall()]


def read_texts(items: Sequence[int]) -> Placed:
    """Where the texts of these lie, of those that have one; in the order of items."""
    those = ", ".join(map(str, map(int, items))) or "NULL"
    said = copied(TEXTS.format(items=those))
    if not said:
        return Placed(np.zeros(0, np.int64), np.zeros((0, 0), np.float32))
    # fields, size, item, size, then a halfvec: its dimensions, nothing, the numbers.
    dimensions = int.from_bytes(said[14:16])
    rows = np.frombuffer(said, dtype=_row(dimensions))
    return Placed(rows["item"].astype(np.int64), rows["vector"].astype(np.float32))


def _row(dimensions: int) -> Any:
    return np.dtype([
        ("fields", ">i2"), ("a", ">i4"), ("item", ">i4"), ("b", ">i4"), ("dimensions", ">i2"),
        ("unused", ">i2"), ("vector", ">f2", (dimensions,)),
    ])  # fmt: skip
