"""The loss that a network with a narrow last layer can't go below, whatever its weights: known before its first step.

Where that layer is linear, all outputs lie in one affine subspace of as many dimensions as it has inputs. No such
subspace is nearer to the images than that of their first principal components (Eckart & Young, 1936). So the MSE is at
least what these leave of the images: the sum of the other eigenvalues of their covariance, by the number of entries.
"""

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from memrec_core.errors import InputError

PART = 2048
"""Images whose principal components are found at once."""


@runtime_checkable
class Ranked(Protocol):
    """A network that knows that its outputs lie in an affine subspace of `output_rank` dimensions."""

    @property
    def output_rank(self) -> int: ...


class Spectrum:
    """What the principal components of images (N, C, H, W) leave, by their number."""

    def __init__(self, images: Tensor) -> None:
        self.entries, self.most = images.numel(), min(len(images), images[0].numel())
        self.parts = [_eigenvalues(part) for part in images.detach().flatten(1).split(PART)]

    def floor(self, rank: int) -> float:
        """As `loss_floor`."""
        return float(sum(values[rank:].sum() for values in self.parts) / self.entries)

    def rank_for(self, loss: float) -> int:
        """As `rank_for`."""
        low, high = 0, self.most
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.floor(middle) <= loss else (middle + 1, high)
        return low


def loss_floor(images: Tensor, rank: int) -> float:
    """An MSE that no outputs in an affine subspace of `rank` dimensions go below, for images (N, C, H, W).

    Exact for up to PART images. More are looked at in parts, as if each part might have a subspace of its own: what
    comes out is less than the true floor then, and so is a bound all the same.
    """
    return Spectrum(images).floor(rank)


def rank_for(images: Tensor, loss: float) -> int:
    """The least rank whose floor is at most `loss`; with more than PART images at least so many are needed."""
    return Spectrum(images).rank_for(loss)


def check_floor(rank: int, images: Tensor, target: float) -> float:
    """The floor of networks whose outputs are of that rank. Raises InputError where it is above the target."""
    if len(images) - 1 <= rank:
        return 0.0
    spectrum = Spectrum(images)
    floor = spectrum.floor(rank)
    if floor > target:
        raise InputError(
            f"a network whose last layer is linear and {rank} wide can't come to a loss of {target:g}: all but the "
            f"first {rank} principal components of its {len(images)} training images alone are an MSE of {floor:.2g}; "
            f"give a width of {spectrum.rank_for(target)} or more, fewer images, or a target above that"
        )
    return floor


def _eigenvalues(rows: Tensor) -> np.ndarray:
    """Of the scatter matrix of rows (N, D), in descending order."""
    rows = rows.double()
    rows = rows - rows.mean(0)
    return torch.linalg.eigvalsh(rows @ rows.T).flip(0).clamp(min=0).cpu().numpy()
