"""Near-duplicates: the same picture in another encoding, size or orientation, or with a small edit.

Two pictures are near-duplicates if, in one of the eight orientations, they differ little for how much each differs from
its own colour and from what the set has in common: on a coarse grid, which another encoding or size leaves nearly as it
is, and on a finer one, which tells pictures of the same layout apart. What all pictures of a set share, such as a
background, a frame or an anatomy, so counts for nothing. Or if nearly all that is its own in either agrees, as where
one has an edit in a small place.

Of pictures that are not square the quarter turns are looked for in the centred squares: a picture that lies was cut to
another part of it than one that stands, and the squares are what both may have kept. Colours count by their alpha, as
people see them.

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
"""Grids that are no further apart are the same, in any set."""
PIXELS_LIMIT = 0.7
"""And so are their pictures, unless the pixels are further apart than that, of what is their own: cells of one mean may
be of several textures, which are about 1.4 apart."""
ORIENTATIONS = 8
HALF_TURNS, QUARTER_TURNS = (0, 2, 4, 6), (1, 3, 5, 7)
"""The orientations that leave a picture's height and width as they are, and those that exchange them."""
LONGEST = 2
"""The centred square of a picture that is more than so many times as long as wide says too little of it."""
BLOCK, CHUNK = 64, 2048
"""Pictures that are compared with all others at once, and pairs that are looked at closely at once."""


def near_duplicates(images: Tensor) -> np.ndarray:
    """For each image of (N, C, H, W) in [0, 1] the place of the first one that it is a near-duplicate of, its own where
    there is none: (N,) int64.

    An image that is named has its own place: it stands for its copies. What is near to a copy alone is another picture,
    so that a slow film is not taken for a single one.
    """
    looks, places = [_Views(part, _Mean(part), turns) for part, turns in _parts(images)], np.arange(len(images))
    for start in range(0, len(images), BLOCK):
        alone = torch.from_numpy(np.flatnonzero(places == np.arange(len(images))))
        after, block = alone[alone > start], alone[(alone >= start) & (alone < start + BLOCK)]
        for copy, first in _all_pairs(looks, after, looks, block).tolist():
            if first < copy and places[first] == first and places[copy] == copy:
                places[copy] = first
    return places


def near_pairs(images: Tensor, others: Tensor) -> np.ndarray:
    """All pairs (i, k) of an image i (N, C, H, W) and a near-duplicate k among the `others` (M, C, H, W): (P, 2)
    int64, in ascending order of k. The two together are the set."""
    own, other, every = [], [], torch.arange(len(images))
    for (part, turns), (others_part, _) in zip(_parts(images), _parts(others), strict=True):
        mean = _Mean(torch.cat([part, others_part]))
        own.append(_Views(part, mean, turns))
        other.append(_Views(others_part, mean, turns))
    blocks = [_all_pairs(own, every, other, block) for block in torch.arange(len(others)).split(BLOCK)]
    return np.concatenate(blocks)


def orientation(images: Tensor, turn: int) -> Tensor:
    """(N, C, H, W) turned by 0, 90, 180 or 270 degrees (`turn` 0 to 3), or that mirrored (4 to 7)."""
    turned = torch.rot90(images, turn % 4, (2, 3))
    return turned.flip(3) if turn >= 4 else turned


def _parts(images: Tensor) -> list[tuple[Tensor, tuple[int, ...]]]:
    """What is compared of the images (N, C, H, W), and in which orientations: all of each; of those that are not
    square, the centred squares too."""
    seen = _weighted(images)
    height, width = images.shape[2:]
    if height == width:
        return [(seen, tuple(range(ORIENTATIONS)))]
    side = min(height, width)
    if max(height, width) > LONGEST * side:
        return [(seen, HALF_TURNS)]
    top, left = (height - side) // 2, (width - side) // 2
    return [(seen, HALF_TURNS), (seen[:, :, top : top + side, left : left + side], QUARTER_TURNS)]


def _weighted(images: Tensor) -> Tensor:
    """The images with colours weighted by their alpha, where the last of 2 or 4 channels is that: what lies under
    transparent pixels is seen by nobody, and other encodings leave it out."""
    if images.shape[1] not in (2, 4):
        return images
    return torch.cat([images[:, :-1] * images[:, -1:], images[:, -1:]], 1)


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
    """Images, their two grids, how much is own to each there, and what of the coarse one no orientation changes;
    `turns` are the orientations that they are compared in."""

    def __init__(self, images: Tensor, mean: _Mean, turns: tuple[int, ...]) -> None:
        self.images, self.mean, self.turns = images, mean, turns
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


def _all_pairs(own: list[_Views], i: Tensor, other: list[_Views], k: Tensor) -> np.ndarray:
    """The pairs of `_pairs` in any part of the images, each once and in the same order."""
    first, *more = [_pairs(one, i, two, k) for one, two in zip(own, other, strict=True)]
    return np.unique(np.concatenate([first, *more])[:, ::-1], axis=0)[:, ::-1] if more else first


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
    apart, nearest = torch.stack([_size(grids - orientation(turned, turn)) for turn in own.turns]).min(0)
    coarse_spread = torch.minimum(own.coarse_spread[i], other.coarse_spread[k])
    near = apart <= COARSE_LIMIT * coarse_spread + EQUAL
    maybe = apart <= EDIT_LIMIT * coarse_spread + EQUAL
    for place, turn in enumerate(own.turns):
        part = (maybe & (nearest == place)).nonzero()[:, 0]
        one, two = i[part], k[part]
        fine_spread = torch.minimum(own.fine_spread[one], other.fine_spread[two])
        fine_apart = _size(own.fine[one] - orientation(other.fine[two], turn))
        near[part] &= fine_apart <= FINE_LIMIT * fine_spread + EQUAL
        vague = (apart[part] > COARSE_LIMIT * coarse_spread[part]) | (fine_apart > FINE_LIMIT * fine_spread)
        doubtful = (near[part] & vague).nonzero()[:, 0]
        near[part[doubtful]] = _are_near_in_pixels(own, one[doubtful], other, two[doubtful], turn)
        near[part] |= _agree(own, one, other, two, turn)
    return near


def _are_near_in_pixels(own: _Views, i: Tensor, other: _Views, k: Tensor, turn: int) -> Tensor:
    """Whether the pixels of each pair, in that orientation of the others, may be of one picture: (P,) bool."""
    images, others = own.images[i], other.images[k]
    spread = torch.maximum(_size(own.mean.own(images)), _size(other.mean.own(others))) * own.mean.scale
    return _size(images - orientation(others, turn)) <= PIXELS_LIMIT * spread + EQUAL


def _agree(own: _Views, i: Tensor, other: _Views, k: Tensor, turn: int) -> Tensor:
    """Whether nearly all telling entries of each pair agree, in that orientation of the others: (P,) bool."""
    images, others = own.images[i], orientation(other.images[k], turn)
    telling = own.mean.own(images).abs() > TELLING
    telling |= orientation(other.mean.own(other.images[k]).abs(), turn) > TELLING
    agreeing = telling & ((images - others).abs() <= AGREES)
    count = telling.flatten(1).sum(1)
    least = LEAST_TELLING * images[:1].numel()
    return (count >= least) & (agreeing.flatten(1).sum(1) >= AGREEMENT * count)
