"""Whether training and control images can be told apart as pictures, without the network: if so, a difference between
them need not be its memory."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from memrec_core.auditing.membership import auc, auc_interval
from memrec_core.seeding import generator

SIDE, FOLDS, RIDGE = 8, 5, 10.0
LEAST = 20
"""Images of either side, below which nothing can be said."""


@dataclass(frozen=True)
class Exchangeability:
    """`auc` of a linear classifier of the pictures, asked about those that it was not trained on, with its interval.
    `alike` is whether that holds 1/2: None, with the `reason`, where there are too few images."""

    alike: bool | None
    auc: float | None = None
    interval: tuple[float, float] | None = None
    reason: str | None = None


def exchangeability(train: Tensor, control: Tensor, seed: int = 42) -> Exchangeability:
    """From the images of both sides, (N, C, H, W) and (M, C, H, W) in [0, 1]: ridge regression on what they are on a
    grid of 8 x 8 and how much finer detail they have, in five folds."""
    if min(len(train), len(control)) < LEAST:
        return Exchangeability(None, reason=f"fewer than {LEAST} images on a side tell nothing; give more")
    features = torch.cat([_features(train), _features(control)])
    features = (features - features.mean(0)) / features.std(0).clamp(min=1e-6)
    labels = torch.cat([torch.ones(len(train)), -torch.ones(len(control))]).double()
    folds = torch.empty(len(labels), dtype=torch.int64)
    for start, stop in ((0, len(train)), (len(train), len(labels))):
        folds[start:stop] = torch.randperm(stop - start, generator=generator(seed, "folds", start)) % FOLDS
    scores = torch.empty_like(labels)
    for fold in range(FOLDS):
        held = folds == fold
        scores[held] = _ridge(features[~held], labels[~held], features[held])
    ranks = _within_folds(scores, folds)
    value = auc(-ranks[: len(train)], -ranks[len(train) :])
    low, high = auc_interval(value, len(train), len(control))
    return Exchangeability(bool(low <= 0.5 <= high), value, (low, high))


def _features(images: Tensor) -> Tensor:
    """(N, F) float64: colours on a coarse grid, and the spread of what that leaves out."""
    grid = (min(SIDE, images.shape[2]), min(SIDE, images.shape[3]))
    coarse = adaptive_avg_pool2d(images, grid)
    fine = images - torch.nn.functional.interpolate(coarse, images.shape[2:], mode="nearest")
    return torch.cat([coarse.flatten(1), fine.flatten(2).std(2)], 1).double()


def _ridge(features: Tensor, labels: Tensor, asked: Tensor) -> Tensor:
    """In the dual form where there are fewer images than features."""
    centre, weight = features.mean(0), RIDGE * len(labels) / 100
    own, mean = features - centre, labels.mean()
    gram = own @ own.T + weight * torch.eye(len(own), dtype=own.dtype)
    return (asked - centre) @ own.T @ torch.linalg.solve(gram, labels - mean) + mean


def _within_folds(scores: Tensor, folds: Tensor) -> np.ndarray:
    """The scores as ranks in [0, 1] of their fold: two folds have two classifiers."""
    ranks = torch.empty_like(scores)
    for fold in range(FOLDS):
        own = scores[folds == fold]
        ranks[folds == fold] = own.argsort().argsort().double() / max(1, len(own) - 1)
    return ranks.numpy()
