"""The network: features of candidates in, a score for each out. numpy only.

Two hidden layers of rectified units over standardised features. What it was told while it
learned bounds what it is told later: a feature beyond FURTHEST deviations counts as that far.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from recommend.ranker.features import Matrix

FURTHEST: Final = 5.0

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Network:
    """`mean` and `spread` have a value a feature; each layer has weights (out, in) and a bias."""

    mean: Vector
    spread: Vector
    layers: tuple[tuple[Matrix, Vector], ...]

    def scores(self, told: Matrix) -> Vector:
        """A score for each row of (candidates, features); only their order means anything."""
        values = np.clip((told - self.mean) / self.spread, -FURTHEST, FURTHEST)
        *hidden, (weights, bias) = self.layers
        for inner, own in hidden:
            values = np.maximum(values @ inner.T + own, 0)
        scores: Vector = (values @ weights.T + bias)[:, 0]
        return scores

    def as_json(self) -> bytes:
        """All numbers, to six digits."""
        said = {"mean": _said(self.mean), "spread": _said(self.spread),
                "layers": [[_said(weights), _said(bias)] for weights, bias in self.layers]}  # fmt: skip
        return orjson.dumps(said)

    @property
    def name(self) -> str:
        """A digest of what it is made of: equal networks have equal names."""
        return hashlib.blake2b(self.as_json(), digest_size=6).hexdigest()


def of_json(said: bytes | str) -> Network:
    """The opposite of as_json."""
    known = orjson.loads(said)
    layers = tuple((_array(weights), _array(bias)) for weights, bias in known["layers"])
    return Network(_array(known["mean"]), _array(known["spread"]), layers)


def _said(values: npt.NDArray[np.float32]) -> Any:
    return np.vectorize(lambda value: float(f"{value:.6g}"), otypes=[float])(values).tolist()


def _array(said: Any) -> npt.NDArray[np.float32]:
    return np.array(said, dtype=np.float32)
