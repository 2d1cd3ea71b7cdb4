"""Erased pixels, the degradation of the paper: what is missing, and what is there in its place."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from memrec_core.arguments import described
from memrec_core.degradations.degradation import checked_ids, shape_of
from memrec_core.degradations.fills import Fill, Others, Zeros
from memrec_core.degradations.masks import hole, is_random, mask, mask_name
from memrec_core.degradations.noise import add_noise, check_noise_std, noise_label
from memrec_core.degradations.operator import Masking, Shape
from memrec_core.errors import InputError


@dataclass(frozen=True)
class Erasure:
    """Pixels are missing: y = m x + (1 - m) fill + noise, with the mask m of a pattern.

    Args:
        mask: a pattern's name, `random_P` with P per cent missing, or the paper's number, 1 to 6; kept as its name.
        noise_std: of Gaussian noise on every entry, from 0 to 1.
        per_image: whether each image has a random mask of its own.
        fill: what the missing pixels hold.

    Raises InputError for invalid settings.
    """

    key: ClassVar[str] = "mask"
    mask: str | int
    noise_std: float = 0.0
    per_image: bool = False
    fill: Fill = field(default_factory=Zeros)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask", mask_name(self.mask))
        if not re.fullmatch("[A-Za-z0-9._-]+", self.name):
            raise InputError(f"mask {self.name!r} can't name a folder; use letters, digits, '.', '_' and '-' alone")
        check_noise_std(self.noise_std)
        if not isinstance(self.per_image, bool):
            raise InputError(f"per_image must be true or false, not {described(self.per_image)}")
        if self.per_image and not is_random(self.name):
            raise InputError(f"per_image is for random masks; {self.name} is the same for all images")
        if not callable(getattr(self.fill, "values", None)) or isinstance(self.fill, type):
            raise InputError(f"fill {described(self.fill)} is none; give one such as degradations.Noise()")

    @property
    def name(self) -> str:
        """The mask's name."""
        return str(self.mask)

    @property
    def label(self) -> str:
        own = "-per_image" if self.per_image else ""
        fill = "" if self.fill == Zeros() else f"-fill_{self.fill.label}"
        return f"{self.name}{own}{fill}{noise_label(self.noise_std)}"

    @property
    def hidden(self) -> str:
        """How its images are hidden, in words: "behind a centred square"."""
        noise = f" and noise of {self.noise_std:g}" if self.noise_std else ""
        return f"behind {hole(self.name)}{noise}"

    @property
    def erases(self) -> bool:
        return True

    def operator(self, image_shape: Shape, ids: Sequence[str | int], seed: int) -> Masking:
        """The images' masks. Raises InputError for images too small for the mask."""
        if self.per_image:
            own = [mask(self.name, image_shape, seed, image_id=id_) for id_ in ids]
            return Masking(torch.stack(own) if own else torch.empty(0, *image_shape))
        return Masking(mask(self.name, image_shape, seed).expand(len(ids), *image_shape))

    def degrade(
        self,
        images: Tensor,
        ids: Sequence[str | int] | None = None,
        seed: int = 42,
        others: Others | None = None,
    ) -> Tensor:
        """The degraded images; see `Degradation`. Raises InputError as the operator and the fill do, too."""
        ids = checked_ids(images, ids, seed)
        kept = self.operator(shape_of(images), ids, seed).theta.to(images)
        values = self.fill.values(images, ids, seed, images if others is None else others)
        return add_noise(torch.where(kept > 0, images, values), self.noise_std, ids, seed)
