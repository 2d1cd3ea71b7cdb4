"""How near a recovered image is, and how many came back: MSE, PSNR and rates with exact confidence intervals."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from memrec_core.arguments import check_batch, check_number, described, masks_of
from memrec_core.cache import in_cache
from memrec_core.errors import InputError

ACCURATE = 1e-7
"""MSE under which a recovery is accurate (PSNR above 70 dB)."""
APPROXIMATE = 5e-4
"""MSE under which a recovery is approximate (PSNR above 33.01 dB)."""
KINDS = {"accurate": ACCURATE, "approximate": APPROXIMATE}
"""Both, by the names that results have for them."""
THRESHOLDS = (*(float(f"{digit}e-{power}") for power in range(4, 9) for digit in (10, 5, 2)), 1e-8)
"""MSE thresholds from 1e-3 to 1e-8, three a decade, for the rate as a curve."""


class Rate(NamedTuple):
    """The share `value` of `count` images, with the bounds of its confidence interval; all in [0, 1]."""

    value: float
    low: float
    high: float
    count: int


def mse(estimate: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error of each image, equation (4): (N, C, H, W) twice, float32 or float64 -> (N,) float64.

    NaN for an image with values that are none. Raises InputError where the two are no batches of images of the same
    shape on one device.
    """
    _check_pair(estimate, truth)
    parts = in_cache(estimate, truth)
    return torch.cat([(own - true).flatten(1).double().square().mean(1) for own, true in parts])


