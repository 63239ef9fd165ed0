"""Training: the encoder learns to foretell what shoppers did next. Loads torch.

Sampled softmax over unit vectors: what came next against NEGATIVES items that a whole step shares,
drawn by popularity and corrected for it (Bengio and Senécal, 2008). What serves is a running mean
of the weights, as it was when it foretold the last moments of HELD shoppers best.
On one core; the same histories, seed and encoder to begin with give the same one.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from recommend import cores
from recommend.spaces.histories import KINDS, Histories, Whole, once_a_run
from recommend.spaces.lesson import Aim, Exam, Lesson, divide, follows, places, rounds, worth
from recommend.spaces.network import HEADS, LATEST, Encoder, unit
from recommend.spaces.sequence import WARMTH

if TYPE_CHECKING:
    import torch

    Weights = dict[str, torch.Tensor]

WIDTH: Final = 64
NEGATIVES: Final = 512
POPULARITY: Final = 0.75
"""The power of an item's events by which it is drawn as a negative."""

RATE: Final = 6e-3
WARMING: Final = 100
"""Steps in which the rate rises."""

DECAY: Final = 0.01
DROPPED: Final = 0.2
MEAN: Final = 0.99
"""What the running mean keeps of itself a step."""

PATIENCE: Final = 5
"""Exams without a better one, after which learning ends."""


def train(
    histories: Histories,
    n_items: int,
    *,
    most: int,
    aim: Aim = Aim.NEXT,
    warm: Encoder | None = None,
    seed: int = 0,
    each: Any = iter,
) -> Encoder:
    """Learn from the histories in at most so many steps. `warm` is an encoder to go on from, its
    rows as items are numbered now and zeros for those it does not know. `each` wraps the loop over
    exams (a progress bar)."""
    _check(histories, n_items, warm)
    lesson, exam = divide(once_a_run(histories), aim, np.random.default_rng(seed))
    with cores.one():
        return _train(lesson, exam, _beginning(n_items, warm, aim, seed), most, seed, each)


def _check(histories: Histories, n_items: int, warm: Encoder | None) -> None:
    items = histories.items
    if items.min(initial=0) < 0 or items.max(initial=0) >= n_items:
        raise ValueError(f"Items must be numbers from 0 to {n_items - 1}.")
    if warm and warm.items.shape != (n_items, WIDTH):
        raise ValueError(f"The encoder to go on from must have {n_items} rows of {WIDTH}.")


# ── learning ───────────────────────────────────────────────────────────────────────────────


def _train(
    lesson: Lesson, exam: Exam, weights: "Weights", most: int, seed: int, each: Any
) -> Encoder:
    learner = _learner(lesson, weights, seed)
    best, since = _encoder(learner.mean), 0
    highest = worth(best, exam)
    for steps in each(rounds(lesson, learner.chance)):
        for windows in steps[:most]:
            _step(learner, lesson, windows)
        most -= len(steps)
        now = _encoder(learner.mean)
        reached = worth(now, exam)
        since += 1
        # Without shoppers who judge, or before anything is foretold, the last is the best.
        if reached > highest or not highest:
            best, highest, since = now, reached, 0
        if since == PATIENCE or most <= 0:
            break
    return best


@dataclass(frozen=True, slots=True)
class Learner:
    """All that a step moves: `mean` is the running mean of `weights`."""

    weights: "Weights"
    mean: "Weights"
    optimizer: "torch.optim.Optimizer"
    rate: "torch.optim.lr_scheduler.LambdaLR"
    drawn: npt.NDArray[np.float64]
    """The chance of each item, and of all before it, to be drawn as a negative."""

    often: "torch.Tensor"
    """The logarithm of how often each item is expected among the negatives."""

    chance: np.random.Generator
    dropping: "torch.Generator"


def _learner(lesson: Lesson, weights: "Weights", seed: int) -> Learner:
    import torch

    block = [values for name, values in weights.items() if name != "items"]
    groups: list[dict[str, Any]] = [
        {"params": [weights["items"]], "weight_decay": 0.0},
        {"params": block},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, weight_decay=DECAY, fused=True)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, (step + 1) / WARMING))
    counts = np.bincount(lesson.told.items, minlength=len(weights["items"])) + 1.0
    shares = counts**POPULARITY / (counts**POPULARITY).sum()
    return Learner(
        weights,
        {name: values.detach().clone() for name, values in weights.items()},
        optimizer,
        rate,
        np.cumsum(shares),
        torch.from_numpy(np.log(shares * NEGATIVES).astype(np.float32)),
        np.random.default_rng(seed),
        # A generator of its own: other threads of this process draw from the common one.
        torch.Generator().manual_seed(seed),
    )


def _step(learner: Learner, lesson: Lesson, windows: Whole) -> None:
    import torch

    at, real = places(windows)
    wanted, real = follows(lesson, at, real, learner.chance)
    if not real.any():
        return
    told, items = lesson.told, lesson.told.items
    heard = _encoded(learner.weights, items[at], told.kinds[at], learner.dropping)
    right = torch.from_numpy(items[wanted][real].astype(np.int64))
    drawn = np.searchsorted(learner.drawn, learner.chance.random(NEGATIVES))
    wrong = torch.from_numpy(np.minimum(drawn, len(learner.often) - 1))
    learner.optimizer.zero_grad()
    _loss(learner, heard[torch.from_numpy(real)], right, wrong).backward()  # type: ignore[no-untyped-call]
    learner.optimizer.step()
    learner.rate.step()
    _mean(learner)


