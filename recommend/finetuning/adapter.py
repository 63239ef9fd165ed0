"""The adapter: a linear map that is added to an encoder's vectors. Loads torch.

The encoder stays as it is, so any can have one, also those whose weights nobody can teach. It
begins as nothing, at the encoder's own vectors, and decays towards them; what is kept is how it was
when what was chosen next was found best. The same lessons give the same map.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from recommend import cores, surely
from recommend.encoders.tuned import Map, Weights, adapted, as_adapter
from recommend.finetuning import judgement
from recommend.finetuning.contrast import Known, batches, loss
from recommend.finetuning.judgement import Vectors
from recommend.finetuning.pairs import Lessons

BATCH: Final = 512
EPOCHS: Final = 40
PATIENCE: Final = 4
"""Epochs without anything better, and it ends."""

RATE: Final = 1e-3
DECAY: Final = 1.0
SEED: Final = 1


def train(
    lessons: Lessons, plain: Vectors, is_over: Callable[[], bool], epochs: Any = iter
) -> Weights:
    """Learn from the pairs; `plain` are the encoder's vectors of the texts. `epochs` wraps the
    loop (a progress bar); it ends early where `is_over` says so."""
    import torch

    with cores.one():
        chance = torch.Generator().manual_seed(SEED)
        known = Known(lessons.pairs, len(lessons.texts))
        lies = torch.from_numpy(plain)
        learned = torch.zeros((plain.shape[1],) * 2, requires_grad=True)
        optimizer = torch.optim.AdamW([learned], lr=RATE, weight_decay=DECAY)
        best = _Best(lessons, plain)
        for _ in epochs(range(EPOCHS)):
            for batch in batches(lessons.pairs, BATCH, chance):
                optimizer.zero_grad()
                first, second = (_moved(lies[torch.from_numpy(side)], learned) for side in batch.T)
                loss(first, second, known.beside(batch)).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            if not best.is_improving(learned.detach().numpy()) or is_over():
                break
        return as_adapter(best.map)


def _moved(lies: Any, learned: Any) -> Any:
    import torch

    return torch.nn.functional.normalize(lies + lies @ learned, dim=1)


class _Best:
    """The map that finds best what was chosen next."""

    def __init__(self, lessons: Lessons, plain: Vectors) -> None:
        self._lessons, self._plain, self._waited = lessons, plain, 0
        self.map: Map = np.zeros((plain.shape[1],) * 2, np.float16)
        self._found = self._judge(self.map)

    def is_improving(self, learned: Vectors) -> bool:
        """Keep it if it is the best so far; whether one lately was."""
        rounded = learned.astype(np.float16)
        found = self._judge(rounded)
        if found > self._found:
            self.map, self._found, self._waited = rounded, found, 0
            return True
        self._waited += 1
        return self._waited < PATIENCE

    def _judge(self, rounded: Map) -> float:
        vectors = adapted(rounded, self._plain)
        return surely.mean(judgement.of_shoppers(vectors, self._lessons.tried))
