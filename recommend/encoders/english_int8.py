"""The English encoder in bytes: its matrices rounded to eight bits, a quarter of the memory.

Dynamic quantisation: weights are rounded once, what passes through them each time, to the range
of all that passes together. So texts are encoded one by one, or a vector would depend on the
company. Vectors lie near the original's, but not in the same place.
"""

import functools
import warnings
from collections.abc import Sequence
from typing import Any

from recommend.encoders import english


def encode(texts: Sequence[str]) -> list[list[float]]:
    """Unit vectors of 384 floats."""
    return english.encode_with(*_rounded(), texts, batch=1)


@functools.cache
def _rounded() -> tuple[Any, Any]:
    import torch

    tokenizer, model = english.load()
    with warnings.catch_warnings():
        # It is to move to a package of its own one day; the version of torch is pinned.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        rounding = torch.ao.quantization
        kinds = {
            torch.nn.Linear: rounding.default_dynamic_qconfig,
            torch.nn.Embedding: rounding.float_qparams_weight_only_qconfig,
        }
        return tokenizer, rounding.quantize_dynamic(model, kinds)  # type: ignore[no-untyped-call]
