"""What the missing pixels of a degraded image hold: zeros in the paper, or something that hides the hole better."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from memrec_core.arguments import check_number, described, listed
from memrec_core.degradations.noise import number_label
from memrec_core.errors import InputError
from memrec_core.registry import Registry
from memrec_core.seeding import generator


class Others(Protocol):
    """Pictures to take pixels from: a tensor (M, C, H, W), or anything else that reads some of M pictures."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Tensor, /) -> Tensor:
        """The pictures (K, C, H, W) of these indices (K,)."""
        ...


class Fill(Protocol):
    """A frozen dataclass whose fields are its settings, checked when it is made."""

    name: ClassVar[str]
    """Its key in `FILLS`."""

    @property
    def label(self) -> str:
        """Its name and settings as part of a folder's name, of [A-Za-z0-9._-]."""
        ...

    def values(self, images: Tensor, ids: Sequence[str | int], seed: int, others: Others) -> Tensor:
        """What the pixels of `images` (N, C, H, W) hold where they are missing, of the same shape and type; what is
        random in it follows from the seed and each image's id alone."""
        ...


@dataclass(frozen=True)
class Zeros:
    """Missing pixels are zero, as in the paper."""

    name: ClassVar[str] = "zeros"

    @property
    def label(self) -> str:
        return self.name

    def values(self, images: Tensor, ids: Sequence[str | int], seed: int, others: Others) -> Tensor:
        return images * 0  # m x to the bit: the zero of a negative entry is negative


@dataclass(frozen=True)
class Colour:
    """Missing pixels have one colour: a value in [0, 1], or one a channel."""

    name: ClassVar[str] = "colour"
    colour: float | tuple[float, ...]

    def __post_init__(self) -> None:
        values = listed(self.colour)
        expected = "a value in [0, 1], or one a channel, such as [1, 0, 0]"
        if values is not None and not values:
            raise InputError(f"colour {described(self.colour)} is not {expected}")
        for value in [self.colour] if values is None else values:
            check_number("colour", value, expected, lambda value: 0 <= value <= 1)
        if values is not None:
            object.__setattr__(self, "colour", tuple(values))

    @property
    def _values(self) -> tuple[float, ...]:
        return self.colour if isinstance(self.colour, tuple) else (self.colour,)

    @property
    def label(self) -> str:
        return "_".join([self.name, *map(number_label, self._values)])

    def values(self, images: Tensor, ids: Sequence[str | int], seed: int, others: Others) -> Tensor:
        """Raises InputError where the images have another number of channels than the colour."""
        channels = images.shape[1]
        if isinstance(self.colour, tuple) and len(self.colour) != channels:
            raise InputError(
                f"colour {described(self.colour)} has {len(self.colour)} values and the images {channels} channels; "
                "give one a channel, or one value for all"
            )
        return images.new_tensor(self._values)[:, None, None].expand_as(images)


@dataclass(frozen=True)
class Noise:
    """Missing pixels are uniform noise in [0, 1], drawn for each image."""

    name: ClassVar[str] = "noise"

    @property
    def label(self) -> str:
        return self.name

    def values(self, images: Tensor, ids: Sequence[str | int], seed: int, others: Others) -> Tensor:
        noise = torch.empty(images.shape)
        for own, id_ in zip(noise, ids, strict=True):
            own.uniform_(generator=generator(seed, "fill noise", id_))
        return noise.to(images)


@dataclass(frozen=True)
class Patch:
    """Missing pixels are those of another picture at the same place, chosen at random for each image."""

    name: ClassVar[str] = "patch"

    @property
    def label(self) -> str:
        return self.name

    def values(self, images: Tensor, ids: Sequence[str | int], seed: int, others: Others) -> Tensor:
        """Raises InputError where `others` has no other picture than an image itself, or pictures of other shapes."""
        values = torch.empty_like(images)
        for own, image, id_ in zip(values, images, ids, strict=True):
            own.copy_(_another(image, id_, seed, others))
        return values


def _another(image: Tensor, id_: str | int, seed: int, others: Others) -> Tensor:
    """The first picture, in an order drawn for the image, whose pixels are not the image's own: so the choice needs
    no position of the image among the others."""
    for index in torch.randperm(len(others), generator=generator(seed, "fill patch", id_)).split(1):
        other = others[index][0].to(image)
        if other.shape != image.shape:
            raise InputError(
                f"a patch of a picture of {tuple(other.shape)} does not fit an image of {tuple(image.shape)}; "
                "give others of the images' size"
            )
        if not torch.equal(other, image):
            return other
    raise InputError(
        f"of the {len(others)} pictures to take a patch from, none is another than the image {id_} itself; give more"
    )


FILLS = Registry[type]("fill", {kind.name: kind for kind in (Zeros, Colour, Noise, Patch)})
"""The fills, by the names that an experiment gives them."""
