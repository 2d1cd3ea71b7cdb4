"""Decoding an image file, whatever it turns out to hold, to what people see of it."""

import functools
import io
import logging
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from memrec_core.datasets.depth import to_8_bits
from memrec_core.datasets.remarks import Note, shown_name
from memrec_core.errors import InputError, in_a_line

logging.getLogger("PIL").addHandler(logging.NullHandler())  # or Python prints its errors, which decode raises

FORMATS = (
    "JPEG", "MPO", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM",
    "ICO", "ICNS", "CUR", "PCX", "DCX", "SGI", "SUN", "QOI", "DDS", "XBM", "XPM",
)  # fmt: skip
"""Pixels in a file, with bytes that say so. No decoder of anything else is ever tried: those of documents, drawings and
films start programs (EPS: Ghostscript) or are stubs."""
BY_ENDING = ("TGA",)
"""Likewise, but nothing in the file says so: only the ending does."""
MAX_BYTES = 2**30
"""Of a picture's file."""
ROTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes an orientation of EXIF."""
METADATA = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
"""Where Pillow keeps what may tell the orientation."""
LONG = 4
"""Of a picture that is longer than this many times its width, the centred square shows little."""
FLAT = 8
"""A picture whose values differ by fewer steps of 255 is of one colour, or nearly."""
POINTERS = {
    b"version https://git-lfs": "it is a pointer of Git LFS; fetch the file with git lfs pull",
    b"/annex/objects/": "it is a pointer of git-annex; fetch the file with git annex get",
}


@functools.cache
def endings() -> dict[str, str]:
    """The format of each ending, in lower case and with its dot, that a picture's file may have."""
    Image.init()
    readable = {*FORMATS, *BY_ENDING}
    return {ending: format_ for ending, format_ in Image.registered_extensions().items() if format_ in readable}


def is_picture(name: str) -> bool:
    """Whether the ending of a file's name is a picture's."""
    _, dot, ending = name.rpartition(".")
    return bool(dot) and f".{ending.lower()}" in endings()


def read(path: Path, name: str) -> bytes:
    """The bytes of a picture's file. Raises InputError, which names the file, where it can't be read or is absurdly
    large."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            refuse_large(size, name)
            return file.read(size + 1)
    except OSError as error:
        raise InputError(
            f"{shown_name(name)} can't be read ({in_a_line(error)}); replace the file or take it out of the data set"
        ) from error


def refuse_large(size: int, name: str) -> None:
    """Raises InputError where a picture's file of `size` bytes is absurdly large."""
    if size > MAX_BYTES:
        raise InputError(
            f"{shown_name(name)} has {size} bytes, more than a picture's 2**30; take it out of the data set"
        )


def decode(data: bytes, name: str, note: Note = lambda _: None) -> Image.Image:
    """The RGB image in `data` as people see it: turned as its EXIF says, over white where it is transparent, its first
    frame where it has several, grey-scale as three equal channels. What else was done to it is told to `note`.

    Raises InputError, naming the file, where the data is not an image, is cut short, or is absurdly large.
    """
    try:
        with warnings.catch_warnings():  # of odd metadata, and of large pictures below Pillow's limit
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_formats(name)) as image:
                seen = _turned(_over_white(to_8_bits(image, data, note), note), image, note)
                if _has_frames(image):
                    note("of several frames read as the first")
                return seen
    except Exception as error:  # damaged and hostile files make the decoders fail in many ways
        raise InputError(
            f"{shown_name(name)} can't be read as an image ({_reason(data, error)}); replace the file or take it out "
            "of the data set"
        ) from error


def _formats(name: str) -> list[str]:
    format_ = endings().get(os.path.splitext(name)[1].lower())
    return [one for one in FORMATS if one in Image.OPEN] + [one for one in BY_ENDING if one == format_]


def _reason(data: bytes, error: Exception) -> str:
    if not data:
        return "it is empty"
    for start, reason in POINTERS.items():
        if data.startswith(start):
            return reason
    if isinstance(error, UnidentifiedImageError):
        return "its format is none that is known"
    return "it takes more memory than there is" if isinstance(error, MemoryError) else in_a_line(error)


def _over_white(image: Image.Image, note: Note) -> Image.Image:
    """`image` as RGB, laid over white where it has transparent parts."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    if isinstance(image, ImageFile.ImageFile) and image.mode == "L" and "transparency" in image.info:
        _scale_clear_grey(image)
    seen = image.convert("RGBA")
    if seen.getextrema()[3][0] == 255:
        return image.convert("RGB")
    note("laid over white where transparent")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")


def _scale_clear_grey(image: ImageFile.ImageFile) -> None:
    """Pillow scales grey of 2 and 4 bits to 8, but not the grey that is named as transparent."""
    args = image.tile[0].args if image.tile else ""
    image.info["transparency"] *= {"L;2": 85, "L;4": 17}.get(args if isinstance(args, str) else "", 1)


def _turned(seen: Image.Image, image: ImageFile.ImageFile, note: Note) -> Image.Image:
    """`seen`, turned as the metadata of `image` says; Pillow itself turns a TIFF."""
    if image.format == "TIFF" or not any(key in image.info for key in METADATA):
        return seen
    try:
        orientation = image.getexif().get(0x0112)
    except Exception:  # nonsense in the metadata, which no viewer heeds either
        note("with unreadable EXIF left unturned")
        return seen
    rotation = ROTATIONS.get(orientation) if isinstance(orientation, int) else None
    return seen if rotation is None else seen.transpose(rotation)


def _has_frames(image: ImageFile.ImageFile) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a second frame that can't be read: the first one could
        return False


def to_square(image: Image.Image, size: int, note: Note = lambda _: None) -> np.ndarray:
    """The centred square of `image`, resampled to (size, size, 3) uint8 with an antialiasing filter. What of it is odd
    is told to `note`."""
    side = min(image.size)
    if max(image.size) > LONG * side:
        note(f"more than {LONG} times as long as wide cut to the centred square")
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    if side < size:
        note(f"smaller than {size} x {size} enlarged to it")
    if side != size:
        square = square.resize((size, size), Image.Resampling.BOX if side > size else Image.Resampling.BICUBIC)
    if all(high - low < FLAT for low, high in square.getextrema()):
        note("of one colour, or nearly")
    return np.asarray(square)
