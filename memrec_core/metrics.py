"""How near a recovered image is, and how many came back: MSE, PSNR and rates with exact confidence intervals."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from memrec_core.cache import in_cache
from memrec_core.errors import InputError

ACCURATE = 1e-7
"""MSE under which a recovery is accurate (PSNR above 70 dB)."""
APPROXIMATE = 5e-4
"""MSE under which a recovery is approximate (PSNR above 33.01 dB)."""
THRESHOLDS = (*(float(f"{digit}e-{power}") for power in range(4, 9) for digit in (10, 5, 2)), 1e-8)
"""MSE thresholds from 1e-3 to 1e-8, three a decade, for the rate as a curve."""


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
    parts = in_cache(estimate, truth)
    return torch.cat([(own - true).flatten(1).double().square().mean(1) for own, true in parts])


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


def threshold_curve(error: ArrayLike | Tensor, thresholds: Sequence[float] = THRESHOLDS) -> list[Rate]:
    """The recovery rate at each of the `thresholds`; see `recovery_rate`."""
    return [recovery_rate(error, threshold) for threshold in thresholds]


def rate_difference(
    successes: ArrayLike, count: ArrayLike, other_successes: ArrayLike, other_count: ArrayLike, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One share minus another, of independent images, and the bounds of its interval, element by element.

    The interval is Newcombe's, from the two Wilson score intervals (1998, method 10); it holds for shares of 0 and 1.
    """
    (share, low, high), (other, other_low, other_high) = (
        _wilson(successes, count, confidence),
        _wilson(other_successes, other_count, confidence),
    )
    below = np.sqrt((share - low) ** 2 + (other_high - other) ** 2)
    above = np.sqrt((high - share) ** 2 + (other - other_low) ** 2)
    return share - other, share - other - below, share - other + above


def _wilson(successes: ArrayLike, count: ArrayLike, confidence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The share and the bounds of its score interval (Wilson, 1927)."""
    count = np.asarray(count, dtype=np.float64)
    share = np.asarray(successes, dtype=np.float64) / count
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre, scale = share + z**2 / (2 * count), 1 + z**2 / count
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return share, (centre - half) / scale, (centre + half) / scale


def clopper_pearson(successes: ArrayLike, count: ArrayLike, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the exact binomial interval (Clopper & Pearson, 1934), element by element."""
    from scipy.special import betaincinv  # here, so that the rest of the core runs on torch and numpy alone

    successes, count = np.asarray(successes, dtype=np.float64), np.asarray(count, dtype=np.float64)
    tail = (1 - confidence) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(successes > 0, betaincinv(successes, count - successes + 1, tail), 0.0)
        high = np.where(successes < count, betaincinv(successes + 1, count - successes, 1 - tail), 1.0)
    return low, high
