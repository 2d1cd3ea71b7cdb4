"""Images that count as one, such as a patient's slices: what is of one origin comes back, or doesn't, together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np

from memrec_core.arguments import described, listed
from memrec_core.auditing.distinct import part
from memrec_core.auditing.evidence import Side
from memrec_core.datasets.image_set import ImageSet
from memrec_core.errors import InputError, shown
from memrec_core.metrics import ACCURATE, APPROXIMATE

HOPELESS = 1e3
"""An error that is larger than that of any recovery."""


def least_size(*sides: Sequence[str | None]) -> int:
    """How many images the smallest group of all sides has: so many of each group are looked at, for of a larger one an
    image is likelier to come back."""
    return min(count for labels in sides for count in Counter(labels).values())


def grouped(side: Side, labels: Sequence[str | None], most: int | None = None) -> Side:
    """One column for each group in place of each image, in the order in which the `labels` (N,) first name them, from
    the first `most` images of each group, all where left out.

    A group came back under an attack if any image of its own did, at either threshold: its `recovered` and `damage` are
    the least and the largest of those that did. Where none did they are those of the image with the least error, of
    those that could have counted if there are any. `missing` is the least of its images; `reconstruction` the median,
    for black images would make it small.
    """
    groups: dict[str | None, list[int]] = {}
    for place, label in enumerate(labels):
        groups.setdefault(label, []).append(place)
    places = [np.array(own[:most]) for own in groups.values()]
    counts = side.back(ACCURATE) | side.back(APPROXIMATE)
    errors = np.where(np.isnan(side.recovered), np.inf, side.recovered)
    best = _of_each(errors + np.where(side.damage < APPROXIMATE, HOPELESS, 0), places, np.argmin)
    back = _of_each(counts, places, np.any)
    least = _of_each(np.where(counts, side.recovered, np.inf), places, np.min)
    largest = _of_each(np.where(counts, side.damage, -np.inf), places, np.max)
    rows, first = np.arange(len(counts))[:, None], np.stack([own[k] for own, k in zip(places, best.T, strict=True)], 1)
    return Side(
        np.where(back, least, side.recovered[rows, first]),
        _of_each(side.missing, places, np.fmin.reduce),
        np.where(back, largest, side.damage[rows, first]),
        _of_each(side.reconstruction, places, np.median),
        np.array([len(own) for own in places]),
    )


def _of_each(values: np.ndarray, places: Sequence[np.ndarray], what: Any) -> np.ndarray:
    """What `what` makes of each group's values (..., N), along the last axis: (..., G)."""
    return np.stack([what(values[..., own], axis=-1) for own in places], -1)


def with_groups(images: ImageSet, groups: object, what: str) -> ImageSet:
    """The image set with the groups as its labels. Raises InputError unless there is one for each image."""
    labels = listed(groups)
    if labels is None or not all(isinstance(label, str | Integral) for label in labels):
        raise InputError(
            f"{what} groups {described(groups)} are no list of names; give one an image, such as a patient"
        )
    if len(labels) != len(images):
        raise InputError(f"{len(labels)} {what} groups do not fit {len(images)} images; give one an image")
    return replace(images, labels=tuple(map(str, labels)))


def check_apart(train: ImageSet, control: ImageSet) -> None:
    """Raise InputError where a group is on both sides: such control images are of something that was trained on."""
    if both := sorted({*map(str, train.labels)} & {*map(str, control.labels)}):
        more = f" and {len(both) - 1} more" if len(both) > 1 else ""
        raise InputError(
            f"group {shown(both[0])}{more} has training and control images; give control images of groups that were "
            "not trained on"
        )


def first_of_each(images: ImageSet) -> ImageSet:
    """One image of each group."""
    first: dict[str | None, int] = {}
    for place, label in enumerate(images.labels):
        first.setdefault(label, place)
    return part(images, np.array(list(first.values())))


def by_group(train: Side, control: Side, images: ImageSet, others: ImageSet) -> tuple[Side, Side, ImageSet, ImageSet]:
    """Both sides with a group in place of each image, by the labels of their images; of each group one image. Raises
    InputError as `check_apart`."""
    check_apart(images, others)
    most = least_size(images.labels, others.labels)
    sides = grouped(train, images.labels, most), grouped(control, others.labels, most)
    return *sides, first_of_each(images), first_of_each(others)
