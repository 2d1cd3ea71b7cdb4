"""What a user adds to memrec: a mask, a fill, a degradation, a method, a network and a data set, a line each."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from memrec_core.autoencoders import ARCHITECTURES, Architecture
from memrec_core.datasets import DATA_SETS, DataSet, ImageSet
from memrec_core.degradations import DEGRADATIONS, FILLS, PATTERNS, Masking, degrade_linearly, noise_label
from memrec_core.recovery import METHODS, Basis, Method, Recovery
from memrec_core.seeding import generator


def diagonal(height: int, width: int) -> Tensor:
    """What is above the diagonal is missing."""
    return torch.ones(height, width).tril()


@dataclass(frozen=True)
class Mirror:
    """Missing pixels are those of the mirrored image."""

    name: ClassVar[str] = "mirror"

    @property
    def label(self) -> str:
        return self.name

    def values(self, images, ids, seed, others):
        return images.flip(3)


class Fade:
    """H x = strength x."""

    kept = None

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def forward(self, x):
        return self.strength * x

    def nearest(self, y, z, weight):
        return (self.strength * y + weight / 2 * z) / (self.strength**2 + weight / 2)

    def consistent(self, x, y):
        return x

    def part(self, rows, device):
        return self


@dataclass(frozen=True)
class Fading:
    """Images fade to black."""

    key: ClassVar[str] = "fading"
    erases: ClassVar[bool] = False
    strength: float
    noise_std: float = 0.0

    @property
    def label(self) -> str:
        return f"fading_{self.strength}{noise_label(self.noise_std)}"

    def operator(self, image_shape, ids, seed):
        return Fade(self.strength)

    def degrade(self, images, ids=None, seed=42, others=None):
        return degrade_linearly(self, images, ids, seed)


@dataclass(frozen=True)
class Holes:
    """Each pixel is missing with a probability."""

    key: ClassVar[str] = "holes"
    erases: ClassVar[bool] = True
    probability: float
    noise_std: float = 0.0

    @property
    def label(self) -> str:
        return f"holes_{self.probability}{noise_label(self.noise_std)}"

    def operator(self, image_shape, ids, seed):
        kept = [torch.rand(image_shape, generator=generator(seed, "holes", id_)) >= self.probability for id_ in ids]
        return Masking(torch.stack(kept).float())

    def degrade(self, images, ids=None, seed=42, others=None):
        return degrade_linearly(self, images, ids, seed)


@dataclass(frozen=True)
class Copy(Method):
    """Returns what it was given, times a factor."""

    name = title = "copy"
    does = "nothing"
    rests_on = Basis.NOTHING
    factor: float = 1.0

    def recover(self, basis, problem):
        count = torch.ones(len(problem.degraded), dtype=torch.int64)
        return Recovery(self.factor * problem.degraded, None, np.full(len(count), "converged", object), count, count)


@dataclass(frozen=True)
class Claimant(Method):
    """Known mask that says what it believes of its results: that they are right where they came to rest."""

    name = title = "claimant"
    does = "known mask, and says what it believes"
    rests_on = Basis.NETWORK
    told = True
    sure: float = 1e-4

    @classmethod
    def accepts(cls, degradation):
        return degradation.erases

    @torch.no_grad()
    def recover(self, basis, problem):
        found = METHODS["known_mask"]().recover(basis, problem)
        away = (basis.model(found.images) - found.images).flatten(1).square().mean(1)
        return replace(
            found, claimed=away < self.sure, confidence=1 / (1 + away), kept_share=found.mask.flatten(1).mean(1)
        )


class Linear(nn.Module):
    """One layer, and no activation."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        size = image_shape[0] * image_shape[1] * image_shape[2]
        self.layer = nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1)).view_as(x)


def squares(*, count, size, channels, seed, split, brightest: float = 1.0) -> ImageSet:
    """Noise, other noise for the control set."""
    source = torch.Generator().manual_seed(seed + (split == "control"))
    images = brightest * torch.rand(count, channels, *size, generator=source)
    return ImageSet(images, tuple(map(str, range(count))), (None,) * count)


PATTERNS["diagonal"] = diagonal
FILLS["mirror"] = Mirror
DEGRADATIONS["fading"] = Fading
DEGRADATIONS["holes"] = Holes
METHODS["copy"] = Copy
METHODS["claimant"] = Claimant
ARCHITECTURES["linear"] = Architecture("linear", build=Linear)
DATA_SETS["squares"] = DataSet("squares", load=squares)
