"""What a recovery returns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memrec_core.errors import InputError

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


def check_found(method: str, found: Any, degraded: Tensor) -> None:
    """Raise InputError where a method, of the user's own perhaps, has returned what is no recovery of `degraded`."""
    count, is_one = len(degraded), isinstance(found, Recovery)
    whole = is_one and found.images.shape == degraded.shape and bool(found.images.isfinite().all())
    whole = whole and (found.mask is None or found.mask.shape == degraded.shape)
    known = is_one and set(found.status) <= set(STATUSES)
    if not (whole and known and len(found.status) == len(found.iterations) == len(found.evaluations) == count):
        raise InputError(
            f"method {method} must return a Recovery with finite images of shape {tuple(degraded.shape)}, and for each "
            f"of them a status ({', '.join(STATUSES[:-1])} or {STATUSES[-1]}), iterations and evaluations; mend it"
        )
    for name, own in beliefs_of(found).items():
        _check_belief(method, name, own, count)


def beliefs_of(found: Recovery) -> dict[str, Tensor | None]:
    """By their columns, what a method believes of its results without having seen the originals."""
    return {"claimed": found.claimed, "confidence": found.confidence, "kept_share": found.kept_share}


def _check_belief(method: str, name: str, values: Any, count: int) -> None:
    """Raises InputError unless it is None, or says of each image yes or no, or a share."""
    if values is None:
        return
    what = "booleans" if name == "claimed" else "numbers from 0 to 1"
    if not isinstance(values, Tensor) or values.shape != (count,) or not _are(values, name == "claimed"):
        raise InputError(f"method {method} must return {name} as None or a tensor of {count} {what}; mend it")


def _are(values: Tensor, booleans: bool) -> bool:
    """Whether they are booleans, or shares."""
    if booleans:
        return values.dtype == torch.bool
    return values.is_floating_point() and bool(((values >= 0) & (values <= 1)).all())
