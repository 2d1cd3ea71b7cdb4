"""CIFAR-10, in its publisher's Python batches: pickles, read without executing anything that they may contain."""

import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from memrec_core.datasets.data_set import DataSet
from memrec_core.datasets.image_file import pixels_of
from memrec_core.datasets.image_set import ImageSet, balanced_choice, image_set
from memrec_core.datasets.remarks import Remarks
from memrec_core.errors import InputError, in_a_line
from memrec_core.torchvision_import import import_torchvision

TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST, META = "test_batch", "batches.meta"
FOLDER = "cifar-10-batches-py"
SIDE = 32


def load(
    *,
    count: int | None,
    size: tuple[int, int],
    channels: int,
    seed: int,
    split: str,
    root: str | Path | None = None,
) -> ImageSet:
    """Images of the training batches, or of the test batch for `control`; the label is the class's name.

    `root` is the folder cifar-10-batches-py or the one that holds it. The id is the batch and the image's place in it.
    Raises InputError for a folder or batch that is missing, truncated, or not what CIFAR-10 has there.
    """
    if root is None:
        raise InputError(
            f"data set cifar10 needs root, the folder {FOLDER}; add --set data.root=PATH to the command, or "
            "root=PATH to the call"
        )
    folder = Path(root) / FOLDER if (Path(root) / FOLDER).is_dir() else Path(root)
    names = _class_names(folder / META)
    by_label: dict[str, list[tuple[str, np.ndarray]]] = {name: [] for name in names}
    for batch in TRAIN if split == "train" else (TEST,):
        pixels, classes = _read_batch(folder / batch, len(names))
        for place, (image, number) in enumerate(zip(pixels, classes, strict=True)):
            by_label[names[number]].append((f"{batch}-{place}", image))
    chosen = balanced_choice(by_label, count, seed, split, folder)
    remarks = Remarks()
    pixels = [pixels_of(Image.fromarray(image), size, channels, remarks.of(id_)) for _, (id_, image) in chosen]
    return image_set(pixels, [id_ for _, (id_, _) in chosen], [label for label, _ in chosen], remarks.sentences())


def _class_names(path: Path) -> list[str]:
    names = _unpickle(path).get(b"label_names")
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names) or len(set(names)) != 10:
        raise InputError(f"{path} does not name CIFAR-10's ten classes (label_names); fetch the data set again")
    return [name.decode(errors="replace") for name in names]


def _read_batch(path: Path, classes: int) -> tuple[np.ndarray, list[int]]:
    """The pixels (N, 32, 32, 3) uint8 and class numbers of one batch."""
    batch = _unpickle(path)
    data, labels = batch.get(b"data"), batch.get(b"labels")
    if not isinstance(data, _Array) or len(data.shape) != 2 or data.shape[1] != 3 * SIDE * SIDE:
        raise InputError(f"{path} has no data of shape (N, 3072), so it is not a CIFAR-10 batch; fetch it again")
    if not isinstance(labels, list) or len(labels) != data.shape[0]:
        raise InputError(f"{path} has no label for each of its {data.shape[0]} images; fetch it again")
    if not all(type(label) is int and 0 <= label < classes for label in labels):
        raise InputError(f"{path} has labels that are not whole numbers from 0 to {classes - 1}; fetch it again")
    return data.to_numpy(path).reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), labels


def _unpickle(path: Path) -> dict[Any, Any]:
    """The dictionary in a pickle of plain values and uint8 arrays; anything else in it is refused."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; root must be CIFAR-10's folder {FOLDER} (the Python version)")
    try:
        content = _Unpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except Exception as error:  # damaged and hostile pickles fail in many ways
        raise InputError(f"{path} is not a CIFAR-10 batch ({in_a_line(error)}); fetch it again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a CIFAR-10 batch (it holds no dictionary); fetch it again")
    return content


class _StandIn:
    """What a batch's pickle may name, in place of the real thing. Pickles can also set state on what they name, so
    a stand-in takes none unless it says so."""

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it sets the state of an object")


class _Dtype(_StandIn):
    """numpy.dtype: only of uint8."""

    def __init__(self, kind: object, *_: object) -> None:
        if kind not in (b"u1", "u1"):
            raise pickle.UnpicklingError(f"it holds an array of {kind!r}, not of uint8")

    def __setstate__(self, state: object) -> None:
        """The byte order and alignment of single bytes: nothing to keep."""


class _NdarrayType(_StandIn):
    """numpy.ndarray, which is named but never called."""

    def __init__(self, *_: object) -> NoReturn:
        raise pickle.UnpicklingError("it constructs an array in an unknown way")


class _Array(_StandIn):
    """numpy's _reconstruct: an empty array, whose shape and bytes come as its state."""

    shape: tuple[int, ...] = ()
    data: bytes = b""

    def __init__(self, kind: object, *_: object) -> None:
        if kind is not _NdarrayType:
            raise pickle.UnpicklingError("it reconstructs something other than an array")

    def __setstate__(self, state: object) -> None:
        _, shape, dtype, fortran, data = state  # type: ignore[misc]
        if not isinstance(dtype, _Dtype) or fortran or not isinstance(data, bytes):
            raise pickle.UnpicklingError("it holds an array that is not uint8 in C order")
        self.shape, self.data = tuple(int(side) for side in shape), data

    def to_numpy(self, path: Path) -> np.ndarray:
        """The array itself; raises InputError for fewer or more bytes than its shape needs."""
        if len(self.data) != int(np.prod(self.shape)):
            raise InputError(f"{path} has {len(self.data)} bytes for pixels of shape {self.shape}; fetch it again")
        return np.frombuffer(self.data, dtype=np.uint8).reshape(self.shape)


class _Latin1(_StandIn):
    """_codecs.encode, as Python 3 writes bytes in the old protocol."""

    def __new__(cls, text: str, encoding: object) -> bytes:  # type: ignore[misc]
        if encoding not in ("latin1", b"latin1") or not isinstance(text, str):
            raise pickle.UnpicklingError(f"it encodes text as {encoding!r}")
        return text.encode("latin1")


_ALLOWED = {
    ("_codecs", "encode"): _Latin1,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _NdarrayType,
    ("numpy", "dtype"): _Dtype,
}


class _Unpickler(pickle.Unpickler):
    """Knows the stand-ins above and nothing else, so that loading calls no function of anybody's."""

    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no batch needs and which is not loaded")
        return _ALLOWED[module, name]


def fetch(folder: Path) -> None:
    """Put the publisher's archive, and what is in it, below `folder`; what is there and whole is not fetched again."""
    import_torchvision().datasets.CIFAR10(folder, download=True)


CIFAR10 = DataSet("cifar10", load, place=FOLDER, fetch=fetch)
