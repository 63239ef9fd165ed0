"""The network: a history in, a unit vector out, which lies near those of what suits next. numpy only.

The attention of SASRec (Kang and McAuley, ICDM 2018) in one block, of which serving needs the last
place alone. What is heard are the items' own vectors, as in FISM (Kabbur et al., KDD 2013): a
whole block with value, output and feed-forward matrices foretold half as much of a wholesaler's
baskets in a minute. Of a shop's visits the two are not told apart.
Attention knows how many events ago something was and of which kind it is, in place of numbered
places. Each history is computed by itself: a batch gives to the bit what each shopper alone would get.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recommend.spaces.histories import Histories, once_a_run

LATEST: Final = 50
"""The events of a history that are read."""

HEADS: Final = 2

Vector = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Encoder:
    """`items` has a unit vector for each item, (items, d); `weights` what the block is made of, by
    the names that training gives."""

    items: Matrix
    weights: Mapping[str, npt.NDArray[np.float32]]

    def as_bytes(self) -> bytes:
        """All of it as numpy's .npz; equal encoders have equal bytes."""
        written = io.BytesIO()
        arrays: dict[str, Any] = {"items": self.items, **dict(sorted(self.weights.items()))}
        np.savez(written, **arrays)
        return written.getvalue()


def of_bytes(said: bytes) -> Encoder:
    """The opposite of as_bytes. ValueError where it is no encoder."""
    try:
        with np.load(io.BytesIO(said), allow_pickle=False) as known:
            weights = {name: known[name] for name in known.files}
        return Encoder(weights.pop("items"), weights)
    except (AttributeError, EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError("These bytes are no sequence encoder.") from error


def users(encoder: Encoder, histories: Histories) -> Matrix:
    """A unit vector for each shopper, (shoppers, d), by the last LATEST events; zeros for who has
    none. What suits a shopper best has the greatest inner product."""
    if histories.items.min(initial=0) < 0 or histories.items.max(initial=0) >= len(encoder.items):
        raise ValueError(f"The encoder knows items 0 to {len(encoder.items) - 1} only.")
    told = once_a_run(histories)
    starts = np.maximum(told.starts, told.ends - LATEST)
    vectors = np.zeros((len(told.ends), encoder.items.shape[1]), np.float32)
    for shopper, (start, end) in enumerate(zip(starts, told.ends, strict=True)):
        if start < end:
            vectors[shopper] = _vector(encoder, told.items[start:end], told.kinds[start:end])
    return vectors


def _vector(encoder: Encoder, items: npt.NDArray[np.int32], kinds: npt.NDArray[np.int8]) -> Vector:
    weights = encoder.weights
    width = encoder.items.shape[1]
    places = encoder.items[items] * np.float32(width**0.5) + weights["kinds"][kinds]
    heard = _shares(weights, places, kinds) @ places + weights["own"] * places[-1]
    return unit(weights["turn"] @ heard)


def _shares(
    weights: Mapping[str, npt.NDArray[np.float32]], places: Matrix, kinds: npt.NDArray[np.int8]
) -> Vector:
    """What the last place takes of each; they sum up to 1."""
    standard = _standard(places)
    length, width = places.shape
    asked = (weights["query"] @ standard[-1]).reshape(HEADS, -1)
    keys = (standard @ weights["key"].T).reshape(length, HEADS, -1)
    loud = np.einsum("hd,lhd->hl", asked, keys) * np.float32((width / HEADS) ** -0.5)
    loud = loud + weights["ages"][:, :length][:, ::-1] + weights["kinds_heard"][:, kinds]
    shares = np.exp(loud - loud.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    mean: Vector = shares.mean(axis=0)
    return mean


def _standard(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Layer normalization without weights of its own: what follows it has some."""
    apart = values - values.mean(axis=-1, keepdims=True)
    spread = np.sqrt((apart**2).mean(axis=-1, keepdims=True) + np.float32(1e-5))
    standard: npt.NDArray[np.float32] = apart / spread
    return standard


def unit(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Of length 1."""
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    made: npt.NDArray[np.float32] = values / np.maximum(length, np.float32(1e-12))
    return made
