"""What a recovery returns."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

CONVERGED = "converged"
MAX_ITERATIONS = "max_iterations"
NON_FINITE = "non_finite"


@dataclass(frozen=True)
class Recovery:
    """The estimates for a batch of N images, and how each came about: one entry an image.

    `images` are the estimates (N, C, H, W); of an image whose iterates left the finite numbers, the last finite one.
    `mask` is the mask that the estimate rests on (N, C, H, W), or None where the method uses none.
    `status` is an array of N strings: `converged`, `max_iterations` (stopped by the cap) or `non_finite`.
    `iterations` and `evaluations` (N,) count outer iterations and applications of the autoencoder.
    """

    images: Tensor
    mask: Tensor | None
    status: np.ndarray
    iterations: Tensor
    evaluations: Tensor
