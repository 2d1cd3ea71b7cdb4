"""What a degradation is: settings, and what they do to images."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from memrec_core.arguments import check_clean, check_seed, ids_of
from memrec_core.degradations.fills import Others
from memrec_core.degradations.noise import add_noise
from memrec_core.degradations.operator import Operator, Shape
from memrec_core.errors import InputError

ROUNDING = 1e-6
"""Kept pixels may be rounded by so much, as where a fill adds to all and takes away again."""


class Degradation(Protocol):
    """y = H x + noise, equation (3): a frozen dataclass whose fields are its settings, checked when it is made."""

    key: ClassVar[str]
    """What an experiment's entry begins with, its key in `DEGRADATIONS`."""

    @property
    def noise_std(self) -> float:
        """Of the Gaussian noise on every entry, pixels in [0, 1]."""
        ...

    @property
    def label(self) -> str:
        """A folder's name, of [A-Za-z0-9._-], that tells its settings apart from others."""
        ...

    @property
    def erases(self) -> bool:
        """Whether pixels are missing."""
        ...

    def operator(self, image_shape: Shape, ids: Sequence[str | int], seed: int) -> Operator:
        """H for the images with these ids. Raises InputError where their shape (C, H, W) does not fit."""
        ...

    def degrade(
        self,
        images: Tensor,
        ids: Sequence[str | int] | None = None,
        seed: int = 42,
        others: Others | None = None,
    ) -> Tensor:
        """The degraded images; what is random in them follows from the seed and each image's id alone.

        Args:
            images: (N, C, H, W) float32 or float64, in [0, 1].
            ids: one for each image, a string or a whole number; their indices where left out.
            seed: from 0 on.
            others: the pictures that a fill may take pixels from; `images` where left out.
        """
        ...


def degraded_by(
    degradation: Degradation,
    operator: Operator,
    images: Tensor,
    ids: Sequence[str | int],
    seed: int,
    others: Others | None = None,
) -> Tensor:
    """What the degradation, of the user's own perhaps, makes of the images; `operator` is its own for these ids.

    Raises InputError where that is no finite images of their shape, where the images themselves are changed by it, and
    where pixels are changed that the operator says are kept.
    """
    given = images.clone()
    found = degradation.degrade(given, ids, seed, others)
    is_like = isinstance(found, Tensor) and (found.shape, found.dtype) == (images.shape, images.dtype)
    if not is_like or not found.isfinite().all():
        raise InputError(
            f"degradation {degradation.label} must return finite float32 images of shape {tuple(images.shape)}; mend it"
        )
    if not torch.equal(given, images):
        raise InputError(
            f"degradation {degradation.label}, or its fill, changes the images that it is given; let it work on "
            "images.clone()"
        )
    kept = None if degradation.noise_std else operator.kept
    if kept is not None and ((found - images).abs() * kept.expand_as(images) > ROUNDING).any():
        raise InputError(
            f"degradation {degradation.label} changes pixels that its operator says are kept; mend it, or let "
            "noise_std say how much noise they have"
        )
    return found


def degrade_linearly(degradation: Degradation, images: Tensor, ids: Sequence[str | int] | None, seed: int) -> Tensor:
    """H x + noise, where all that there is to a degradation is its operator. Raises InputError as `degrade`."""
    ids = checked_ids(images, ids, seed)
    operator = degradation.operator(shape_of(images), ids, seed)
    if not len(images):  # which an FFT can't be made of
        return images
    return add_noise(operator.forward(images), degradation.noise_std, ids, seed)


def checked_ids(images: Tensor, ids: Sequence[str | int] | None, seed: int) -> list[str | int]:
    """An id for each image. Raises InputError for images that are no batch in [0, 1], and other ids or seeds."""
    check_clean(images, "images")
    check_seed(seed)
    return ids_of(ids, len(images))


def shape_of(images: Tensor) -> Shape:
    _, channels, height, width = images.shape
    return channels, height, width