def _mean(learner: Learner) -> None:
    import torch

    # The first steps are of no use to anybody, so the mean forgets them faster.
    step = learner.rate.last_epoch
    with torch.no_grad():
        torch._foreach_lerp_(
            list(learner.mean.values()),
            [values.detach() for values in learner.weights.values()],
            1 - min(MEAN, step / (step + 10)),
        )


# ── the network in torch ───────────────────────────────────────────────────────────────────


def _beginning(n_items: int, warm: Encoder | None, aim: Aim, seed: int) -> "Weights":
    """Weights to begin with; those of `warm` where it has some."""
    import torch

    chance = torch.Generator().manual_seed(seed)

    def drawn(*shape: int, spread: float) -> torch.Tensor:
        return torch.randn(*shape, generator=chance) * spread

    weights = {
        "items": drawn(n_items, WIDTH, spread=WIDTH**-0.5),
        "kinds": drawn(KINDS, WIDTH, spread=0.02),
        "query": drawn(WIDTH, WIDTH, spread=0.5 * WIDTH**-0.5),
        "key": drawn(WIDTH, WIDTH, spread=0.5 * WIDTH**-0.5),
        "turn": torch.eye(WIDTH),
        "own": torch.full((WIDTH,), float(aim is Aim.NEXT)),
        "ages": torch.zeros(HEADS, LATEST),
        "kinds_heard": torch.zeros(HEADS, KINDS),
    }
    if warm:
        known = torch.from_numpy(warm.items.any(axis=1))
        weights["items"][known] = torch.from_numpy(warm.items)[known]
        weights |= {name: torch.from_numpy(values.copy()) for name, values in warm.weights.items()}
    return {name: values.requires_grad_() for name, values in weights.items()}


def _encoded(
    weights: "Weights",
    items: npt.NDArray[np.int32],
    kinds: npt.NDArray[np.int8],
    dropping: "torch.Generator | None" = None,
) -> "torch.Tensor":
    """(windows, places, WIDTH): what network.users makes of each place and those before it."""
    import torch
    from torch.nn import functional

    own, told = torch.from_numpy(items.astype(np.int64)), torch.from_numpy(kinds.astype(np.int64))
    vectors = functional.normalize(functional.embedding(own, weights["items"]), dim=-1)
    places = vectors * WIDTH**0.5 + functional.embedding(told, weights["kinds"])
    places = _dropped(places, dropping)
    heard = _shares(weights, places, told) @ places + weights["own"] * places
    return functional.normalize(functional.linear(heard, weights["turn"]), dim=-1)


def _shares(weights: "Weights", places: "torch.Tensor", kinds: "torch.Tensor") -> "torch.Tensor":
    """(windows, places, places): what each place takes of itself and of those before it."""
    import torch
    from torch.nn import functional

    windows, length, _ = places.shape
    standard = functional.layer_norm(places, (WIDTH,))
    asked, keys = (
        functional.linear(standard, weights[name]).view(windows, length, HEADS, -1).transpose(1, 2)
        for name in ("query", "key")
    )
    ages = torch.arange(length)[:, None] - torch.arange(length)
    loud = weights["ages"][:, ages.clamp(min=0)].masked_fill(ages < 0, -1e9)
    loud = loud + weights["kinds_heard"][:, kinds].transpose(0, 1)[:, :, None]
    loud = loud + asked @ keys.transpose(2, 3) * (WIDTH / HEADS) ** -0.5
    return torch.softmax(loud, dim=-1).mean(dim=1)


def _dropped(values: "torch.Tensor", dropping: "torch.Generator | None") -> "torch.Tensor":
    import torch

    if dropping is None:
        return values
    kept = torch.empty_like(values).bernoulli_(1 - DROPPED, generator=dropping)
    return values * kept / (1 - DROPPED)


def _loss(
    learner: Learner, heard: "torch.Tensor", right: "torch.Tensor", wrong: "torch.Tensor"
) -> "torch.Tensor":
    """Cross entropy of what came next among the negatives, those that are the same item aside."""
    import torch
    from torch.nn import functional

    heard = heard / WARMTH
    of_right, of_wrong = (
        functional.normalize(functional.embedding(items, learner.weights["items"]), dim=-1)
        for items in (right, wrong)
    )
    good = (heard * of_right).sum(dim=-1)
    bad = heard @ of_wrong.T - learner.often[wrong]
    bad = bad.masked_fill(right[:, None] == wrong, -1e9)
    return (torch.logaddexp(good, torch.logsumexp(bad, dim=1)) - good).mean()


def _encoder(weights: "Weights") -> Encoder:
    made = {name: values.detach().numpy().copy() for name, values in weights.items()}
    return Encoder(unit(made.pop("items")), made)
