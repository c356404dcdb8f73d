"""One picture: from bytes or an array to uint8 (c, h, w) of the wanted size and colours.

Knows nothing of data sets. What is asked of every picture of a set is a `Look`.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Bytes = NDArray[np.uint8]

# Of what Pillow reads, formats that are pictures only: others start programs, such as Ghostscript.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_GREY_MODES = ("1", "L", "LA", "La")


@dataclass(frozen=True)
class Look:
    """What a picture is made into: `size` is the side of its centre square, scaled; None leaves things be."""

    size: int | None = None
    grey: bool | None = None


def decode(content: bytes, look: Look, name: str) -> Bytes:
    """The picture in an encoded file, (c, h, w). ValueError, naming it, where it is none or too large."""
    try:
        with _without_bombs(), Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            return render(ImageOps.exif_transpose(image), look)
    except UnidentifiedImageError:
        raise ValueError(f"{name} is not a picture that can be read") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValueError(f"{name} has too many pixels to read") from None
    except (OSError, SyntaxError, EOFError, ValueError) as error:  # what Pillow raises within a damaged file
        raise ValueError(f"{name} is damaged: {str(error).splitlines()[0]}") from None


@contextmanager
def _without_bombs() -> Iterator[None]:
    """Within it Pillow refuses what it would only warn of: a file of a few bytes, of 90 million pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def render(image: Image.Image, look: Look) -> Bytes:
    """The picture in the look, (c, h, w) with one channel where it is grey, else three."""
    image = _in_bytes(image)
    grey = image.mode == "L" if look.grey is None else look.grey
    image = image.convert("L" if grey else "RGB")
    if look.size is not None and image.size != (look.size, look.size):
        # Cropped before it is scaled: a picture one pixel wide is not blown up along its length.
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.crop((left, top, left + side, top + side))
        image = square.resize((look.size, look.size), Image.Resampling.BICUBIC)
    array = np.asarray(image)
    return array[None] if grey else array.transpose(2, 0, 1)


def _in_bytes(image: Image.Image) -> Image.Image:
    """The picture in mode L or RGB: 16 bits shortened, what is transparent laid on white."""
    if image.mode.startswith("I"):
        deep = np.asarray(image.convert("I")).clip(0, 65535)
        return Image.fromarray((deep >> 8).astype(np.uint8))
    grey = image.mode in _GREY_MODES
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    return image.convert("L" if grey else "RGB")
