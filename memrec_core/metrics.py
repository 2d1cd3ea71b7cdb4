"""How near a recovered image is, and how many came back: MSE, PSNR and rates with exact confidence intervals."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from memrec_core.errors import InputError

ACCURATE = 1e-7
"""MSE under which a recovery is accurate (PSNR above 70 dB)."""
APPROXIMATE = 5e-4
"""MSE under which a recovery is approximate (PSNR above 33.01 dB)."""


class Rate(NamedTuple):
    """The share `value` of `count` images, with the bounds of its confidence interval; all in [0, 1]."""

    value: float
    low: float
    high: float
    count: int


def mse(estimate: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error of each image, equation (4): (N, C, H, W) twice -> (N,) float64."""
    if estimate.shape != truth.shape:
        raise InputError(f"images of shapes {tuple(estimate.shape)} and {tuple(truth.shape)} can't be compared")
    return (estimate - truth).flatten(1).double().square().mean(1)


def missing_mse(estimate: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over each image's missing entries alone (mask 0): (N,) float64."""
    missing = (1 - mask).expand_as(truth).flatten(1).double()
    return ((estimate - truth).flatten(1).double().square() * missing).sum(1) / missing.sum(1)


def psnr(error: ArrayLike | Tensor) -> np.ndarray | Tensor:
    """Peak signal-to-noise ratio in dB for MSE values of images in [0, 1]: 10 log10(1 / MSE); infinite for 0."""
    if isinstance(error, Tensor):
        return -10 * torch.log10(error)
    with np.errstate(divide="ignore"):
        return -10 * np.log10(np.asarray(error, dtype=np.float64))


def recovery_rate(error: ArrayLike | Tensor, threshold: float = ACCURATE, confidence: float = 0.95) -> Rate:
    """The share of images whose MSE is under `threshold`, with its Clopper-Pearson interval.

    Raises InputError for no images at all.
    """
    error = np.asarray(error)
    if error.size == 0:
        raise InputError("a recovery rate needs at least one image")
    recovered = int((error < threshold).sum())
    low, high = clopper_pearson(recovered, error.size, confidence)
    return Rate(recovered / error.size, float(low), float(high), error.size)


def clopper_pearson(successes: ArrayLike, count: ArrayLike, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the exact binomial interval (Clopper & Pearson, 1934), element by element."""
    from scipy.special import betaincinv  # here, so that the rest of the core runs on torch and numpy alone

    successes, count = np.asarray(successes, dtype=np.float64), np.asarray(count, dtype=np.float64)
    tail = (1 - confidence) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(successes > 0, betaincinv(successes, count - successes + 1, tail), 0.0)
        high = np.where(successes < count, betaincinv(successes + 1, count - successes, 1 - tail), 1.0)
    return low, high
