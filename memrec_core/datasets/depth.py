"""Pixels of more than 8 bits, brought to 8 by what their file says of their range, or else by the range they take."""

import io
import sys

import numpy as np
from PIL import Image, ImageFile

from memrec_core.datasets.remarks import Note
from memrec_core.metrics import ACCURATE

CONTAINERS = (8, 10, 12, 14, 16)
"""Bits that cameras and microscopes give their values, whatever the bits of the file."""
PHOTOMETRIC, BITS_PER_SAMPLE, MAX_SAMPLE_VALUE, SAMPLE_FORMAT = 262, 258, 281, 339
"""Tags of a TIFF."""
OTHER_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
"""Pillow keeps the upper byte of 16-bit colours; told the other byte order, it keeps the lower one."""
CUT = "whose more than 8 bits are cut to 8: a network that was trained on all of them gives none of these back exactly"


def to_8_bits(image: ImageFile.ImageFile, data: bytes, note: Note) -> Image.Image:
    """`image`, just opened from `data`, with 8 bits a channel; as it is where it has no more.

    Of b bits the upper 8 are kept. Raises ValueError for pixels that are no finite numbers.
    """
    tag = getattr(image, "tag_v2", {})
    stated = _stated_bits(image, data)
    values = _samples(image, data, note)
    if values is None:
        return image
    colours, alpha = (values[..., :-1], values[..., -1:]) if values.shape[-1] in (2, 4) else (values, None)
    if colours.dtype.kind == "f" or colours.min() < 0 or colours.max() >= 2**16:
        bits, pixels = 16, _by_range(colours, note)
    else:
        bits = _bits(colours, stated, note, image.format == "PNG")
        pixels = _upper(colours, bits)
        _note_what_is_cut(colours, pixels, bits, note)
    if tag.get(PHOTOMETRIC) == 0:  # the smallest value is white
        pixels = 255 - pixels
    if "transparency" in image.info and alpha is None:
        clear = (colours == np.asarray(image.info["transparency"])).all(axis=-1, keepdims=True)
        pixels = np.concatenate([pixels, np.where(clear, 0, 255).astype(np.uint8)], axis=-1)
    elif alpha is not None:
        pixels = np.concatenate([pixels, _upper(alpha, bits if alpha.max() < 2**bits else 16)], axis=-1)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _samples(image: ImageFile.ImageFile, data: bytes, note: Note) -> np.ndarray | None:
    """The samples (H, W, C) of more than 8 bits; None where Pillow's 8 bits of each are all that there are to keep."""
    tile, raw = image.tile[0] if image.tile else None, _raw_mode(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image)[..., None]
        unsigned = values.dtype == np.int32 and getattr(image, "tag_v2", {}).get(SAMPLE_FORMAT) == (1,)
        return values.view(np.uint32) if unsigned else values
    if raw == "LA;16B":
        return _grey_and_alpha(data)
    deep = raw.partition(";")[0] in ("RGB", "RGBX", "RGBA") and raw.partition(";")[2] in OTHER_BYTE
    plain = tile if tile and (tile.codec_name, tile.args) == ("ppm", ("RGB", 2**16 - 1)) else None
    if not deep and not plain:
        return None
    upper = np.asarray(image)
    if plain:
        values = np.frombuffer(data, ">u2", upper.size, plain.offset).reshape(upper.shape)
    else:
        values = upper.astype(np.uint16) << 8 | _lower_bytes(image, data)
    if upper[..., :3].max() >= 64 and "transparency" not in image.info:  # more than 14 bits: the upper 8 are at hand
        _note_what_is_cut(values, upper, 16, note)
        return None
    return values


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """How the samples lie in the file, in Pillow's words, for instance `RGB;16B`."""
    args = image.tile[0].args if image.tile else ""
    return str(args[0] if isinstance(args, tuple) else args)


def _lower_bytes(image: ImageFile.ImageFile, data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=[image.format or ""]) as again:
        raw = _raw_mode(again)
        other = f"{raw.partition(';')[0]};{OTHER_BYTE[raw.partition(';')[2]]}"
        again.tile = [
            tile._replace(args=(other, *tile.args[1:]) if isinstance(tile.args, tuple) else other)
            for tile in again.tile
        ]
        return np.asarray(again)


