"""Pixels: an image file of a stranger becomes a small square picture, or a reason why not.

How much is unpacked is bounded before anything is: a file of a few bytes can claim a billion
pixels. Only what browsers show is decoded, and of what moves, the first picture.
"""

import io
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from recommend.images import Unread

Pixels = npt.NDArray[np.uint8]
"""Rows, columns, and red, green and blue of 0 to 255."""

SIDE: Final = 224
MOST: Final = 40_000_000
"""Pixels of a file: up to half a gigabyte while it is unpacked and turned."""

FORMATS: Final = ("AVIF", "GIF", "JPEG", "PNG", "WEBP")
WHITE: Final = (255, 255, 255)


def unpack(file: bytes) -> Pixels:
    """The picture on a white square of SIDE × SIDE, whole and upright. Raises Unread."""
    try:
        with Image.open(io.BytesIO(file), formats=FORMATS) as image:
            return np.asarray(_square(image), dtype=np.uint8)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large() from None
    except Unread:
        raise
    except Exception as error:
        # Decoders raise whatever a broken file makes of them, from SyntaxError to struct.error.
        raise Unread("it is no picture, or a broken one") from error


def _square(image: Image.Image) -> Image.Image:
    if image.width * image.height > MOST:
        raise _too_large()
    # A JPEG is unpacked at an eighth to a half of its size where that is enough.
    image.draft("RGB", (2 * SIDE, 2 * SIDE))
    colours = "RGBA" if image.has_transparency_data else "RGB"
    upright = ImageOps.exif_transpose(image).convert(colours)
    small = ImageOps.contain(upright, (SIDE, SIDE), Image.Resampling.BICUBIC)
    square = Image.new("RGB", (SIDE, SIDE), WHITE)
    middle = ((SIDE - small.width) // 2, (SIDE - small.height) // 2)
    square.paste(small, middle, small if colours == "RGBA" else None)
    return square


def _too_large() -> Unread:
    return Unread(f"it has more than {MOST // 1_000_000} million pixels")
