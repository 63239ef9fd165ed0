"""The network: features of candidates in, a score for each out. numpy only.

Two hidden layers of rectified units over standardised features, each of which it hears twice: as it
is, and as the share of all candidates that it stands above (as in Gorishniy et al., On Embeddings for
Numerical Features, NeurIPS 2022), without which trees make more of the same features. What it was
told while it learned bounds what it is told later: a feature beyond FURTHEST deviations counts as
that far.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from recommend.ranker.features import Matrix

FURTHEST: Final = 5.0

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Knots:
    """Of the feature in column `of`: values `at` which so large a `share` of what was learned from
    stands below; in between it is a straight line."""

    of: int
    at: Vector
    share: Vector


@dataclass(frozen=True, slots=True)
class Network:
    """`mean` and `spread` have a value a feature and one for each of the `knots`; each layer has weights
    (out, in) and a bias."""

    mean: Vector
    spread: Vector
    layers: tuple[tuple[Matrix, Vector], ...]
    knots: tuple[Knots, ...] = ()

    def scores(self, told: Matrix) -> Vector:
        """A score for each row of (candidates, features); only their order means anything."""
        values = np.clip((beside(told, self.knots) - self.mean) / self.spread, -FURTHEST, FURTHEST)
        *hidden, (weights, bias) = self.layers
        for inner, own in hidden:
            values = np.maximum(values @ inner.T + own, 0)
        scores: Vector = (values @ weights.T + bias)[:, 0]
        return scores

    def as_json(self) -> bytes:
        """All numbers, to six digits."""
        said = {"mean": _said(self.mean), "spread": _said(self.spread),
                "layers": [[_said(weights), _said(bias)] for weights, bias in self.layers],
                "knots": [[k.of, _said(k.at), _said(k.share)] for k in self.knots]}  # fmt: skip
        return orjson.dumps(said)

    @property
    def name(self) -> str:
        """A digest of what it is made of: equal networks have equal names."""
        return hashlib.blake2b(self.as_json(), digest_size=6).hexdigest()


def beside(told: Matrix, knots: Sequence[Knots]) -> Matrix:
    """The features, and beside them the shares that these knots say."""
    heard = np.empty((len(told), told.shape[1] + len(knots)), dtype=np.float32)
    heard[:, : told.shape[1]] = told
    for place, known in enumerate(knots, told.shape[1]):
        heard[:, place] = np.interp(told[:, known.of], known.at, known.share)
    return heard


def of_json(said: bytes | str) -> Network:
    """The opposite of as_json; one that was made before there were knots has none."""
    known = orjson.loads(said)
    layers = tuple((_array(weights), _array(bias)) for weights, bias in known["layers"])
    knots = tuple(Knots(of, _array(at), _array(share)) for of, at, share in known.get("knots", ()))
    return Network(_array(known["mean"]), _array(known["spread"]), layers, knots)


def _said(values: npt.NDArray[np.float32]) -> Any:
    return np.vectorize(lambda value: float(f"{value:.6g}"), otypes=[float])(values).tolist()


def _array(said: Any) -> npt.NDArray[np.float32]:
    return np.array(said, dtype=np.float32)
