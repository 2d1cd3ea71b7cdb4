"""Images of fewer pixels, at their size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from memrec_core.arguments import check_counts, check_image_shape
from memrec_core.degradations.degradation import degrade_linearly
from memrec_core.degradations.fills import Others
from memrec_core.degradations.noise import check_noise_std, noise_label
from memrec_core.degradations.operator import Shape
from memrec_core.errors import InputError


@dataclass(frozen=True)
class Downsample:
    """Each block of factor x factor pixels becomes its mean; the image keeps its size.

    Args:
        factor: of each side, a whole number from 2 on that divides the images' height and width.
        noise_std: of Gaussian noise on every entry, from 0 to 1.

    Raises InputError for invalid settings.
    """

    key: ClassVar[str] = "downsample"
    factor: int
    noise_std: float = 0.0

    def __post_init__(self) -> None:
        check_counts(factor=self.factor)
        if self.factor < 2:
            raise InputError(f"factor {self.factor} leaves images as they are; give 2 or more")
        check_noise_std(self.noise_std)

    @property
    def label(self) -> str:
        return f"downsample_{self.factor}{noise_label(self.noise_std)}"

    @property
    def erases(self) -> bool:
        return False

    def operator(self, image_shape: Shape, ids: Sequence[str | int], seed: int) -> Averaging:
        """The means, the same for all images. Raises InputError for sizes that the factor does not divide."""
        _, height, width = check_image_shape(image_shape)
        _check_size(height, width, self.factor)
        return Averaging(self.factor)

    def degrade(
        self,
        images: Tensor,
        ids: Sequence[str | int] | None = None,
        seed: int = 42,
        others: Others | None = None,
    ) -> Tensor:
        """The images in blocks; see `Degradation`."""
        return degrade_linearly(self, images, ids, seed)


@dataclass(frozen=True, eq=False)
class Averaging:
    """Replaces each block of factor x factor pixels by its mean: an orthogonal projection, so that H^T = H = H H."""

    factor: int

    @property
    def kept(self) -> None:
        return None

    def forward(self, x: Tensor) -> Tensor:
        images, channels, height, width = x.shape
        _check_size(height, width, self.factor)
        rows, columns = height // self.factor, width // self.factor
        blocks = x.reshape(images, channels, rows, self.factor, columns, self.factor)
        return blocks.mean((3, 5), keepdim=True).expand_as(blocks).reshape(x.shape)

    def nearest(self, y: Tensor, z: Tensor, weight: float) -> Tensor:
        return z + self.forward(y - z) / (1 + weight / 2)

    def consistent(self, x: Tensor, y: Tensor) -> Tensor:
        return x + self.forward(y - x)

    def part(self, rows: Tensor, device: torch.device | str) -> Averaging:
        return self


def _check_size(height: int, width: int, factor: int) -> None:
    if height % factor or width % factor:
        raise InputError(
            f"images of {height} x {width} are not made of blocks of {factor} x {factor}; "
            "downsample by a factor that divides both sides"
        )
