"""The degradation operator H of equation (3), known and linear, for N images at once.

All that a solver needs of it is its product, the solution of (12), and the projection of (31).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from memrec_core.errors import InputError

Shape = tuple[int, int, int]
"""(channels, height, width)."""


class Operator(Protocol):
    """H: a batch (N, C, H, W) to one of the same shape, type and device; each image by itself."""

    @property
    def kept(self) -> Tensor | None:
        """The mask (N, C, H, W) where H erases entries: 1 kept, 0 missing. None where it does anything else."""
        ...

    def forward(self, x: Tensor) -> Tensor:
        """H x."""
        ...

    def nearest(self, y: Tensor, z: Tensor, weight: float) -> Tensor:
        """argmin_x ||H x - y||^2 + weight/2 ||x - z||^2, equation (12), for each image; weight > 0."""
        ...

    def consistent(self, x: Tensor, y: Tensor) -> Tensor:
        """`x` with what a noiseless `y` says exactly put in, equation (31): for an orthogonal projection H, the nearest
        image with H x = y. `x` itself where H is none, for its inverse would amplify rounding."""
        ...

    def part(self, rows: Tensor, device: torch.device | str) -> Operator:
        """The operator of some of the images, by their indices (K,), on a device."""
        ...


@dataclass(frozen=True, eq=False)
class Masking:
    """Erases entries: H x = theta x, with `theta` (N, C, H, W) of zeros and ones."""

    theta: Tensor

    @property
    def kept(self) -> Tensor:
        return self.theta

    def forward(self, x: Tensor) -> Tensor:
        return self.theta.to(x) * x

    def nearest(self, y: Tensor, z: Tensor, weight: float) -> Tensor:
        """Equation (17)."""
        return torch.lerp(z, y, self.theta.to(y) / (1 + weight / 2))

    def consistent(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.where(self.theta.to(x) > 0, y, x)

    def part(self, rows: Tensor, device: torch.device | str) -> Masking:
        return Masking(self.theta[rows].to(device))


@dataclass(frozen=True, eq=False)
class Joined:
    """Different operators for the images of one batch: `counts` says how many images in a row each is for."""

    operators: tuple[Operator, ...]
    counts: tuple[int, ...]

    @property
    def kept(self) -> None:
        return None

    def forward(self, x: Tensor) -> Tensor:
        return self._each(lambda own, x: own.forward(x), x)

    def nearest(self, y: Tensor, z: Tensor, weight: float) -> Tensor:
        return self._each(lambda own, y, z: own.nearest(y, z, weight), y, z)

    def consistent(self, x: Tensor, y: Tensor) -> Tensor:
        return self._each(lambda own, x, y: own.consistent(x, y), x, y)

    def part(self, rows: Tensor, device: torch.device | str) -> Operator:
        ends = torch.tensor(self.counts).cumsum(0)
        owners, counts = torch.bucketize(rows.cpu(), ends, right=True).unique_consecutive(return_counts=True)
        runs = zip(owners.tolist(), rows.cpu().split(counts.tolist()), strict=True)
        starts = (ends - torch.tensor(self.counts)).tolist()
        parts = [self.operators[owner].part(run - starts[owner], device) for owner, run in runs]
        return joined(parts, counts.tolist())

    def _each(self, apply: Callable[..., Tensor], *batches: Tensor) -> Tensor:
        """What each operator makes of its own images, one after the other."""
        if len(batches[0]) != sum(self.counts):
            raise InputError(f"operators of {sum(self.counts)} images do not fit {len(batches[0])}; give one for each")
        split = zip(self.operators, *(batch.split(self.counts) for batch in batches), strict=True)
        return torch.cat([apply(*own) for own in split])


def joined(operators: Sequence[Operator], counts: Sequence[int]) -> Operator:
    """The operators of several degradations as one, for their images one after the other: `counts` of each.

    Masks alone become one mask; where they are mixed with others, the whole has no `kept`. Raises InputError where
    there are no operators, or not one count for each.
    """
    if not operators or len(operators) != len(counts):
        raise InputError(f"{len(operators)} operators do not fit {len(counts)} counts of images; give one of each")
    if len(operators) == 1:
        return operators[0]
    masks = [mask for operator in operators if (mask := operator.kept) is not None]
    if len(masks) == len(operators):
        return Masking(torch.cat(masks))
    return Joined(tuple(operators), tuple(counts))
