"""Blur by a known kernel, at a circular boundary: diagonal in the Fourier basis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from memrec_core.arguments import check_counts, check_image_shape, check_number
from memrec_core.degradations.degradation import degrade_linearly
from memrec_core.degradations.fills import Others
from memrec_core.degradations.noise import check_noise_std, noise_label, number_label
from memrec_core.degradations.operator import Shape
from memrec_core.errors import InputError

NARROWEST, WIDEST = 0.1, 1000
"""The smallest standard deviation, which leaves images as they are; the largest, and the longest motion; in pixels."""


@dataclass(frozen=True)
class Blur:
    """Pixels are blurred: by a Gaussian, or by a motion along a line.

    Args:
        std: of the Gaussian, in pixels, from 0.1 on. Give this or `length`.
        length: of the motion, in pixels, a whole number from 2 on.
        angle: of the motion, in degrees from the horizontal, anticlockwise, from 0 to under 180.
        noise_std: of Gaussian noise on every entry, from 0 to 1.

    Raises InputError for invalid settings.
    """

    key: ClassVar[str] = "blur"
    std: float | None = None
    length: int | None = None
    angle: float = 0.0
    noise_std: float = 0.0

    def __post_init__(self) -> None:
        check_noise_std(self.noise_std)
        if (self.std is None) == (self.length is None):
            raise InputError("a blur is Gaussian or a motion; give either its std or its length, in pixels")
        expected = "a number of degrees from 0 to under 180; a line at -45 is one at 135"
        check_number("angle", self.angle, expected, lambda angle: 0 <= angle < 180)
        if self.std is not None:
            expected = f"a standard deviation in pixels, from {NARROWEST} to {WIDEST}"
            check_number("std", self.std, expected, lambda std: NARROWEST <= std <= WIDEST)
        if self.std is not None and self.angle:
            raise InputError(f"a Gaussian blur has no angle, but angle {self.angle:g} is given; leave it out")
        if self.length is not None:
            check_counts(length=self.length)
            expected = f"a number of pixels from 2 to {WIDEST}"
            check_number("length", self.length, expected, lambda length: 2 <= length <= WIDEST)

    @property
    def label(self) -> str:
        if self.std is not None:
            return f"blur_std_{number_label(self.std)}{noise_label(self.noise_std)}"
        angle = f"-angle_{number_label(self.angle)}" if self.angle else ""
        return f"blur_length_{self.length}{angle}{noise_label(self.noise_std)}"

    @property
    def erases(self) -> bool:
        return False

    def operator(self, image_shape: Shape, ids: Sequence[str | int], seed: int) -> Convolution:
        """The convolution, the same for all images."""
        _, height, width = check_image_shape(image_shape)
        if self.std is not None:
            spread = torch.outer(_gaussian(self.std, height), _gaussian(self.std, width))
        else:
            spread = _line(self.length or 0, self.angle, height, width)
        return Convolution(torch.fft.rfft2(spread), (height, width))

    def degrade(
        self,
        images: Tensor,
        ids: Sequence[str | int] | None = None,
        seed: int = 42,
        others: Others | None = None,
    ) -> Tensor:
        """The blurred images; see `Degradation`."""
        return degrade_linearly(self, images, ids, seed)


@dataclass(frozen=True, eq=False)
class Convolution:
    """A circular convolution of each channel, by its `response` to each frequency of images of `size` (H, W).

    `response` is (H, W // 2 + 1) complex128, the rfft2 of what a single pixel at the origin is spread to. (12) is
    solved frequency by frequency: with h the response, x = z + F^-1 [conj(h) (F y - h F z) / (|h|^2 + weight/2)].
    """

    response: Tensor
    size: tuple[int, int]

    @property
    def kept(self) -> None:
        return None

    def forward(self, x: Tensor) -> Tensor:
        return self._image(self._response(x) * torch.fft.rfft2(x))

    def nearest(self, y: Tensor, z: Tensor, weight: float) -> Tensor:
        h = self._response(y)
        residual = torch.fft.rfft2(y) - h * torch.fft.rfft2(z)
        return z + self._image(h.conj() / (h.abs().square() + weight / 2) * residual)

    def consistent(self, x: Tensor, y: Tensor) -> Tensor:
        return x

    def part(self, rows: Tensor, device: torch.device | str) -> Convolution:
        return Convolution(self.response.to(device), self.size)

    def _response(self, x: Tensor) -> Tensor:
        """As complex numbers of the precision of the images `x`, on their device."""
        if x.shape[-2:] != self.size:
            height, width = self.size
            raise InputError(
                f"a blur of images of {height} x {width} does not fit {x.shape[-2]} x {x.shape[-1]}; "
                "make the operator for the images' shape"
            )
        return self.response.to(x.device, x.dtype.to_complex())

    def _image(self, spectrum: Tensor) -> Tensor:
        return torch.fft.irfft2(spectrum, s=self.size)


def _gaussian(std: float, size: int) -> Tensor:
    """A sampled Gaussian, cut at four standard deviations, around the first of `size` pixels in a circle: (size,)."""
    radius = math.ceil(4 * std)
    offsets = torch.arange(-radius, radius + 1)
    weights = torch.exp(-(offsets.double() ** 2) / (2 * std**2))
    return torch.zeros(size, dtype=torch.float64).index_add_(0, offsets % size, weights / weights.sum())


def _line(length: int, angle: float, height: int, width: int) -> Tensor:
    """`length` points a pixel apart on a line around the first pixel, each shared by the four pixels around it in
    proportion to how near they are: (height, width), its sum 1."""
    steps = torch.arange(length, dtype=torch.float64) - (length - 1) / 2
    down, right = -math.sin(math.radians(angle)) * steps, math.cos(math.radians(angle)) * steps
    spread = torch.zeros(height, width, dtype=torch.float64)
    for row, row_share in _neighbours(down):
        for column, column_share in _neighbours(right):
            share = row_share * column_share / length
            spread.index_put_((row % height, column % width), share, accumulate=True)
    return spread


def _neighbours(places: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The pixels before and after each place, and each one's share of it."""
    before = places.floor()
    return (before.long(), 1 - (places - before)), (before.long() + 1, places - before)
