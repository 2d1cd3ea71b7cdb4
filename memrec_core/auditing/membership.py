"""Whether an image's error tells that it was trained on: AUC, and true positives at 1 % of false ones."""

from dataclasses import dataclass
from math import floor
from statistics import NormalDist

import numpy as np

from memrec_core.metrics import clopper_pearson

FALSE_POSITIVES = 0.01
LEAST_CONTROLS = 100
"""Below, no share of 1 % of the control images can be told from none."""


@dataclass(frozen=True)
class Membership:
    """`auc` is the share of pairs (training image, control image) of which the former has less error, a tie counting
    half; `true_positives` the share of the training images with less error than all but 1 % of the control images.
    `auc_interval` is Newcombe's (2006, method 5), the other the exact binomial one with the threshold taken as given.
    Null, with the reason, where there are too few control images."""

    auc: float | None = None
    auc_interval: tuple[float, float] | None = None
    true_positives: float | None = None
    true_positives_interval: tuple[float, float] | None = None
    threshold: float | None = None
    reason: str | None = None


def membership(train: np.ndarray, control: np.ndarray) -> Membership:
    """From the errors of the training images (N,) and of the control images (M,). One that is NaN counts as largest."""
    if len(control) < LEAST_CONTROLS:
        return Membership(
            reason=f"{len(control)} control images are too few to tell 1 % of them; give {LEAST_CONTROLS} or more"
        )
    train, control = (np.nan_to_num(errors, nan=np.inf, posinf=np.inf) for errors in (train, control))
    value = auc(train, control)
    threshold = np.sort(control)[floor(FALSE_POSITIVES * len(control))]
    below = int((train < threshold).sum())
    low, high = clopper_pearson(below, len(train))
    return Membership(
        auc=value,
        auc_interval=auc_interval(value, len(train), len(control)),
        true_positives=below / len(train),
        true_positives_interval=(float(low), float(high)),
        threshold=float(threshold),
    )


def auc(train: np.ndarray, control: np.ndarray) -> float:
    """The share of pairs of which the training image has the less error (Mann & Whitney, 1947)."""
    ranked = np.sort(control)
    above = len(ranked) - np.searchsorted(ranked, train, side="right")
    equal = np.searchsorted(ranked, train, side="right") - np.searchsorted(ranked, train, side="left")
    return float((above + equal / 2).mean() / len(ranked))


def auc_interval(value: float, count: int, other_count: int) -> tuple[float, float]:
    """All theta that a score test at 5 % does not reject: |value - theta| <= z sqrt(V(theta)), with
        V = theta (1 - theta) (1 + k (1 - theta) / (2 - theta) + k theta / (1 + theta)) / (m n),  k = (m + n) / 2 - 1
    (Newcombe, 2006, method 5). It holds for a value of 0 or 1 too.
    """
    z, k = NormalDist().inv_cdf(0.975), (count + other_count) / 2 - 1
    theta = np.linspace(0, 1, 100_001)
    shape = 1 + k * (1 - theta) / (2 - theta) + k * theta / (1 + theta)
    variance = theta * (1 - theta) * shape / (count * other_count)
    inside = theta[np.abs(value - theta) <= z * np.sqrt(variance)]
    return (float(inside[0]), float(inside[-1])) if inside.size else (value, value)
