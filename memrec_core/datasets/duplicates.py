"""Near-duplicates: the same picture in another encoding, size, brightness or orientation, or with a small edit.

Two pictures are near-duplicates if, in one of the eight orientations, their details agree: on a coarse grid, which
another encoding or size leaves nearly as it is, and on a finer one, which tells scenes of the same layout apart. The
details are what is left of a grid's brightness without the mean of each cell's neighbourhood: what pictures of a sky
above a field share, among thousands, is gone from them. Or if nearly all their pixels agree, as where one has an edit
in a small place, or if both hardly differ at all.

The limits were set on 32,600 pictures of Tiny ImageNet, CIFAR-10, SVHN and photographs; docs/pictures.md has what they
find and what they miss.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, pad

COARSE, COARSE_LIMIT, COARSE_NOISE = 8, 0.94, 3 / 255
FINE, FINE_LIMIT, FINE_NOISE = 16, 0.88, 5 / 255
"""Cells of each grid's side; how far the details of two pictures are correlated at least; and the root of the mean
squared difference below which they are the same, however little detail they have."""
COLOUR_LIMIT = 0.5
"""How far the coarse grids of two pictures with the same details may be apart, as the root of the mean squared
difference over the standard deviation of the one that varies less."""
AGREES, AGREEMENT, EDIT_LIMIT = 3.5 / 255, 0.95, 0.3
"""With so many entries that differ by no more than AGREES, one is an edit of the other. The coarse grids of such are no
further apart than EDIT_LIMIT times the standard deviation of the one that varies less, unless they are tiny."""
ORIENTATIONS = 8
BLOCK, CHUNK = 64, 2048
"""Pictures that are compared with all others at once, and pairs that are looked at closely at once."""


def near_duplicates(images: Tensor) -> np.ndarray:
    """For each image of (N, C, H, W) in [0, 1] the place of the first one that it is a near-duplicate of, its own where
    there is none: (N,) int64.

    An image that is named has its own place: it stands for its copies. What is near to a copy alone is another picture,
    so that a slow film is not taken for a single one.
    """
    views, places = _Views(images), np.arange(len(images))
    for start in range(0, len(images), BLOCK):
        alone = torch.from_numpy(np.flatnonzero(places == np.arange(len(images))))
        after, block = alone[alone > start], alone[(alone >= start) & (alone < start + BLOCK)]
        for copy, first in _pairs(views, after, views, block).tolist():
            if first < copy and places[first] == first and places[copy] == copy:
                places[copy] = first
    return places


def near_pairs(images: Tensor, others: Tensor) -> np.ndarray:
    """All pairs (i, k) of an image i (N, C, H, W) and a near-duplicate k among the `others` (M, C, H, W): (P, 2)
    int64, in ascending order of k."""
    own, other, every = _Views(images), _Views(others), torch.arange(len(images))
    blocks = [_pairs(own, every, other, block) for block in torch.arange(len(others)).split(BLOCK)]
    return np.concatenate(blocks)


def orientation(images: Tensor, turn: int) -> Tensor:
    """(N, C, H, W) turned by 0, 90, 180 or 270 degrees (`turn` 0 to 3), or that mirrored (4 to 7)."""
    turned = torch.rot90(images, turn % 4, (2, 3))
    return turned.flip(3) if turn >= 4 else turned


class _Views:
    """Images, their two grids with the details of each as unit vectors, and what of the coarse one no orientation
    changes."""

    def __init__(self, images: Tensor) -> None:
        self.images = images
        self.coarse, self.fine = (_grid(images, side) for side in (COARSE, FINE))
        self.coarse_details, self.fine_details = _details(self.coarse), _details(self.fine)
        self.spread = (self.coarse - self.coarse.mean((2, 3), keepdim=True)).flatten(1).square().mean(1).sqrt()
        self.invariants = _invariants(self.coarse) / (self.coarse.shape[1] * COARSE**2) ** 0.5
        self.oriented = [orientation(self.coarse_details, turn).flatten(1) for turn in range(ORIENTATIONS)]


def _grid(images: Tensor, side: int) -> Tensor:
    return adaptive_avg_pool2d(images, side) if len(images) else images.new_zeros(0, images.shape[1], side, side)


def _details(grid: Tensor) -> Tensor:
    """The brightness of a grid (N, C, S, S) without the mean of each cell's neighbourhood: (N, 1, S, S) of length 1, or
    0 where there is no detail."""
    grid = grid.mean(1, keepdim=True)
    details = grid - avg_pool2d(pad(grid, (1, 1, 1, 1), mode="replicate"), 3, 1)
    lengths = details.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return torch.where(lengths > 1e-4, details / lengths.clamp_min(1e-4), 0.0)


def _invariants(grid: Tensor) -> Tensor:
    """(N, F): two grids that are `d` apart (root of the summed squares) in some orientation are no further apart here.

    They are the means over the cells that the orientations exchange, weighted by the root of how many those are: an
    orthogonal projection of the grid.
    """
    mean = torch.stack([orientation(grid, turn) for turn in range(ORIENTATIONS)]).mean(0)
    cells = [(row, column) for row in range(COARSE // 2) for column in range(row, COARSE // 2)]
    weights = torch.tensor([(4.0 if row == column else 8.0) ** 0.5 for row, column in cells])
    rows, columns = zip(*cells, strict=True)
    return (mean[:, :, rows, columns] * weights).flatten(1)


def _pairs(own: _Views, i: Tensor, other: _Views, k: Tensor) -> np.ndarray:
    """Of the images `i` and the others `k` the near-duplicates: (P, 2), sorted by the others, then by the images."""
    agree = torch.zeros(len(k), len(i), dtype=torch.bool)
    for oriented in own.oriented:
        agree |= other.oriented[0][k] @ oriented[i].T > COARSE_LIMIT
    limit = (EDIT_LIMIT * torch.minimum(other.spread[k, None], own.spread[i])).clamp_min(COARSE_NOISE)
    agree |= _squares(other.invariants[k], own.invariants[i]) < limit.square()
    row, column = agree.nonzero(as_tuple=True)
    i, k = i[column], k[row]
    near = [_are_near(own, *pair, other) for pair in zip(i.split(CHUNK), k.split(CHUNK), strict=True)]
    return torch.stack([i, k], 1)[torch.cat(near)].numpy()


def _squares(vectors: Tensor, others: Tensor) -> Tensor:
    """The squared distances (M, N), less what products in float32 may err by."""
    return vectors.square().sum(1)[:, None] + others.square().sum(1) - 2 * vectors @ others.T - 1e-6


def _are_near(own: _Views, i: Tensor, k: Tensor, other: _Views) -> Tensor:
    """Whether each pair is one of near-duplicates, in the orientation that their details agree in best: (P,) bool."""
    products = [(oriented[i] * other.oriented[0][k]).sum(1) for oriented in own.oriented]
    coarse, turn = torch.stack(products).max(0)
    near = torch.zeros(len(i), dtype=torch.bool)
    for of_turn in range(ORIENTATIONS):
        part = (turn == of_turn).nonzero()[:, 0]
        one, two = i[part], k[part]
        fine = (orientation(own.fine_details[one], of_turn) * other.fine_details[two]).flatten(1).sum(1)
        apart = _apart(orientation(own.coarse[one], of_turn), other.coarse[two])
        limit = COLOUR_LIMIT * torch.minimum(own.spread[one], other.spread[two])
        near[part] = (coarse[part] > COARSE_LIMIT) & (fine > FINE_LIMIT) & (apart < limit)
        fine_apart = _apart(orientation(own.fine[one], of_turn), other.fine[two])
        near[part] |= (apart < COARSE_NOISE) & (fine_apart < FINE_NOISE)
        near[part] |= _agree(orientation(own.images[one], of_turn), other.images[two])
    return near


def _apart(grids: Tensor, others: Tensor) -> Tensor:
    return (grids - others).flatten(1).square().mean(1).sqrt()


def _agree(images: Tensor, others: Tensor) -> Tensor:
    """Whether nearly all entries of each two agree: (P,) bool; a picture that lies does not agree with one that
    stands."""
    if images.shape != others.shape:
        return torch.zeros(len(images), dtype=torch.bool)
    return ((images - others).abs() <= AGREES).flatten(1).float().mean(1) >= AGREEMENT
