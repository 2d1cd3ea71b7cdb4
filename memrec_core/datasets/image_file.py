"""Decoding an image file, whatever it turns out to hold, to what people see of it, in the channels and size wanted."""

import functools
import io
import logging
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from memrec_core.datasets.array_file import is_array, picture_in
from memrec_core.datasets.depth import to_8_bits
from memrec_core.datasets.remarks import Note
from memrec_core.errors import InputError, in_a_line, shown_name

logging.getLogger("PIL").addHandler(logging.NullHandler())  # or Python prints its errors, which decode raises

FORMATS = (
    "JPEG", "MPO", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM",
    "ICO", "ICNS", "CUR", "PCX", "DCX", "SGI", "SUN", "QOI", "DDS", "XBM", "XPM",
)  # fmt: skip
"""Pixels in a file, with bytes that say so. No decoder of anything else is ever tried: those of documents, drawings and
films start programs (EPS: Ghostscript) or are stubs."""
BY_ENDING = ("TGA",)
"""Formats that nothing in the file tells: only the ending does."""
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
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Pillow's name for pictures of so many channels: grey, grey and alpha, RGB, RGB and alpha."""
GREY = ("1", "L", "LA")
"""Pillow's modes whose values are already grey: through RGB they would be the same, with more work."""
LONG = 4
"""Of a picture of which less than this part is left when it is cut to a shape, what is left shows little."""
FLAT = 8
"""A picture whose values differ by fewer steps of 255 is of one colour, or nearly."""
Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""
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
    """Whether the ending of a file's name is a picture's, or that of an array of numpy."""
    _, dot, ending = name.rpartition(".")
    return bool(dot) and (f".{ending.lower()}" in endings() or is_array(name))


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


def decode(data: bytes, name: str, channels: int = 3, note: Note = lambda _: None) -> Image.Image:
    """The image in `data` as people see it: turned as its EXIF says, its first frame where it has several.

    With 1 channel it is grey (luminance), with 3 RGB, of grey-scale three equal channels; both over white where it is
    transparent. With 2 and 4 the last channel is alpha, 255 where the file has none. What else was done to it is told
    to `note`. Raises InputError, naming the file, where the data is not an image, is cut short, or is absurdly large.
    """
    try:
        with warnings.catch_warnings():  # of odd metadata, and of large pictures below Pillow's limit
            warnings.simplefilter("ignore")
            if is_array(name):
                return _in_channels(picture_in(data, note), channels, note)
            with Image.open(io.BytesIO(data), formats=_formats(name)) as image:
                seen = _turned(_in_channels(to_8_bits(image, data, note), channels, note), image, note)
                if _has_frames(image):
                    note("of several frames read as the first")
                return seen
    except Exception as error:  # damaged and hostile files make the decoders fail in many ways
        raise InputError(
            f"{shown_name(name)} can't be read as an image ({_reason(data, error)}); replace the file or take it out "
            "of the data set"
        ) from error


def shape_of(data: bytes, name: str) -> tuple[int, int, int]:
    """(C, H, W) of the picture in `data` as people see it: 1 channel where it is grey and 3 where it is not, and one
    more where it has an alpha channel that is used. Raises InputError as `decode` does."""
    seen, mode = decode(data, name, channels=4), _mode(data, name)
    is_clear = mode in ("LA", "RGBA") and bool((np.asarray(seen.getchannel("A")) < 255).any())
    is_grey = mode in GREY or mode.startswith(("I", "F"))
    return (1 if is_grey else 3) + is_clear, seen.height, seen.width


def _mode(data: bytes, name: str) -> str:
    """Pillow's mode of the picture, as its file has it."""
    if is_array(name):
        return picture_in(data).mode
    with Image.open(io.BytesIO(data), formats=_formats(name)) as image:
        return image.mode


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


def _in_channels(image: Image.Image, channels: int, note: Note) -> Image.Image:
    """`image` in so many channels, laid over white where it has transparent parts and alpha is none of them."""
    if not image.has_transparency_data:
        return _converted(image, channels)
    if isinstance(image, ImageFile.ImageFile) and image.mode == "L" and "transparency" in image.info:
        _scale_clear_grey(image)
    seen = image.convert("RGBA")
    if channels in (2, 4):
        return _converted(seen, channels)
    if seen.getchannel("A").getextrema()[0] == 255:
        return _converted(image, channels)
    note("laid over white where transparent")
    return _converted(Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen), channels)


def _converted(image: Image.Image, channels: int) -> Image.Image:
    """`image` in so many channels; grey is the luminance of its RGB, whatever colours the file keeps."""
    direct = image.mode in (*GREY, "RGB", "RGBA") or channels == 3
    return (image if direct else image.convert("RGB")).convert(MODES[channels])


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


def pixels_of(image: Image.Image, size: tuple[int, int], channels: int = 3, note: Note = lambda _: None) -> np.ndarray:
    """The centre of `image`, as much of it as has the shape of `size`, resampled to that: (H, W, C) uint8.

    `size` is (height, width). Colours are averaged by their alpha where there is one. What of the picture is odd is
    told to `note`.
    """
    height, width = size
    box = _centre(image, size)
    across, down = box[2] - box[0], box[3] - box[1]
    if LONG * across * down < image.width * image.height:
        note(f"cut to less than a quarter of it for the shape of {height} x {width}")
    if down < height or across < width:
        note(f"smaller than {height} x {width} enlarged to it")
    seen = image if image.mode == MODES[channels] else _converted(image, channels)
    pixels = np.asarray(_resampled(seen, box, size)).reshape(height, width, channels)
    if (np.ptp(pixels, axis=(0, 1)) < FLAT).all():
        note("of one colour, or nearly")
    return pixels


def _centre(image: Image.Image, size: tuple[int, int]) -> Box:
    """The largest part of `image`, in its middle, that is as wide for its height as `size`; a square of whole pixels,
    any other to a fraction of one."""
    height, width = size
    across, down = float(image.width), float(image.height)
    if image.width * height > image.height * width:
        across = image.height * width / height
    else:
        down = image.width * height / width
    left, top = (image.width - across) / 2, (image.height - down) / 2
    if height == width:
        left, top = left // 1, top // 1
    return left, top, left + across, top + down


def _resampled(image: Image.Image, box: Box, size: tuple[int, int]) -> Image.Image:
    """What lies in `box`, at `size`.

    Pillow's box filter takes whole pixels alone. At other ratios copies of a picture come out of it that differ as
    much as pictures do, so it is kept for squares, whose pixels are known by their digests.
    """
    height, width = size
    left, top, right, bottom = box
    if (right - left, bottom - top) == (width, height) and left == left // 1 and top == top // 1:
        return image.crop((int(left), int(top), int(right), int(bottom)))
    smaller = bottom - top < height
    if height == width:
        square = image.crop((int(left), int(top), int(right), int(bottom)))
        return square.resize((width, height), Image.Resampling.BICUBIC if smaller else Image.Resampling.BOX)
    return image.resize((width, height), Image.Resampling.BICUBIC if smaller else Image.Resampling.HAMMING, box)