def _grey_and_alpha(data: bytes) -> np.ndarray:
    """The samples (H, W, 2) of a PNG of 16-bit grey and alpha, whose four bytes are read as four channels."""
    with Image.open(io.BytesIO(data), formats=["PNG"]) as again:
        again._mode = "RGBA"
        again.tile = [tile._replace(args="RGBA") for tile in again.tile]
        four = np.asarray(again).astype(np.uint16)
    return four[..., ::2] << 8 | four[..., 1::2]


def _stated_bits(image: ImageFile.ImageFile, data: bytes) -> int:
    """How many bits of its samples the file says are used; 0 where it says only how much room each has."""
    if image.format == "PNG":
        return _significant_bits(data)
    if image.format == "TIFF":
        tag = getattr(image, "tag_v2", {})
        room = max(tag.get(BITS_PER_SAMPLE, (1,)))
        top = tag.get(MAX_SAMPLE_VALUE, 0)
        top = max(top) if isinstance(top, tuple) else top
        return int(top).bit_length() if top else room if room < 16 else 0
    if image.format == "PPM":  # Pillow has scaled the values to 16 bits by the largest that the header names
        tile = image.tile[0] if image.tile else None
        return 16 if tile and tile.codec_name != "raw" and tile.args and tile.args[-1] != 2**16 - 1 else 0
    if image.format == "JPEG2000":  # likewise
        size = data.find(b"\xff\x4f\xff\x51")
        return 16 if 0 <= size < len(data) - 42 and data[size + 42] & 0x7F < 15 else 0
    return 0


def _significant_bits(png: bytes) -> int:
    """What the chunk sBIT says; 0 where there is none."""
    at = 8
    while at + 8 <= len(png) and (kind := png[at + 4 : at + 8]) not in (b"IDAT", b"PLTE"):
        length = int.from_bytes(png[at : at + 4], "big")
        if kind == b"sBIT":
            return max(png[at + 8 : at + 8 + min(length, 4)], default=0)
        at += 12 + length
    return 0


def _bits(values: np.ndarray, stated: int, note: Note, standard_is_upper: bool) -> int:
    """The bits that `values` are to be scaled by: what is stated where that can be, or the fewest that hold them."""
    top = int(values.max())
    if stated:
        filled_up = standard_is_upper and stated < 16 and _is_filled_up(values, stated)
        return stated if top < 2**stated and not filled_up else 16
    bits = next(bits for bits in CONTAINERS if top < 2**bits)
    if bits < 16:
        note(f"of 16 bits or more scaled by the {bits} bits in use")
    return bits


def _is_filled_up(values: np.ndarray, bits: int) -> bool:
    """Whether values of `bits` bits lie in the upper ones of 16, where the PNG standard has them: below them are
    zeros, or their own upper bits again."""
    upper = values >> (16 - bits) << (16 - bits)
    return bool((values == upper).all() or (values == (upper | upper >> bits)).all())


def _note_what_is_cut(values: np.ndarray, pixels: np.ndarray, bits: int, note: Note) -> None:
    """Where the pixels are further from the values of so many bits than an exact recovery may be."""
    if np.square(values / (2**bits - 1) - pixels / 255).mean() >= ACCURATE:
        note(CUT)


def _upper(values: np.ndarray, bits: int) -> np.ndarray:
    return (values >> bits - 8 if bits >= 8 else values * 255 // (2**bits - 1)).astype(np.uint8)


def _by_range(values: np.ndarray, note: Note) -> np.ndarray:
    """Pixels of numbers without a known range. From 0 to 1 they are times 255; up to 65535, by the fewest bits
    that hold them; beyond, or where some are negative, from the smallest to the largest."""
    if not np.isfinite(values).all():
        raise ValueError("it has pixels that are NaN or infinite")
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        if np.square(np.rint(values * 255) / 255 - values).mean() >= ACCURATE:
            note("of real numbers rounded to 8 bits")
        low, high = 0.0, 1.0
    elif low >= 0 and high < 2**16:
        bits = next(bits for bits in CONTAINERS if high < 2**bits)
        note(f"of real numbers scaled by the {bits} bits in use")
        low, high = 0.0, float(2**bits - 1)
    else:
        note("of numbers without a known range stretched from the smallest to the largest value")
    return np.clip(np.rint((values - low) * (255 / ((high - low) or 1))), 0, 255).astype(np.uint8)
