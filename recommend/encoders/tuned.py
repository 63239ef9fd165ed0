"""Tuned encoders: how a text is encoded with what the shop's own log taught (recommend.finetuning).

What was learned lies in Postgres, so that every worker has the same; it is read on first use, and
never changed under its name. An adapter is a map that is added to the encoder's own vectors, with
numpy alone; taught layers take the place of the network's own.
"""

import functools
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from recommend.encoders import english
from recsite.db import cursor

Encode = Callable[[Sequence[str]], list[list[float]]]
Map = npt.NDArray[np.float16]
"""(dimensions, dimensions): what is added to a vector, linear in it."""

Weights = Mapping[str, npt.NDArray[np.float16]]
"""By the name that the network has for them; an adapter is one alone, named ADAPTER."""

ADAPTER: Final = "adapter"

LIVE: Final = "SELECT name FROM finetuning WHERE is_live AND base = %s"
READ: Final = "SELECT weights FROM finetuning WHERE name = %s AND weights IS NOT NULL"


class Gone(LookupError):
    """What that encoder learned is not kept any more."""


def live(base: str) -> str | None:
    """The name of the live encoder that was made of this one; None where it serves as it is."""
    with cursor() as hot:
        row = hot.execute(LIVE, [base]).fetchone()
    return None if row is None else str(row[0])


def encode(name: str, plain: Encode, texts: Sequence[str]) -> list[list[float]]:
    """Unit vectors by the tuned encoder of that name; `plain` encodes as it was before. Raises Gone."""
    return _kept(name, plain)(texts)


def encoding(weights: Weights, plain: Encode) -> Encode:
    """How texts are encoded with these."""
    if ADAPTER in weights:
        return functools.partial(_adapt, weights[ADAPTER], plain)
    return functools.partial(english.encode_with, *english.taught(weights))


def adapted(learned: Map, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(texts, dimensions), of length 1 before and after."""
    moved = vectors + vectors @ learned.astype(np.float32)
    lengths = np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)
    unit: npt.NDArray[np.float32] = moved / lengths
    return unit


def as_adapter(learned: Map) -> Weights:
    """The weights that are this map."""
    return {ADAPTER: learned}


def as_bytes(weights: Weights) -> bytes:
    """As they are kept."""
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **dict(sorted(weights.items())))
    return out.getvalue()


def digest(weights: Weights) -> str:
    """What tells them from all others: eight letters of it are in the encoder's name."""
    said = hashlib.blake2b(digest_size=4)
    for name, values in sorted(weights.items()):
        said.update(name.encode() + values.tobytes())
    return said.hexdigest()


@functools.lru_cache(maxsize=2)
def _kept(name: str, plain: Encode) -> Encode:
    return encoding(read(name), plain)


def read(name: str) -> Weights:
    """What the encoder of that name learned. Raises Gone."""
    with cursor() as hot:
        row = hot.execute(READ, [name], binary=True).fetchone()
    if row is None:
        raise Gone(f"What the encoder {name} learned is not kept any more.")
    with np.load(io.BytesIO(row[0]), allow_pickle=False) as kept:
        return dict(kept)


def _adapt(learned: Map, plain: Encode, texts: Sequence[str]) -> list[list[float]]:
    if not texts:
        return []
    vectors: list[list[float]] = adapted(learned, np.array(plain(texts), np.float32)).tolist()
    return vectors