def missing_mse(estimate: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over each image's missing entries alone: (N,) float64; NaN where none is missing.

    `mask` is (C, H, W), or (N, C, H, W): 1 kept, 0 missing. Raises InputError as `mse`, and for a mask that is none.
    """
    _check_pair(estimate, truth)
    missing = masks_of(mask, truth).flatten(1) == 0
    error = (estimate - truth).flatten(1).double().square()
    return torch.where(missing, error, 0).sum(1) / missing.sum(1)


def mask_error(estimate: Tensor, mask: Tensor) -> Tensor:
    """The share of wrong entries in the estimate of each image's mask, both (N, C, H, W) of zeros and ones: (N,)
    float64."""
    return (estimate != mask).flatten(1).double().mean(1)


def psnr(error: ArrayLike | Tensor) -> np.ndarray | Tensor:
    """Peak signal-to-noise ratio in dB for MSE values of images in [0, 1]: 10 log10(1 / MSE); infinite for 0.

    A tensor for a tensor, otherwise an array, of the same shape; NaN for NaN. Raises InputError for values that are no
    errors: negative, or not numbers.
    """
    values = _errors(error)
    if isinstance(error, Tensor):
        return -10 * torch.log10(error)
    with np.errstate(divide="ignore"):
        return -10 * np.log10(values)


def recovery_rate(error: ArrayLike | Tensor, threshold: float = ACCURATE, confidence: float = 0.95) -> Rate:
    """The share of images whose MSE is under `threshold`, with its Clopper-Pearson interval.

    `error` is one image's or (N,); one that is NaN is not recovered. Raises InputError for no images at all, values
    that are no errors, a threshold that is no positive number, or a confidence outside (0, 1).
    """
    check_number("threshold", threshold, "an MSE, a positive number such as 1e-7", lambda value: 0 < value < np.inf)
    values = _errors(error)
    if values.size == 0:
        raise InputError("a recovery rate needs at least one image")
    if values.ndim > 1:
        raise InputError(f"a recovery rate needs one error an image, (N,), not {described(error)}; see metrics.mse")
    recovered = int((values < threshold).sum())
    low, high = clopper_pearson(recovered, values.size, confidence)
    return Rate(recovered / values.size, float(low), float(high), values.size)


def rate_difference(
    successes: ArrayLike, count: ArrayLike, other_successes: ArrayLike, other_count: ArrayLike, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One share minus another, of independent images, and the bounds of its interval, element by element.

    The interval is Newcombe's, from the two Wilson score intervals (1998, method 10); it holds for shares of 0 and 1.
    NaN where a count is NaN or 0.

    Args:
        successes: how many of the one kind.
        count: of how many.
        other_successes: how many of the other kind.
        other_count: of how many.
        confidence: of the interval, between 0 and 1.

    Raises InputError as `clopper_pearson`.
    """
    (share, low, high), (other, other_low, other_high) = (
        _wilson(successes, count, confidence),
        _wilson(other_successes, other_count, confidence),
    )
    below = np.sqrt((share - low) ** 2 + (other_high - other) ** 2)
    above = np.sqrt((high - share) ** 2 + (other - other_low) ** 2)
    return share - other, share - other - below, share - other + above


def paired_difference(
    both: ArrayLike, first: ArrayLike, second: ArrayLike, neither: ArrayLike, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One share minus another of the same images, and the bounds of its interval, element by element.

    The interval is Newcombe's for pairs, from the two Wilson score intervals and the correlation of the pairs (1998,
    Statistics in Medicine 17, 2635-2650, method 10). NaN where all counts are 0.

    Args:
        both: how many images are successes both times.
        first: how many are the first time alone.
        second: how many are the second time alone.
        neither: how many never are.
        confidence: of the interval, between 0 and 1.

    Raises InputError as `clopper_pearson`.
    """
    both, first, second, neither = (_numbers(count, "counts") for count in (both, first, second, neither))
    count = both + first + second + neither
    share, low, high = _wilson(both + first, count, confidence)
    other, other_low, other_high = _wilson(both + second, count, confidence)
    correlation = _correlation(both, first, second, neither)
    below = _together(share - low, other_high - other, correlation)
    above = _together(high - share, other - other_low, correlation)
    return share - other, share - other - below, share - other + above


def _correlation(both: np.ndarray, first: np.ndarray, second: np.ndarray, neither: np.ndarray) -> np.ndarray:
    """Of pairs, corrected for continuity where it is positive; 0 where one of the two never varies."""
    product = (both + first) * (second + neither) * (both + second) * (first + neither)
    covariance = both * neither - first * second
    corrected = np.where(covariance > 0, np.maximum(covariance - (both + first + second + neither) / 2, 0), covariance)
    return np.where(product > 0, corrected / np.sqrt(np.where(product > 0, product, 1)), 0.0)


def _together(one: np.ndarray, other: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """Two half-widths as that of a difference."""
    return np.sqrt(np.maximum(one**2 - 2 * correlation * one * other + other**2, 0))


def _wilson(successes: ArrayLike, count: ArrayLike, confidence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The share and the bounds of its score interval (Wilson, 1927)."""
    successes, count = _counts(successes, count, confidence)
    count = np.where(count == 0, np.nan, count)
    share = successes / count
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre, scale = share + z**2 / (2 * count), 1 + z**2 / count
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return share, (centre - half) / scale, (centre + half) / scale


def clopper_pearson(successes: ArrayLike, count: ArrayLike, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the exact binomial interval (Clopper & Pearson, 1934), element by element; 0 and 1 for a count of 0.

    Raises InputError for counts that are no numbers or negative, more successes than there are trials, or a confidence
    outside (0, 1).
    """
    from scipy.special import betaincinv  # here, so that the rest of the core runs on torch and numpy alone

    successes, count = _counts(successes, count, confidence)
    tail = (1 - confidence) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(successes > 0, betaincinv(successes, count - successes + 1, tail), 0.0)
        high = np.where(successes < count, betaincinv(successes + 1, count - successes, 1 - tail), 1.0)
    return low, high


def _check_pair(estimate: Tensor, truth: Tensor) -> None:
    check_batch(estimate, "estimates")
    check_batch(truth, "true images")
    if estimate.shape != truth.shape or estimate.device != truth.device:
        raise InputError(
            f"{described(estimate)} and {described(truth)} can't be compared; give images of one shape on one device"
        )


def _errors(error: ArrayLike | Tensor) -> np.ndarray:
    """MSE values as float64. Raises InputError where they are none."""
    values = _numbers(error, "errors")
    if (values < 0).any():
        raise InputError(f"errors {described(error)} are none: a mean squared error is never negative")
    return values


def _counts(successes: ArrayLike, count: ArrayLike, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """The counts as float64. Raises InputError where they are none, or the confidence is none."""
    check_number("confidence", confidence, "a number between 0 and 1, such as 0.95", lambda value: 0 < value < 1)
    some, of = _numbers(successes, "successes"), _numbers(count, "counts")
    try:
        wrong = (some < 0) | (of < 0) | (some > of) | np.isinf(of)
    except ValueError as error:
        raise InputError(f"successes of shape {some.shape} do not fit counts of shape {of.shape}") from error
    if wrong.any():
        raise InputError("each number of successes must be from 0 to its count; they are not of the same trials")
    return some, of


def _numbers(values: ArrayLike | Tensor, what: str) -> np.ndarray:
    try:
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    except (TypeError, ValueError, RuntimeError):
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "iuf":
        raise InputError(f"{what} must be numbers, or an array or tensor of them, not {described(values)}")
    return array.astype(np.float64)
