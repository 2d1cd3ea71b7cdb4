"""Each picture once: near-duplicates between and within the two sides are left out, and counted."""

from dataclasses import dataclass

import numpy as np

from memrec_core.datasets.duplicates import near_duplicates, near_pairs
from memrec_core.datasets.image_set import ImageSet
from memrec_core.errors import InputError


@dataclass(frozen=True)
class Duplicates:
    """How many images were left out: control images that are near-duplicates of training images, and copies of others
    within either side."""

    crossing: int
    train: int
    control: int


def distinct(train: ImageSet, control: ImageSet) -> tuple[ImageSet, ImageSet, Duplicates]:
    """Both sides without them. Raises InputError where no control image is left."""
    crossing = np.unique(near_pairs(control.images, train.images)[:, 0]).astype(int)
    others = np.setdiff1d(np.arange(len(control)), crossing)
    if len(control) and not len(others):
        raise InputError(
            f"all {len(control)} control images are near-duplicates of training images; give images that were not "
            "trained on"
        )
    kept, kept_control = _first(train), others[_first(part(control, others))]
    found = Duplicates(len(crossing), len(train) - len(kept), len(others) - len(kept_control))
    return part(train, kept), part(control, kept_control), found


def _first(images: ImageSet) -> np.ndarray:
    """The places of those that are no copies."""
    return np.flatnonzero(near_duplicates(images.images) == np.arange(len(images)))


def part(images: ImageSet, places: np.ndarray) -> ImageSet:
    """The images at some places."""
    some = places.tolist()
    ids, labels = (tuple(own[i] for i in some) for own in (images.ids, images.labels))
    return ImageSet(images.images[places], ids, labels)
