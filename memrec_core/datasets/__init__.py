"""Images to train on and to audit, each data set read from its publisher's own layout: one file each."""

from collections.abc import Callable
from typing import Any

from memrec_core.arguments import check_counts, check_seed
from memrec_core.datasets import cifar10, image_folder, photos, svhn, tiny_imagenet
from memrec_core.datasets.image_set import SPLITS, ImageCountError, ImageSet
from memrec_core.datasets.remarks import shown
from memrec_core.errors import InputError, in_a_line, unknown

LOADERS: dict[str, Callable[..., ImageSet]] = {
    "photos": photos.load,
    "tiny_imagenet": tiny_imagenet.load,
    "cifar10": cifar10.load,
    "svhn": svhn.load,
    "image_folder": image_folder.load,
}

__all__ = ["LOADERS", "ImageCountError", "ImageSet", "load"]


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
    if not isinstance(name, str) or name not in LOADERS:
        raise unknown("data set", name, sorted(LOADERS))
    if not isinstance(split, str) or split not in SPLITS:
        raise unknown("split", split, list(SPLITS))
    check_counts(size=size, count=1 if count is None else count)
    check_seed(seed)
    try:
        return LOADERS[name](count=count, size=size, seed=seed, split=split, **options)
    except OSError as error:
        place = error.filename or options.get("root") or "its files"
        raise InputError(
            f"data set {name}: {shown(place)} can't be read ({in_a_line(error)}); check that the place is right and "
            "may be read"
        ) from error
    except TypeError as error:
        if "keyword argument" not in str(error):
            raise
        raise InputError(f"data set {name} can't be loaded with options {sorted(options)}: {error}") from error
