"""The images of a data set that a run tries to recover: the training set, then the control set."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memrec_core import datasets
from memrec_core.datasets import ImageCountError, ImageSet
from memrec_core.errors import InputError
from workflows.experiment import Data


@dataclass(frozen=True)
class Catalogue:
    """What the driver knows of the images: id, label and split of each, training images first; and how many of the
    control images are training images too, pixel for pixel."""

    ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    splits: tuple[str, ...]
    trained_on: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def digest(self, start: int, stop: int) -> str:
        """Changes with any of the images from start to stop, as far as their splits and ids tell."""
        content = "\x1f".join((*self.splits[start:stop], *self.ids[start:stop]))
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class AuditSet:
    """The images of a catalogue (N, C, H, W), as uint8: they lie once in a node's memory, and its actors share it."""

    catalogue: Catalogue
    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.catalogue)

    def images(self, part: slice, device: str = "cpu") -> Tensor:
        """Some of the images (N, C, H, W) as float32 in [0, 1], copied to `device`."""
        return torch.tensor(self.pixels[part], device=device).float().div_(255)

    def training_images(self, device: str = "cpu") -> Tensor:
        return self.images(slice(0, self.catalogue.splits.count("train")), device)


def load_split(data: Data, seed: int, split: str) -> ImageSet:
    """The training images, or the control images. Raises InputError where they can't be had."""
    options = {name: value for name in ("root", "control_root") if (value := getattr(data, name)) is not None}
    count = data.count
    if split == "control" and data.control_count is not None:
        count = data.control_count
    try:
        return datasets.load(data.name, count=count, size=data.size, seed=seed, split=split, **options)
    except ImageCountError as error:
        raise InputError(f"data set {data.label}: {error.found}; {_way_out(data, error)}") from error


def _way_out(data: Data, error: ImageCountError) -> str:
    """What to change in the experiment where there are too few images."""
    most = error.available
    if error.split == "train":
        return f"set its count to {most} or fewer" if most else "add images, or give another root"
    as_many = ", which is as many as its count where it is left out" if data.control_count is None else ""
    return f"set its control_count to {f'{most} or fewer' if most else '0, for no control images'}{as_many}"


def load_audit_set(data: Data, seed: int) -> AuditSet:
    """The images of both splits."""
    splits = ["train"] if data.control_count == 0 else ["train", "control"]
    parts = [load_split(data, seed, split) for split in splits]
    pixels = [_pixels(part) for part in parts]
    trained = {hashlib.sha256(image).digest() for image in pixels[0]}
    catalogue = Catalogue(
        ids=sum((part.ids for part in parts), ()),
        labels=sum((part.labels for part in parts), ()),
        splits=sum(((split,) * len(part) for split, part in zip(splits, parts, strict=True)), ()),
        trained_on=sum(hashlib.sha256(image).digest() in trained for part in pixels[1:] for image in part),
    )
    return AuditSet(catalogue, np.concatenate(pixels))


def _pixels(part: ImageSet) -> np.ndarray:
    """The images as uint8, which is what they were read as: nothing is lost."""
    return part.images.mul(255).round_().byte().numpy()
