"""Near-duplicates: the same picture in another encoding, size or orientation, or with a small edit.

Two pictures are near-duplicates if, in one of the eight orientations, they differ little for how much each differs from
its own colour and from what the set has in common: on a coarse grid, which another encoding or size leaves nearly as it
is, and on a finer one, which tells pictures of the same layout apart. What all pictures of a set share, such as a
background, a frame or an anatomy, so counts for nothing. Or if nearly all that is its own in either agrees, as where
one has an edit in a small place.

The limits were set on photographs, and on drawings, scans and plots that a program makes: docs/pictures.md has what
they find, and what they miss.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

COARSE, COARSE_LIMIT = 8, 0.15
FINE, FINE_LIMIT = 16, 0.25
"""Cells of each grid's side, and how far two pictures may be apart there: the root of the mean squared difference, over
that of what is its own in the one that has less of it."""
AGREES, TELLING = 3.5 / 255, 0.05
"""Entries agree that differ by no more than AGREES, and tell something where what is own to a picture is more than
TELLING."""
AGREEMENT, LEAST_TELLING, EDIT_LIMIT = 0.95, 0.02, 0.3
"""Where so large a share of the telling entries agree, and these are at least so many of all, one picture is an edit of
the other. The coarse grids of such are no further apart than EDIT_LIMIT, unless they are tiny."""
EQUAL = 0.25 / 255
"""Pictures that are no further apart are the same, in any set."""
ORIENTATIONS = 8
BLOCK, CHUNK = 64, 2048
"""Pictures that are compared with all others at once, and pairs that are looked at closely at once."""


def near_duplicates(images: Tensor) -> np.ndarray:
    """For each image of (N, C, H, W) in [0, 1] the place of the first one that it is a near-duplicate of, its own where
    there is none: (N,) int64.

    An image that is named has its own place: it stands for its copies. What is near to a copy alone is another picture,
    so that a slow film is not taken for a single one.
    """
    views, places = _Views(images, _Mean(images)), np.arange(len(images))
    for start in range(0, len(images), BLOCK):
        alone = torch.from_numpy(np.flatnonzero(places == np.arange(len(images))))
        after, block = alone[alone > start], alone[(alone >= start) & (alone < start + BLOCK)]
        for copy, first in _pairs(views, after, views, block).tolist():
            if first < copy and places[first] == first and places[copy] == copy:
                places[copy] = first
    return places


def near_pairs(images: Tensor, others: Tensor) -> np.ndarray:
    """All pairs (i, k) of an image i (N, C, H, W) and a near-duplicate k among the `others` (M, C, H, W): (P, 2)
    int64, in ascending order of k. The two together are the set."""
    mean = _Mean(torch.cat([images, others]))
    own, other, every = _Views(images, mean), _Views(others, mean), torch.arange(len(images))
    blocks = [_pairs(own, every, other, block) for block in torch.arange(len(others)).split(BLOCK)]
    return np.concatenate(blocks)


def orientation(images: Tensor, turn: int) -> Tensor:
    """(N, C, H, W) turned by 0, 90, 180 or 270 degrees (`turn` 0 to 3), or that mirrored (4 to 7)."""
    turned = torch.rot90(images, turn % 4, (2, 3))
    return turned.flip(3) if turn >= 4 else turned


class _Mean:
    """What the different pictures of a set have in common beside their colour (1, C, H, W); nothing of fewer than four.

    `scale` makes up for a picture and its copy being in the mean themselves.
    """

    def __init__(self, images: Tensor) -> None:
        pixels = images.mul(255).round().to(torch.uint8).flatten(1).numpy()
        distinct = list({image.tobytes(): place for place, image in enumerate(pixels)}.values())
        count = len(distinct)
        enough = count > 3
        self.scale = count / (count - 2) if enough else 1.0
        self.picture = _without_colour(images[distinct].mean(0, keepdim=True)) if enough else torch.zeros(1, 1, 1, 1)

    def own(self, images: Tensor) -> Tensor:
        """What is own to each of the images."""
        return _without_colour(images) - self.picture


def _without_colour(images: Tensor) -> Tensor:
    return images - images.mean((2, 3), keepdim=True)


class _Views:
    """Images, their two grids, how much is own to each there, and what of the coarse one no orientation changes."""

    def __init__(self, images: Tensor, mean: _Mean) -> None:
        self.images, self.mean = images, mean
        self.coarse, self.fine = (_grid(images, side) for side in (COARSE, FINE))
        own = mean.own(images)
        self.coarse_spread = mean.scale * _size(_grid(own, COARSE))
        self.fine_spread = mean.scale * _size(_grid(own, FINE))
        self.invariants = _invariants(self.coarse)


def _grid(images: Tensor, side: int) -> Tensor:
    return adaptive_avg_pool2d(images, side) if len(images) else images.new_zeros(0, images.shape[1], side, side)


def _size(grids: Tensor) -> Tensor:
    """The root of the mean square of each: (N,)."""
    return grids.flatten(1).square().mean(1).sqrt()


def _invariants(grid: Tensor) -> Tensor:
    """(N, F): two grids that are `d` apart (root mean square) in some orientation are no further apart in these.

    They are the means over the cells that the orientations exchange, weighted by the root of how many those are: an
    orthogonal projection of the grid.
    """
    mean = torch.stack([orientation(grid, turn) for turn in range(ORIENTATIONS)]).mean(0)
    cells = [(row, column) for row in range(COARSE // 2) for column in range(row, COARSE // 2)]
    weights = torch.tensor([(4.0 if row == column else 8.0) ** 0.5 for row, column in cells])
    rows, columns = zip(*cells, strict=True)
    return (mean[:, :, rows, columns] * weights).flatten(1) / (grid.shape[1] * COARSE**2) ** 0.5


def _pairs(own: _Views, i: Tensor, other: _Views, k: Tensor) -> np.ndarray:
    """Of the images `i` and the others `k` the near-duplicates: (P, 2), sorted by the others, then by the images."""
    limit = EDIT_LIMIT * torch.minimum(other.coarse_spread[k, None], own.coarse_spread[i]) + EQUAL
    squares = _squares(other.invariants[k], own.invariants[i])
    row, column = (squares < limit.square()).nonzero(as_tuple=True)
    i, k = i[column], k[row]
    near = [_are_near(own, *pair, other) for pair in zip(i.split(CHUNK), k.split(CHUNK), strict=True)]
    return torch.stack([i, k], 1)[torch.cat(near)].numpy()


def _squares(vectors: Tensor, others: Tensor) -> Tensor:
    """The squared distances (M, N), less what products in float32 may err by."""
    return vectors.square().sum(1)[:, None] + others.square().sum(1) - 2 * vectors @ others.T - 1e-6


def _are_near(own: _Views, i: Tensor, k: Tensor, other: _Views) -> Tensor:
    """Whether each pair is one of near-duplicates, in the orientation that brings them nearest: (P,) bool."""
    grids, turned = own.coarse[i], other.coarse[k]
    apart, turn = torch.stack([_size(grids - orientation(turned, turn)) for turn in range(ORIENTATIONS)]).min(0)
    coarse_spread = torch.minimum(own.coarse_spread[i], other.coarse_spread[k])
    near = apart <= COARSE_LIMIT * coarse_spread + EQUAL
    maybe = apart <= EDIT_LIMIT * coarse_spread + EQUAL
    for of_turn in range(ORIENTATIONS):
        part = (maybe & (turn == of_turn)).nonzero()[:, 0]
        one, two = i[part], k[part]
        fine_spread = torch.minimum(own.fine_spread[one], other.fine_spread[two])
        near[part] &= _size(own.fine[one] - orientation(other.fine[two], of_turn)) <= FINE_LIMIT * fine_spread + EQUAL
        near[part] |= _agree(own, one, other, two, of_turn)
    return near


def _agree(own: _Views, i: Tensor, other: _Views, k: Tensor, turn: int) -> Tensor:
    """Whether nearly all telling entries of each pair agree, in that orientation of the others: (P,) bool; a picture
    that lies does not agree with one that stands."""
    images, others = own.images[i], orientation(other.images[k], turn)
    if images.shape != others.shape:
        return torch.zeros(len(i), dtype=torch.bool)
    telling = own.mean.own(images).abs() > TELLING
    telling |= orientation(other.mean.own(other.images[k]).abs(), turn) > TELLING
    agreeing = telling & ((images - others).abs() <= AGREES)
    count = telling.flatten(1).sum(1)
    least = LEAST_TELLING * images[:1].numel()
    return (count >= least) & (agreeing.flatten(1).sum(1) >= AGREEMENT * count)
