"""Fusion: what a passage says and what its image shows, in one vector.

The text's unit vector and, at WEIGHT of its length, the image's stand side by side; the whole is of
length 1 again. What an item lacks is zeros: items of which only texts are known are found by texts,
and those that have only an image by their likes. Where the deployment has no images looked at, a
passage's vector is its text's alone, as the text encoder made it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeVar

import numpy as np

from recommend import encoders, images
from recommend.images import Unread
from recommend.images.gallery import Gallery

WEIGHT: Final = 0.7
"""Measured on groceries (docs/content.md). It is part of what an image encoder's name says."""

FEWER: Final = 64
"""Passages in a batch with images: a second's work."""

BATCH: Final = 512

Vector = list[float]
Made = TypeVar("Made")


class Described(Protocol):
    """A text, the address of an image, or both."""

    @property
    def body(self) -> str | None: ...
    @property
    def image(self) -> str | None: ...


class Encoded(NamedTuple):
    """A vector, unless nothing could be encoded, and why the image was not read, if it was not."""

    vector: Vector | None
    unread: str | None = None


@dataclass(frozen=True, slots=True)
class Fusion:
    """An encoder of texts, and whether images are looked at beside."""

    texts: encoders.Encoder
    looks: bool

    @property
    def name(self) -> str:
        return f"{self.texts.name}+{images.NAME}" if self.looks else self.texts.name

    @property
    def dimensions(self) -> int:
        return self.texts.dimensions + (images.DIMENSIONS if self.looks else 0)

    @property
    def batch(self) -> int:
        return FEWER if self.looks else BATCH

    def encode(self, passages: Sequence[Described], gallery: Gallery) -> list[Encoded]:
        """What came of each, in their order. Raises ModelMissing."""
        texts = _each([one.body for one in passages], self.texts.encode)
        if not self.looks:
            return [Encoded(vector) for vector in texts]
        seen = _each([one.image for one in passages], lambda named: _look(named, gallery))
        return [self._fuse(*both) for both in zip(texts, seen, strict=True)]

    def _fuse(self, said: Vector | None, shown: Vector | Unread | None) -> Encoded:
        unread = str(shown) if isinstance(shown, Unread) else None
        shown = None if isinstance(shown, Unread) else shown
        if said is None and shown is None:
            return Encoded(None, unread)
        left = np.zeros(self.texts.dimensions) if said is None else np.array(said)
        right = np.zeros(images.DIMENSIONS) if shown is None else WEIGHT * np.array(shown)
        whole = np.concatenate([left, right])
        return Encoded((whole / np.linalg.norm(whole)).tolist(), unread)


def chosen() -> Fusion:
    """The deployment's. Without the image encoder's packages it goes on with texts alone."""
    return Fusion(encoders.chosen(), images.are_read())


def _each(
    given: Sequence[str | None], encode: Callable[[Sequence[str]], Sequence[Made]]
) -> list[Made | None]:
    """What is made of each, once of what is there twice; None of None."""
    different = list(dict.fromkeys(one for one in given if one is not None))
    made = dict(zip(different, encode(different) if different else (), strict=True))
    return [None if one is None else made[one] for one in given]


def _look(addresses: Sequence[str], gallery: Gallery) -> list[Vector | Unread]:
    """The images' vectors; a picture that could not be read stays its reason."""
    from recommend.images import lite0

    found = gallery.look(addresses)
    made = iter(lite0.encode([one for one in found if not isinstance(one, Unread)]))
    return [one if isinstance(one, Unread) else next(made) for one in found]
