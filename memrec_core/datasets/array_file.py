"""Arrays of numpy as pictures: pixels as a program saved them, without a picture's format around them."""

import io

import numpy as np
from PIL import Image

from memrec_core.datasets.remarks import Note

ENDING = ".npy"
CHANNELS = (1, 3, 4)
OVERSHOOT = 1e-5
"""How far outside [0, 1] real numbers may be: by rounding."""
FORMATS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
VOLUMES = (".nii", ".nii.gz", ".dcm", ".mha", ".mhd", ".nrrd")
"""How files of medical formats end, whose slices are pictures."""


def is_array(name: str) -> bool:
    return name.lower().endswith(ENDING)


def is_volume(name: str) -> bool:
    return name.lower().endswith(VOLUMES)


def picture_in(data: bytes, note: Note = lambda _: None) -> Image.Image:
    """The picture of an array (H, W) or (H, W, C), C of 1 (grey), 3 (RGB) or 4 (RGB and alpha); uint8, or real numbers
    in [0, 1], of which 8 bits are kept.

    Raises ValueError with the reason for any other array. Nothing is unpickled, and nothing read that is too large.
    """
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version not in FORMATS:
        raise ValueError(f"it is of version {version[0]}.{version[1]} of its format, and 1.0 and 2.0 are read")
    shape, by_columns, dtype = FORMATS[version](file)
    _check_kind(dtype)
    _check_shape(shape)
    count = int(np.prod([int(side) for side in shape], dtype=object))
    if len(data) - file.tell() != count * dtype.itemsize:
        raise ValueError(f"it is cut short, or has more than its {' x '.join(map(str, shape))} values")
    values = np.frombuffer(data, dtype, count, file.tell()).reshape(shape, order="F" if by_columns else "C")
    pixels = values if values.dtype == np.uint8 else _in_8_bits(values, note)
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels))


def _check_kind(dtype: np.dtype) -> None:
    if dtype != np.uint8 and dtype.kind != "f":
        raise ValueError(f"it is an array of {dtype}, and expected is uint8, or real numbers in [0, 1]")


def _check_shape(shape: tuple[int, ...]) -> None:
    said = "(" + ", ".join(map(str, shape)) + ")"
    if 0 in shape:
        raise ValueError(f"it is an array of {said}, without a pixel")
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in CHANNELS):
        return
    if len(shape) < 2:
        raise ValueError(f"it is an array of {said}, and expected is (H, W) or (H, W, C), C of 1, 3 or 4")
    if len(shape) == 3 and shape[0] in CHANNELS:
        raise ValueError(f"it is an array of {said}, with its channels first; save it as (H, W, C)")
    raise ValueError(
        f"it is an array of {said}, a volume or several pictures; save each slice as a file of its own, (H, W), and "
        "let --group of memrec audit say which are of one"
    )


def _in_8_bits(values: np.ndarray, note: Note) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(values).all():
        raise ValueError("it has pixels that are NaN or infinite")
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise ValueError(f"its values go from {low:g} to {high:g}, and expected are real numbers in [0, 1], or uint8")
    note("of real numbers rounded to 8 bits")
    return np.rint(np.clip(values.astype(np.float64), 0, 1) * 255).astype(np.uint8)
