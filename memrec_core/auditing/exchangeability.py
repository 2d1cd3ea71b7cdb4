"""Whether training and control images can be told apart as pictures, without the network: if so, a difference between
them need not be its memory."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from memrec_core.auditing.membership import auc_interval
from memrec_core.seeding import generator

SIDE, FOLDS, RIDGE = 8, 5, 10.0
LEAST = 20
"""Images of either side, below which nothing can be said."""
SHUFFLES, ERROR = 399, 0.05
"""How often the labels are shuffled, and the share of alike sides that are said not to be."""


@dataclass(frozen=True)
class Exchangeability:
    """`auc` of a linear classifier of the pictures, asked about those that it was not trained on, with Newcombe's
    interval. `p` is the share of classifiers of shuffled labels that do as well; `alike` is whether it is 5 % or more:
    None, with the `reason`, where there are too few images."""

    alike: bool | None
    auc: float | None = None
    interval: tuple[float, float] | None = None
    reason: str | None = None
    p: float | None = None


def exchangeability(train: Tensor, control: Tensor, seed: int = 42) -> Exchangeability:
    """From the images of both sides, (N, C, H, W) and (M, C, H, W) in [0, 1]: ridge regression on what they are on a
    grid of 8 x 8, how much finer detail they have, their contrast and their roughness, in five folds. Scores of one
    classifier depend on one another, so that chance is measured: labels are shuffled within each fold."""
    if min(len(train), len(control)) < LEAST:
        return Exchangeability(None, reason=f"fewer than {LEAST} images on a side tell nothing; give more")
    features = torch.cat([_features(train), _features(control)])
    features = (features - features.mean(0)) / features.std(0).clamp(min=1e-6)
    folds = _folds(len(train), len(control), seed)
    labels = _shuffled(folds, len(train), seed)
    pairs, found = 0, np.zeros(1 + SHUFFLES)
    for fold in range(FOLDS):
        held = folds == fold
        mine = labels[held]
        weight = int((mine[:, 0] > 0).sum() * (mine[:, 0] < 0).sum())
        found += weight * _aucs(_ridge(features[~held], labels[~held], features[held]), mine)
        pairs += weight
    value, *others = (found / pairs).tolist()
    p = (1 + sum(other >= value for other in others)) / (1 + SHUFFLES)
    return Exchangeability(p >= ERROR, value, auc_interval(value, len(train), len(control)), p=p)


def _features(images: Tensor) -> Tensor:
    """(N, F) float64: colours on a coarse grid, the spread of what that leaves out, that of all, and how much pixels
    differ from their neighbours. In these two sides may differ whose pictures are alike on average."""
    grid = (min(SIDE, images.shape[2]), min(SIDE, images.shape[3]))
    coarse = adaptive_avg_pool2d(images, grid)
    fine = images - torch.nn.functional.interpolate(coarse, images.shape[2:], mode="nearest")
    spread = [part.flatten(2).std(2, correction=0) for part in (fine, images)]
    rough = [images.diff(dim=dim).abs().flatten(2).sum(2) / images[0, 0].numel() for dim in (2, 3)]
    return torch.cat([coarse.flatten(1), *spread, *rough], 1).double()


def _folds(train: int, control: int, seed: int) -> Tensor:
    """Of each image, the training images first: (N + M,). Each has its share of both sides."""
    sides = enumerate((train, control))
    return torch.cat([torch.randperm(count, generator=generator(seed, "folds", side)) % FOLDS for side, count in sides])


def _shuffled(folds: Tensor, train: int, seed: int) -> Tensor:
    """1 for training images and -1 for others in the first column, and shuffled within the folds in the rest: (N + M,
    1 + SHUFFLES) float64."""
    labels = torch.ones(len(folds), 1 + SHUFFLES, dtype=torch.float64)
    labels[train:] = -1
    source = generator(seed, "labels")
    for fold in range(FOLDS):
        rows = (folds == fold).nonzero()[:, 0]
        order = torch.rand(len(rows), SHUFFLES, generator=source).argsort(0)
        labels[rows, 1:] = labels[rows, 0][order]
    return labels


def _ridge(features: Tensor, labels: Tensor, asked: Tensor) -> Tensor:
    """The scores (K, L) of the K that are asked, for each of the L columns of labels."""
    centre, weight = features.mean(0), RIDGE * len(labels) / 100
    own, mean = features - centre, labels.mean(0)
    gram = own.T @ own + weight * torch.eye(own.shape[1], dtype=own.dtype)
    return (asked - centre) @ torch.linalg.solve(gram, own.T @ (labels - mean)) + mean


def _aucs(scores: Tensor, labels: Tensor) -> np.ndarray:
    """The share of pairs that each column of the scores (K, L) puts in the order of the labels, a tie counting half."""
    from scipy.stats import rankdata  # here, so that the rest of the core runs on torch and numpy

    positive = labels.numpy() > 0
    ranks = np.where(positive, rankdata(scores.numpy(), axis=0), 0).sum(0)
    count, other_count = positive.sum(0), (~positive).sum(0)
    return (ranks - count * (count + 1) / 2) / (count * other_count)
