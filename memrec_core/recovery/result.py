"""What a recovery returns."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

CONVERGED = "converged"
CYCLING = "cycling"
MAX_ITERATIONS = "max_iterations"
NON_FINITE = "non_finite"
STATUSES = (CONVERGED, CYCLING, MAX_ITERATIONS, NON_FINITE)


@dataclass(frozen=True)
class Recovery:
    """The estimates for a batch of N images, and how each came about: one entry an image.

    `images` are the estimates (N, C, H, W); of an image whose iterates left the finite numbers, the last finite one.
    `mask` is the mask that the estimate rests on (N, C, H, W), or None where the method uses none.
    `status` is an array of N strings: `converged`, `cycling` (iterates go round for good), `max_iterations` (stopped
    by the cap) or `non_finite`.
    `iterations` and `evaluations` (N,) count outer iterations and applications of the autoencoder.

    A method that judges its results without ground truth says so of each image (N,); others leave these None:
    `claimed`, whether the result is believed to be an image that the network was trained on; `confidence`, in [0, 1],
    what that rests on; `kept_share`, the share of the pixels that are taken to be the image's own, in [0, 1].
    """

    images: Tensor
    mask: Tensor | None
    status: np.ndarray
    iterations: Tensor
    evaluations: Tensor
    claimed: Tensor | None = None
    confidence: Tensor | None = None
    kept_share: Tensor | None = None
