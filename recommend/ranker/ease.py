"""EASE: the closed-form linear model of which items speak for which. numpy and scipy only.

Steck, Embarrassingly Shallow Autoencoders (WWW 2019): of all matrices with nothing on the diagonal
the one by which what each shopper chose is best foretold from what else they chose. One inverse, so
there is nothing to tune but how much it is held back, and the same choices give the same numbers.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

HELD_BACK: Final = 200.0
"""The ridge. From 60 to 800 lists in the order of this model alone differed by 5% (two shops)."""

VOICES: Final = 2
"""Shoppers who chose both: what one alone joined says nothing of others, and is nobody's business."""

UNIT: Final = 65_536
"""What a weight of 1 is kept as: sums of integers are the same whatever their order."""

ROWS: Final = 500
"""Put in order at a time: the places of all would take twice the memory of the weights."""

Choices = npt.NDArray[np.int32]
"""(choices, 2): a shopper's and an item's number, both counted from 0; each pair once."""


Whole = npt.NDArray[np.int64]


def neighbours(choices: Choices, items: int, most: int) -> tuple[Whole, Whole]:
    """(items, most): for each item those it speaks for most and their weights in UNIT, heaviest
    first; a weight is 0 where there are no more. Takes items² numbers of four bytes, four times."""
    together = _together(choices, items)
    weights = _weights(together)
    weights[together < VOICES] = 0
    blocks = np.array_split(weights, items // ROWS + 1)
    heaviest = np.concatenate([_heaviest(block, most) for block in blocks])
    kept = np.maximum(np.take_along_axis(weights, heaviest, axis=1), 0)
    return heaviest, np.rint(kept * UNIT).astype(np.int64)


def _heaviest(weights: npt.NDArray[np.float32], most: int) -> Whole:
    """Where each row's heaviest stand; of equals the lower number."""
    return np.argsort(-weights, axis=1, kind="stable")[:, :most].astype(np.int64)


def _together(choices: Choices, items: int) -> npt.NDArray[np.float32]:
    """(items, items): how many shoppers chose both; on the diagonal, how many the one."""
    from scipy.sparse import csr_array

    shoppers = int(choices[:, 0].max(initial=-1)) + 1
    ones = np.ones(len(choices), np.float32)
    chosen = csr_array((ones, (choices[:, 0], choices[:, 1])), shape=(shoppers, items))
    together: npt.NDArray[np.float32] = (chosen.T @ chosen).toarray()
    return together


def _weights(together: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """B[i, j] = -P[i, j] / P[j, j] of the inverse P, and nothing on the diagonal."""
    from scipy.linalg import lapack

    held = np.array(together, order="F")
    held[np.diag_indices_from(held)] += HELD_BACK
    # In place: a positive definite matrix has a Cholesky factor, and that the inverse.
    factor, _ = lapack.spotrf(held, lower=True, overwrite_a=True)
    inverse, _ = lapack.spotri(factor, lower=True, overwrite_c=True)
    lower = np.tril(inverse)
    weights: npt.NDArray[np.float32] = lower + lower.T
    weights /= -np.diag(lower)
    np.fill_diagonal(weights, 0)
    return weights
