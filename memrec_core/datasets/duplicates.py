"""Near-duplicates: the same picture in another encoding, size or orientation, or with a small edit.

Two pictures are near-duplicates if, in one of the eight orientations, they differ little for how much they vary: on a
coarse grid, which another encoding or size leaves nearly as it is, and on a finer one, which tells scenes of the same
layout apart. Or if nearly all their pixels agree: one has an edit, in a small place.

The limits were set on Tiny ImageNet, CIFAR-10 and SVHN: among 32,000 pictures they find the three pairs that a person
calls the same, and no other; of copies saved as JPEG at a quality of 75, or at half or a quarter of the size, all.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

COARSE, COARSE_LIMIT = 8, 0.15
FINE, FINE_LIMIT = 16, 0.25
"""Cells of each grid's side, and how far two pictures may be apart there: the root of the mean squared difference, over
the standard deviation of the picture that varies less."""
FLAT = 1.5 / 255
"""Pictures that are nearer than this are the same, however little they vary: of one colour, say."""
AGREES, AGREEMENT, EDIT_LIMIT = 3.5 / 255, 0.95, 0.3
"""With so many entries that differ by no more than AGREES, one is an edit of the other; on the coarse grid such are not
further apart than EDIT_LIMIT, unless they are tiny."""
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


class _Views:
    """Images, their two grids, how much each varies, and the invariants of the coarse grid."""

    def __init__(self, images: Tensor) -> None:
        self.images = images
        self.coarse, self.fine = (adaptive_avg_pool2d(images, side) for side in (COARSE, FINE))
        self.spread = (self.coarse - self.coarse.mean((2, 3), keepdim=True)).flatten(1).square().mean(1).sqrt()
        self.invariants = _invariants(self.coarse)
        self.norms = self.invariants.square().sum(1)


def _invariants(grid: Tensor) -> Tensor:
    """(N, F): two grids that are `d` apart (root mean square) in some orientation are no further apart in these.

    They are the means over the cells that the orientations exchange, weighted by the root of how many those are: an
    orthogonal projection of the grid.
    """
    mean = torch.stack([orientation(grid, turn) for turn in range(ORIENTATIONS)]).mean(0)
    cells = [(row, column) for row in range(COARSE // 2) for column in range(row, COARSE // 2)]
    weights = torch.tensor([(4.0 if row == column else 8.0) ** 0.5 for row, column in cells])
    rows, columns = zip(*cells, strict=True)
    return (mean[:, :, rows, columns] * weights).flatten(1) / grid[0].numel() ** 0.5 if len(grid) else mean.flatten(1)


def orientation(images: Tensor, turn: int) -> Tensor:
    """(N, C, H, W) turned by 0, 90, 180 or 270 degrees (`turn` 0 to 3), or that mirrored (4 to 7)."""
    turned = torch.rot90(images, turn % 4, (2, 3))
    return turned.flip(3) if turn >= 4 else turned


def _pairs(own: _Views, i: Tensor, other: _Views, k: Tensor) -> np.ndarray:
    """Of the images `i` and the others `k` the near-duplicates: (P, 2), sorted by the others, then by the images."""
    products = other.invariants[k] @ own.invariants[i].T
    squares = other.norms[k, None] + own.norms[i] - 2 * products
    limit = (EDIT_LIMIT * torch.minimum(other.spread[k, None], own.spread[i])).clamp_min(FLAT)
    row, column = (squares < limit.square() + 1e-6).nonzero(as_tuple=True)  # products in float32 err by less
    i, k = i[column], k[row]
    near = [
        _are_near(own, own_part, other, part) for own_part, part in zip(i.split(CHUNK), k.split(CHUNK), strict=True)
    ]
    return torch.stack([i, k], 1)[torch.cat(near)].numpy()


def _are_near(own: _Views, i: Tensor, other: _Views, k: Tensor) -> Tensor:
    """Whether each pair is one of near-duplicates, in the orientation that brings them nearest: (P,) bool."""
    spread = torch.minimum(own.spread[i], other.spread[k])
    turned = other.coarse[k]
    apart = torch.stack([_apart(own.coarse[i], orientation(turned, turn)) for turn in range(ORIENTATIONS)])
    nearest, turn = apart.min(0)
    near = nearest < (COARSE_LIMIT * spread).clamp_min(FLAT)
    maybe = nearest < (EDIT_LIMIT * spread).clamp_min(FLAT)
    for of_turn in range(ORIENTATIONS):
        part = (maybe & (turn == of_turn)).nonzero()[:, 0]
        one, two = i[part], k[part]
        fine = _apart(own.fine[one], orientation(other.fine[two], of_turn))
        near[part] &= fine < (FINE_LIMIT * spread[part]).clamp_min(FLAT)
        near[part] |= _agree(own.images[one], orientation(other.images[two], of_turn))
    return near


def _apart(grid: Tensor, other: Tensor) -> Tensor:
    return (grid - other).flatten(1).square().mean(1).sqrt()


def _agree(images: Tensor, others: Tensor) -> Tensor:
    """Whether nearly all entries of each two agree: (P,) bool; a picture that lies does not agree with one that
    stands."""
    if images.shape != others.shape:
        return torch.zeros(len(images), dtype=torch.bool)
    return ((images - others).abs() <= AGREES).flatten(1).float().mean(1) >= AGREEMENT
