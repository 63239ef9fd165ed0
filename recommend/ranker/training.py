"""Training: the network learns to put what was bought above what was not. Loads torch.

The loss is a softmax's cross entropy: each item bought among all that were not, less for one that stood
high in a list of ours (looks). What was bought does not compete, as it does in ListNet (Cao et al., ICML
2007): who buys twenty things wants no order among them (NDCG@10 of shoppers held out: a wholesaler's .297
in place of .295, the groceries' .304 in place of .302). A list in which four times as much was bought
counts twice: by lists those who bought one thing would teach most, by items those who bought fifty (in
weeks not learned from, the wholesaler's .371 in place of .368 where lists count alike; the groceries'
.4415, and .4396 where items do).
Weights decay, the rate falls along half a cosine. A few are trained from other beginnings and serve as
one: what each learned by chance the others outvote. The same examples give the same network.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from recommend import cores
from recommend.ranker.examples import Example
from recommend.ranker.features import Matrix
from recommend.ranker.network import FURTHEST, Knots, Network, Vector, beside

if TYPE_CHECKING:
    import torch

PARTS: Final = 32
"""Of what was learned from, each as large: so finely is it known where a value stands."""

HIDDEN: Final = (64, 32)
EPOCHS: Final = 20
LISTS: Final = 32
"""Lists a step."""

RATE: Final = 3e-3
DECAY: Final = 1e-4
DROPPED: Final = 0.1
"""Of the hidden units, at each step anew (Srivastava et al., JMLR 2014)."""

UNHEARD: Final = -1e9
"""A score far below every other. Of minus infinity alone a sum has no gradient, but NaN."""

SEEDS: Final = (1, 2, 3)


def train(examples: Sequence[Example], epochs: Any = iter) -> Network:
    """Learn from the examples. `epochs` wraps the loops over epochs (a progress bar)."""
    knots = known(np.concatenate([example.told for example in examples]))
    heard = [beside(example.told, knots) for example in examples]
    rows = np.concatenate(heard)
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    lists = [_tensors(own, e, mean, spread) for own, e in zip(heard, examples, strict=True)]
    # Steps are so small that cores would rather wait for each other, for ten minutes where another
    # process has one of them; folds and lists go on beside it.
    with cores.one():
        layers = joined([_train(lists, seed, epochs) for seed in SEEDS])
    return Network(mean, spread, layers, knots)


def known(rows: Matrix) -> tuple[Knots, ...]:
    """The knots of each feature that takes more than two values."""
    shares = np.linspace(0, 1, PARTS + 1)
    found = []
    for of, values in enumerate(rows.T):
        at, first = np.unique(np.quantile(values, shares, method="lower"), return_index=True)
        if len(at) > 2:
            found.append(Knots(of, at.astype(np.float32), shares[first].astype(np.float32)))
    return tuple(found)


Trained = tuple[tuple[Matrix, Vector], ...]
"""Weights (out, in) and a bias of each layer."""


def joined(trained: Sequence[Trained]) -> Trained:
    """The layers of a network whose scores are the mean of theirs: they lie side by side."""
    from scipy.linalg import block_diag

    first, *middle, last = zip(*trained, strict=True)
    beside = [(block_diag(*(w for w, _ in layer)), _in_line(layer)) for layer in middle]
    weights = (np.concatenate([w for w, _ in last], axis=1) / len(trained)).astype(np.float32)
    bias: Vector = np.mean([b for _, b in last], axis=0, dtype=np.float32)
    return ((np.concatenate([w for w, _ in first]), _in_line(first)), *beside, (weights, bias))


def _in_line(layer: Sequence[tuple[Matrix, Vector]]) -> Vector:
    return np.concatenate([bias for _, bias in layer])


def _train(lists: Sequence["Listed"], seed: int, epochs: Any) -> Trained:
    import torch

    # A generator of its own: other threads of this process draw from the common one.
    chance = torch.Generator().manual_seed(seed)
    layers = _layers(lists[0][0].shape[1], chance)
    optimizer = torch.optim.AdamW(_parameters(layers), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * -(-len(lists) // LISTS)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in epochs(range(EPOCHS)):
        for chosen in torch.split(torch.randperm(len(lists), generator=chance), LISTS):
            optimizer.zero_grad()
            _loss(layers, [lists[int(n)] for n in chosen], chance).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            rate.step()
    return tuple((w.detach().numpy().copy(), b.detach().numpy().copy()) for w, b in layers)


Layers = list[tuple["torch.Tensor", "torch.Tensor"]]
Listed = tuple["torch.Tensor", "torch.Tensor"]
"""What is told of a list's candidates, and how much each counts that was bought."""


def _tensors(heard: Matrix, example: Example, mean: Any, spread: Any) -> "Listed":
    import torch

    told = np.clip((heard - mean) / spread, -FURTHEST, FURTHEST).astype(np.float32)
    wanted = example.wanted.astype(np.float32)
    counts = wanted / np.sqrt(wanted.sum())
    # Not made whole again: a list of which all was found at the top teaches less than another.
    own = counts if example.worth is None else counts * example.worth
    return torch.from_numpy(told), torch.from_numpy(own)


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


def _loss(layers: Layers, lists: Sequence["Listed"], chance: "torch.Generator") -> "torch.Tensor":
    """The mean over lists, of one product for all their candidates."""
    import torch

    values = torch.cat([told for told, _ in lists])
    *hidden, (weights, bias) = layers
    for inner, own in hidden:
        values = _dropped(torch.relu(values @ inner.T + own), chance)
    scores = (values @ weights.T + bias)[:, 0]
    sizes = [len(wanted) for _, wanted in lists]
    losses = [
        _lost(own, wanted)
        for own, (_, wanted) in zip(torch.split(scores, sizes), lists, strict=True)
    ]
    return torch.stack(losses).mean()


def _lost(scores: "torch.Tensor", wanted: "torch.Tensor") -> "torch.Tensor":
    """Of one list; where all was bought there is nothing to lose."""
    import torch

    others = torch.logsumexp(scores.masked_fill(wanted > 0, UNHEARD), dim=0)
    return (wanted * (torch.logaddexp(scores, others) - scores)).sum()


def _dropped(values: "torch.Tensor", chance: "torch.Generator") -> "torch.Tensor":
    """Some units silent, the others as much louder: serving hears all of them as they are."""
    import torch

    heard = torch.rand(values.shape, generator=chance) >= DROPPED
    return values * heard / (1 - DROPPED)
