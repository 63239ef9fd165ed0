"""Contrast: the loss that draws what was chosen together from what merely came along. Loads torch.

InfoNCE with the negatives of the batch (van den Oord et al., 2018; Henderson et al., 2017): of all
texts of a batch the right one should be the most like. A text that is the same as either of the
two, or is known to be chosen with the first, is no negative.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from recommend.finetuning.pairs import Pairs

if TYPE_CHECKING:
    import torch

SHARP: Final = 10.0
"""By what a likeness is multiplied before the softmax: a temperature of 0.1."""


class Known:
    """Which texts are chosen together, asked for a batch at once."""

    def __init__(self, pairs: Pairs, texts: int) -> None:
        from scipy.sparse import csr_array

        both = np.concatenate([pairs, pairs[:, ::-1], np.arange(texts)[:, None].repeat(2, axis=1)])
        shape = (texts, texts)
        self._together = csr_array((np.ones(len(both), bool), (both[:, 0], both[:, 1])), shape)

    def beside(self, batch: Pairs) -> "torch.Tensor":
        """(batch, batch): whether a row's text goes with a column's, other than its own partner."""
        import torch

        together = self._together[batch[:, 0]][:, batch[:, 1]].toarray() > 0
        np.fill_diagonal(together, False)
        return torch.from_numpy(together)


def loss(
    first: "torch.Tensor", second: "torch.Tensor", beside: "torch.Tensor"
) -> "torch.Tensor":  # fmt: skip
    """Of unit vectors of a batch, row by row a pair; asked in both directions."""
    import torch

    scores = (SHARP * first @ second.T).masked_fill(beside, -torch.inf)
    right = torch.arange(len(scores))
    cross = torch.nn.functional.cross_entropy
    return (cross(scores, right) + cross(scores.T, right)) / 2


def batches(pairs: Pairs, size: int, chance: "torch.Generator") -> Iterator[Pairs]:
    """All pairs in an order of chance, so many at once, each turned this way or that."""
    import torch

    turned = torch.randint(2, (len(pairs),), generator=chance).numpy().astype(bool)
    either = np.where(turned[:, None], pairs[:, ::-1], pairs)
    for chosen in torch.split(torch.randperm(len(pairs), generator=chance), size):
        yield either[chosen.numpy()]
