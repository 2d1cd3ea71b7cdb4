"""Decoding an image file, whatever it turns out to hold."""

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from memrec_core.errors import InputError, in_a_line

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"}


def decode(data: bytes, name: str) -> Image.Image:
    """The RGB image in `data`; grey-scale becomes three equal channels, and of 16 bits the upper 8 are kept.

    Raises InputError, naming the file, where the data is not an image, is cut short, is absurdly large, or has pixels
    without a known range.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode in ("I", "F"):
                raise ValueError("its pixels are 32-bit numbers; expected 8 or 16 bits")
            if image.mode.startswith("I;16"):
                return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        if not data:
            reason = "it is empty"
        else:
            unidentified = isinstance(error, UnidentifiedImageError)
            reason = "its format is none that is known" if unidentified else in_a_line(error)
        raise InputError(
            f"{name} can't be read as an image ({reason}); replace the file or take it out of the data set"
        ) from error


def to_square(image: Image.Image, size: int) -> np.ndarray:
    """The centred square of `image`, resampled to (size, size, 3) uint8 with an antialiasing filter."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    if side != size:
        square = square.resize((size, size), Image.Resampling.BOX if side > size else Image.Resampling.BICUBIC)
    return np.asarray(square)
