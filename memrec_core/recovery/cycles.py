"""When iterates go round for good: Brent's algorithm (1980), for orbits that close as well as for those that nearly do.

Each image keeps one of its iterates, anew at every step that is a power of two, and its later ones are compared with
it. Networks have cycles of a few images, but also closed curves on which the iterates go round without ever meeting a
point again. So what counts is how near an iterate comes, for the way that it went and the way that is left: it has gone
round a cycle where

    |x_k - x_j| K / (k - j) < SHARE w,    w = max_{j < i <= k} |x_i - x_j|,    k > j + 1,

with K iterations at the most. In words: at the drift of this round, as many rounds as K iterations are would change the
orbit by no more than that share of its width w. A spiral towards a fixed point shrinks by the same factor each round:
the cap would find it nearly as wide as it is, so none is cut that would still come to rest.

As x_k is nearly x_j, x_K is nearly the iterate after (K - k) mod (k - j) more: so many are made.
"""

from typing import NamedTuple

import torch
from torch import Tensor

SHARE = 0.1
"""On fc10 larger ones cut spirals that come to rest, from 0.5 on; smaller ones find the same cycles later."""


class Orbits(NamedTuple):
    """What is kept of N images' iterates, a row each: the iterate that later ones are compared with, how many there
    were, how many since that one, the largest RMS distance from it, and how many are to come once the orbit has closed,
    -1 before."""

    kept: Tensor
    steps: Tensor
    lag: Tensor
    width: Tensor
    to_come: Tensor

    @classmethod
    def at(cls, start: Tensor) -> "Orbits":
        """Before the first iteration."""
        count = torch.zeros(len(start), dtype=torch.int64, device=start.device)
        return cls(start, count, count, count.to(start.dtype), count - 1)

    def after(self, x: Tensor, max_iterations: int, least: float) -> "Orbits":
        """With the next iterates `x`. An orbit whose width is within `least`, an MSE, rests and is no cycle."""
        steps, lag = self.steps + 1, self.lag + 1
        distance = torch.linalg.vector_norm((x - self.kept).flatten(1), dim=1) / x[:1].numel() ** 0.5
        width = torch.maximum(self.width, distance)
        closed = (lag > 1) & (width > least**0.5) & (distance * max_iterations < SHARE * lag * width)
        to_come = torch.where(closed, (max_iterations - steps) % lag, -1).where(self.to_come < 0, self.to_come - 1)
        renewed = steps & self.steps == 0  # a power of two
        kept = torch.where(renewed[:, None, None, None], x, self.kept) if renewed.any() else self.kept
        return Orbits(kept, steps, lag.where(~renewed, 0), width.where(~renewed, 0), to_come)

    @property
    def ended(self) -> Tensor:
        """Which of them are where they would be at the cap, as far as can be told."""
        return self.to_come == 0
