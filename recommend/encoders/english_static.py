"""The English encoder as a table: a vector a token, a text is their mean, no network is run.

Distilled as model2vec does it (van Dongen & Tulkens, 2024): each token of the vocabulary is
encoded once by the original, the mean is taken off, and what is common weighs less (tokens are
numbered by frequency: Zipf). The table is made when it is first asked for, in about a minute, and
kept in RECSITE_HOME.
"""

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from django.conf import settings

from recommend import cores
from recommend.encoders import english

NAME: Final = "english-static-1"


def encode(texts: Sequence[str]) -> list[list[float]]:
    """Unit vectors of 384 floats."""
    if not texts:
        return []
    tokenizer, table = _tokenizer(), _table()
    found = tokenizer(
        list(texts), add_special_tokens=False, truncation=True, max_length=english.MOST_TOKENS
    )
    # A text without a token is where the mark lies that begins every text.
    rows = [np.asarray(ids or [tokenizer.cls_token_id]) for ids in found["input_ids"]]
    means = np.stack([table[ids].mean(axis=0, dtype=np.float32) for ids in rows])
    unit: list[list[float]] = (means / np.linalg.norm(means, axis=1, keepdims=True)).tolist()
    return unit


@functools.cache
def _tokenizer() -> Any:
    return english.load_tokenizer()


@functools.cache
def _table() -> npt.NDArray[np.float16]:
    kept = Path(settings.RECSITE_HOME) / f"{NAME}.npy"
    if not kept.exists():
        half = kept.with_suffix(f".{os.getpid()}")
        with half.open("wb") as file:
            np.save(file, _distil())
        half.replace(kept)
    table: npt.NDArray[np.float16] = np.load(kept)
    return table


def _distil() -> npt.NDArray[np.float16]:
    """A row a token, in the order of their numbers."""
    tokenizer, model = english.native()
    words = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    # Two threads that wait for each other take minutes where others want the cores, too.
    with cores.one():
        said = [word.removeprefix("##") for word in words]
        alone = np.array(english.encode_with(tokenizer, model, said, batch=512))
    weights = np.log(2 + np.arange(len(words)))
    table: npt.NDArray[np.float16] = ((alone - alone.mean(axis=0)) * weights[:, None]).astype("f2")
    return table
