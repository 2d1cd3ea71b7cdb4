"""Generic inpainting without any prior: the biharmonic equation (Damelin & Hoang, 2018), as scikit-image solves it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from memrec_core.arguments import masks_of
from memrec_core.degradations import Degradation
from memrec_core.errors import InputError
from memrec_core.recovery.arguments import check_arguments
from memrec_core.recovery.method import Basis, Problem, mask_of
from memrec_core.recovery.result import CONVERGED, Recovery


@dataclass(frozen=True)
class Biharmonic:
    """The method as an object; see `inpaint_biharmonic`."""

    name: ClassVar[str] = "biharmonic"
    title: ClassVar[str] = "biharmonic"
    does: ClassVar[str] = "smooth inpainting, told the mask; without the autoencoder or any prior"
    rests_on: ClassVar[Basis] = Basis.NOTHING
    told: ClassVar[bool] = True

    @classmethod
    def accepts(cls, degradation: Degradation) -> bool:
        """It fills what is missing."""
        return degradation.erases

    def evaluations(self) -> int:
        return 1

    def recover(self, basis: None, problem: Problem) -> Recovery:
        return inpaint_biharmonic(problem.degraded, mask_of(problem))


def inpaint_biharmonic(degraded: Tensor, mask: Tensor) -> Recovery:
    """Fill the missing pixels of `degraded` (N, C, H, W) smoothly from the kept ones around them.

    `mask` is (C, H, W) or (N, C, H, W): 1 kept, 0 missing. Knows the mask and nothing of the autoencoder: what it gets
    back is no memory of a training image. Raises InputError where the mask is of another size than the images or not of
    zeros and ones, and for `degraded` as `recover_unknown_mask` does.
    """
    from skimage.restoration import inpaint_biharmonic as inpaint  # here, so that the core runs on torch and numpy

    check_arguments(degraded)
    theta = masks_of(mask, degraded)
    if not len(degraded):
        empty = torch.zeros(0, dtype=torch.int64)
        return Recovery(degraded, theta, np.empty(0, dtype=object), empty, empty)
    if (theta == 0).flatten(2).all(2).any():
        raise InputError("biharmonic inpainting needs a kept pixel in each channel, and the mask leaves none")
    degraded = degraded.detach()
    planes, holes = degraded.flatten(0, 1).double().cpu().numpy(), (theta == 0).flatten(0, 1).cpu().numpy()
    filled = np.stack([inpaint(plane, hole) for plane, hole in zip(planes, holes, strict=True)])
    images = torch.where(theta > 0, degraded, torch.from_numpy(filled).to(degraded).view_as(degraded))
    none = torch.zeros(len(degraded), dtype=torch.int64)
    return Recovery(images, theta, np.full(len(degraded), CONVERGED, dtype=object), none + 1, none)
