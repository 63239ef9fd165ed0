"""Training: the network learns to put what was bought above what was not. Loads torch.

The loss is ListNet's (Cao et al., ICML 2007): cross entropy between a softmax over a list's
scores and an even share for each item bought. Weights decay, the rate falls along half a
cosine. The same examples give the same network.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from recommend.ranker.examples import Example
from recommend.ranker.network import FURTHEST, Network

if TYPE_CHECKING:
    import torch

HIDDEN: Final = (32, 16)
EPOCHS: Final = 20
LISTS: Final = 32
"""Lists a step."""

RATE: Final = 3e-3
DECAY: Final = 1e-4
SEED: Final = 1


def train(examples: Sequence[Example], epochs: Any = iter) -> Network:
    """Learn from the examples. `epochs` wraps the loop over epochs (a progress bar)."""
    import torch

    rows = np.concatenate([example.told for example in examples])
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    lists = [_tensors(example, mean, spread) for example in examples]
    # A generator of its own: other threads of this process draw from the common one.
    chance = torch.Generator().manual_seed(SEED)
    layers = _layers(rows.shape[1], chance)
    optimizer = torch.optim.AdamW(_parameters(layers), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * -(-len(lists) // LISTS)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in epochs(range(EPOCHS)):
        for chosen in torch.split(torch.randperm(len(lists), generator=chance), LISTS):
            optimizer.zero_grad()
            _loss(layers, [lists[int(n)] for n in chosen]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            rate.step()
    kept = tuple((w.detach().numpy().copy(), b.detach().numpy().copy()) for w, b in layers)
    return Network(mean, spread, kept)


Layers = list[tuple["torch.Tensor", "torch.Tensor"]]


def _tensors(example: Example, mean: Any, spread: Any) -> tuple["torch.Tensor", "torch.Tensor"]:
    import torch

    told = np.clip((example.told - mean) / spread, -FURTHEST, FURTHEST).astype(np.float32)
    wanted = example.wanted.astype(np.float32)
    return torch.from_numpy(told), torch.from_numpy(wanted / wanted.sum())


def _layers(features: int, chance: "torch.Generator") -> Layers:
    """He et al.'s initial weights (ICCV 2015)."""
    import torch

    sizes = (features, *HIDDEN, 1)
    return [
        ((torch.randn(out, into, generator=chance) * (2 / into) ** 0.5).requires_grad_(),
         torch.zeros(out, requires_grad=True))
        for into, out in pairwise(sizes)
    ]  # fmt: skip


def _parameters(layers: Layers) -> Iterator["torch.Tensor"]:
    for weights, bias in layers:
        yield weights
        yield bias


def _loss(layers: Layers, lists: Sequence[tuple["torch.Tensor", "torch.Tensor"]]) -> "torch.Tensor":
    """The mean over lists, of one product for all their candidates."""
    import torch

    values = torch.cat([told for told, _ in lists])
    *hidden, (weights, bias) = layers
    for inner, own in hidden:
        values = torch.relu(values @ inner.T + own)
    scores = (values @ weights.T + bias)[:, 0]
    sizes = [len(wanted) for _, wanted in lists]
    losses = [
        -(wanted * torch.log_softmax(own, dim=0)).sum()
        for own, (_, wanted) in zip(torch.split(scores, sizes), lists, strict=True)
    ]
    return torch.stack(losses).mean()
