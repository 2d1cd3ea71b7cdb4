"""Images to train on and to audit, each data set read from its publisher's own layout: one file each."""

from collections.abc import Sequence
from typing import Any

from memrec_core.arguments import LARGEST_SIDE, check_counts, check_seed, described, is_whole
from memrec_core.datasets.cifar10 import CIFAR10
from memrec_core.datasets.data_set import DataSet
from memrec_core.datasets.image_folder import IMAGE_FOLDER
from memrec_core.datasets.image_set import SPLITS, ImageCountError, ImageSet
from memrec_core.datasets.photos import PHOTOS
from memrec_core.datasets.svhn import SVHN
from memrec_core.datasets.tiny_imagenet import TINY_IMAGENET
from memrec_core.errors import InputError, in_a_line, shown_name, unknown
from memrec_core.registry import Registry

DATA_SETS = Registry[DataSet](
    "data set",
    {
        "photos": PHOTOS,
        "tiny_imagenet": TINY_IMAGENET,
        "cifar10": CIFAR10,
        "svhn": SVHN,
        "image_folder": IMAGE_FOLDER,
    },
)

MOST_CHANNELS = 4

__all__ = ["DATA_SETS", "DataSet", "ImageCountError", "ImageSet", "load"]


def load(
    name: str,
    *,
    count: int | None = None,
    size: int | Sequence[int] = 32,
    channels: int = 3,
    seed: int = 42,
    split: str = "train",
    **options: Any,
) -> ImageSet:
    """A seeded subset of a data set's images.

    A picture of another shape is cut to its centre, then resampled. Raises InputError where a name is unknown or a file
    can't be read, which the message names, and its kind ImageCountError where there are fewer images than asked for.

    Args:
        name: one of DATA_SETS.
        count: how many images; all of them where None.
        size: height and width in pixels, or one number for both.
        channels: 1 for grey (luminance), 2 for grey and alpha, 3 for RGB, 4 for RGB and alpha.
        seed: which images are chosen, and their order.
        split: `train`, or `control` for images that are never in the training set, whatever the seed.
        options: the data set's own, such as `root`.
    """
    if not isinstance(name, str) or name not in DATA_SETS:
        raise unknown("data set", name, sorted(DATA_SETS))
    if not isinstance(split, str) or split not in SPLITS:
        raise unknown("split", split, list(SPLITS))
    check_counts(count=1 if count is None else count, channels=channels)
    if channels > MOST_CHANNELS:
        raise InputError(f"channels {channels} is not 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha)")
    check_seed(seed)
    asked = {"count": count, "size": _sides(size), "channels": int(channels), "seed": seed, "split": split}
    try:
        return DATA_SETS[name].read(options, **asked)
    except OSError as error:
        place = error.filename or options.get("root") or "its files"
        raise InputError(
            f"data set {name}: {shown_name(place)} can't be read ({in_a_line(error)}); check that the place is right "
            "and may be read"
        ) from error


def _sides(size: object) -> tuple[int, int]:
    """Height and width in pixels. Raises InputError where `size` is neither these nor one number for both."""
    sides = list(size) if isinstance(size, Sequence) else [size, size]
    if not is_whole(sides) or len(sides) != 2 or not all(1 <= side <= LARGEST_SIDE for side in sides):
        raise InputError(
            f"size {described(size)} is not a whole number of at least 1, or two of these, such as (28, 20) for the "
            "height and width"
        )
    return int(sides[0]), int(sides[1])
