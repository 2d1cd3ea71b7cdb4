"""SVHN's cropped digits, in its publisher's MATLAB files."""

from pathlib import Path

import numpy as np
from PIL import Image

from memrec_core.datasets.data_set import DataSet
from memrec_core.datasets.image_file import pixels_of
from memrec_core.datasets.image_set import ImageSet, balanced_choice, image_set
from memrec_core.datasets.remarks import ELSEWHERE, Remarks
from memrec_core.errors import InputError
from memrec_core.torchvision_import import import_torchvision

TRAIN, TEST = "train_32x32.mat", "test_32x32.mat"
FOLDER = "svhn"
"""What its folder is called where memrec puts it."""
SIDE = 32
HALVED = f"{ELSEWHERE}control images are every other one of {TRAIN}, for want of {TEST}, which it may have seen"


def load(
    *,
    count: int | None,
    size: tuple[int, int],
    channels: int,
    seed: int,
    split: str,
    root: str | Path | None = None,
) -> ImageSet:
    """Images of train_32x32.mat, and of test_32x32.mat for `control`; the label is the digit, None without labels.

    `root` is the folder of the files. Where it has no test file, the training file is divided in two: every other
    image is for training, the rest for control. The id is the image's place in its file, from 1 as MATLAB counts.
    Raises InputError for a folder or file that is missing, truncated or not SVHN.
    """
    if root is None:
        raise InputError(
            "data set svhn needs root, the folder of train_32x32.mat; add --set data.root=PATH to the command, or "
            "root=PATH to the call"
        )
    folder = Path(root)
    divided = not (folder / TEST).is_file()
    path = folder / (TRAIN if divided or split == "train" else TEST)
    pixels, labels = _read(path)
    half = slice(("train", "control").index(split), None, 2) if divided else slice(None)
    by_label: dict[str, list[int]] = {}
    for place in range(len(pixels))[half]:
        by_label.setdefault(labels[place] or "", []).append(place)
    chosen = balanced_choice(by_label, count, seed, split, path, divided)
    ids = [f"{path.stem}-{place + 1}" for _, place in chosen]
    remarks = Remarks()
    read = [
        pixels_of(Image.fromarray(pixels[place]), size, channels, remarks.of(id_))
        for id_, (_, place) in zip(ids, chosen, strict=True)
    ]
    halved = (HALVED,) if divided and split == "control" else ()
    return image_set(read, ids, [label or None for label, _ in chosen], remarks.sentences() + halved)


def _read(path: Path) -> tuple[np.ndarray, list[str | None]]:
    """The pixels (N, 32, 32, 3) uint8 and the digits of one file."""
    from scipy.io import loadmat

    if not path.is_file():
        raise InputError(f"{path} does not exist; root must be the folder of SVHN's {TRAIN} (format 2, cropped digits)")
    try:
        content = loadmat(path, variable_names=["X", "y"])
    except Exception as error:  # a damaged file makes the reader fail in many ways
        raise InputError(
            f"{path} can't be read as a MATLAB file ({error or type(error).__name__}); fetch it again"
        ) from error
    pixels = content.get("X")
    if pixels is None or pixels.ndim != 4 or pixels.shape[:3] != (SIDE, SIDE, 3) or pixels.dtype != np.uint8:
        found = "no X" if pixels is None else f"X of {pixels.dtype} and shape {pixels.shape}"
        raise InputError(f"{path} has {found} where SVHN has X of uint8 and shape (32, 32, 3, N); fetch it again")
    pixels = np.ascontiguousarray(pixels.transpose(3, 0, 1, 2))
    if "y" not in content:
        return pixels, [None] * len(pixels)
    digits = content["y"].ravel()
    if len(digits) != len(pixels):
        raise InputError(f"{path} has {len(digits)} labels for {len(pixels)} images; fetch it again")
    return pixels, [str(int(digit) % 10) for digit in digits]  # SVHN writes the digit 0 as 10


def fetch(folder: Path) -> None:
    """Put the publisher's two files below `folder`; what is there and whole is not fetched again."""
    for split in ("train", "test"):
        import_torchvision().datasets.SVHN(folder / FOLDER, split=split, download=True)


SVHN = DataSet("svhn", load, place=FOLDER, fetch=fetch)
