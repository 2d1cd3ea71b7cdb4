"""Images to train on and to audit, each data set read from its publisher's own layout: one file each."""

from typing import Any

from memrec_core.arguments import check_counts, check_seed
from memrec_core.datasets.cifar10 import CIFAR10
from memrec_core.datasets.data_set import DataSet
from memrec_core.datasets.image_folder import IMAGE_FOLDER
from memrec_core.datasets.image_set import SPLITS, ImageCountError, ImageSet
from memrec_core.datasets.photos import PHOTOS
from memrec_core.datasets.remarks import shown_name
from memrec_core.datasets.svhn import SVHN
from memrec_core.datasets.tiny_imagenet import TINY_IMAGENET
from memrec_core.errors import InputError, in_a_line, unknown

DATA_SETS: dict[str, DataSet] = {
    "photos": PHOTOS,
    "tiny_imagenet": TINY_IMAGENET,
    "cifar10": CIFAR10,
    "svhn": SVHN,
    "image_folder": IMAGE_FOLDER,
}

__all__ = ["DATA_SETS", "DataSet", "ImageCountError", "ImageSet", "load"]


def load(
    name: str,
    *,
    count: int | None = None,
    size: int = 32,
    seed: int = 42,
    split: str = "train",
    **options: Any,
) -> ImageSet:
    """A seeded subset of `count` images (all of them where None), `size` x `size` pixels, of data set `name`.

    `split` is `train`, or `control` for images that are never in the training set, whatever the seed. `options` are
    the data set's own, such as `root`. Raises InputError where a name is unknown or a file can't be read, which the
    message names, and its kind ImageCountError where there are fewer images than asked for.
    """
    if not isinstance(name, str) or name not in DATA_SETS:
        raise unknown("data set", name, sorted(DATA_SETS))
    if not isinstance(split, str) or split not in SPLITS:
        raise unknown("split", split, list(SPLITS))
    check_counts(size=size, count=1 if count is None else count)
    check_seed(seed)
    try:
        return DATA_SETS[name].read(options, count=count, size=size, seed=seed, split=split)
    except OSError as error:
        place = error.filename or options.get("root") or "its files"
        raise InputError(
            f"data set {name}: {shown_name(place)} can't be read ({in_a_line(error)}); check that the place is right "
            "and may be read"
        ) from error
