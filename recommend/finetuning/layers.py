"""Layers: the network itself is taught, all of it or its last layers. Loads torch.

Only for an encoder whose weights are in torch. Words are left where they lie in `last`; nothing is
dropped out, so that the same lessons give the same network on the same machine. What is kept is how
it was when what was chosen next was found best.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from recommend import cores, surely
from recommend.encoders import english
from recommend.encoders.tuned import Weights
from recommend.finetuning import judgement
from recommend.finetuning.contrast import Known, batches, loss
from recommend.finetuning.pairs import Lessons, Pairs, fewer

LAST: Final = 2
"""Layers that are taught where not all are."""

BATCH: Final = 64
TOKENS: Final = 64
"""Of a text while it teaches: title, brand and category come first."""

EPOCHS: Final = 10
STEPS: Final = 50
"""From one look at how good it is to the next."""

PATIENCE: Final = 4
"""Looks without anything better, and it ends."""

RATE: Final = 5e-5
DECAY: Final = 0.01
SEED: Final = 1

SHOPPERS: Final = 300
TEXTS: Final = 2_000
"""By whom it is known when to stop, and among how many texts: all are encoded at each look."""


def train(
    lessons: Lessons, of: Callable[[Any], Iterator[Any]], is_over: Callable[[], bool], looks: Any = iter
) -> Weights:  # fmt: skip
    """Teach those parameters of the network that `of` names (every, last). `looks` wraps the loop
    (a progress bar); it ends early where `is_over` says so."""
    import torch

    with cores.one():
        tokenizer, model = english.load()
        taught = dict(of(model))
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in taught.values():
            parameter.requires_grad_(True)
        optimizer = torch.optim.AdamW(taught.values(), lr=RATE, weight_decay=DECAY)
        known = Known(lessons.pairs, len(lessons.texts))
        best = _Best(fewer(lessons, SHOPPERS, TEXTS), tokenizer, model, taught)
        steps = _steps(lessons.pairs)
        for _ in looks(range(EPOCHS * -(-len(lessons.pairs) // (BATCH * STEPS)))):
            for _, batch in zip(range(STEPS), steps, strict=False):
                optimizer.zero_grad()
                _loss(model, tokenizer, lessons, batch, known).backward()
                optimizer.step()
                if is_over():
                    break
            if not best.is_improving() or is_over():
                break
        return best.weights


def every(model: Any) -> Iterator[tuple[str, Any]]:
    """All that decides a vector; its pooler does not."""
    return ((n, p) for n, p in model.named_parameters() if not n.startswith("pooler"))


def last(model: Any) -> Iterator[tuple[str, Any]]:
    """The last layers."""
    first = model.config.num_hidden_layers - LAST
    ours = tuple(f"encoder.layer.{first + n}." for n in range(LAST))
    return ((n, p) for n, p in model.named_parameters() if n.startswith(ours))


def _steps(pairs: Pairs) -> Iterator[Pairs]:
    """Batch after batch, epoch after epoch."""
    import torch

    chance = torch.Generator().manual_seed(SEED)
    for _ in range(EPOCHS):
        yield from batches(pairs, BATCH, chance)


def _loss(model: Any, tokenizer: Any, lessons: Lessons, batch: Pairs, known: Known) -> Any:
    import torch

    texts = [lessons.texts[place] for place in batch.T.ravel().tolist()]
    tokens = english.parted(tokenizer, texts, TOKENS)
    with torch.autocast("cpu", torch.bfloat16, enabled=english.has_bfloat16()):
        vectors = english.means(model, tokens)
    first, second = vectors.float().split(len(batch))
    return loss(first, second, known.beside(batch))


class _Best:
    """The parameters that find best what was chosen next."""

    def __init__(self, tried: Lessons, tokenizer: Any, model: Any, taught: Any) -> None:
        self._tried, self._tokenizer, self._model, self._taught = tried, tokenizer, model, taught
        self._found, self._waited = self._judge(), 0
        self.weights = self._rounded()

    def is_improving(self) -> bool:
        """Keep them if they are the best so far; whether some lately were."""
        found = self._judge()
        if found > self._found:
            self.weights, self._found, self._waited = self._rounded(), found, 0
            return True
        self._waited += 1
        return self._waited < PATIENCE

    def _rounded(self) -> Weights:
        return {n: p.detach().numpy().astype(np.float16) for n, p in self._taught.items()}

    def _judge(self) -> float:
        import torch

        with torch.autocast("cpu", torch.bfloat16, enabled=english.has_bfloat16()):
            lies = english.encode_with(self._tokenizer, self._model, self._tried.texts)
        found = judgement.of_shoppers(np.array(lies, np.float32), self._tried.tried)
        return surely.mean(found)
