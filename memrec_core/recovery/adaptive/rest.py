"""Where an estimate comes to rest: the fixed point next to it, found with Anderson's acceleration (Anderson, 1965)."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from memrec_core.network import Network

TOLERANCE = 1e-12
"""On the mean squared step. A fixed point that is reached at a rate of 0.97 is then within 1e-9 of it."""
FUTILE, HOPELESS = 1e-4, 1e-5
"""A step of less than FUTILE times a distance over HOPELESS won't lead to a fixed point of f: the kept pixels
contradict f, and go on doing so."""
BETTER = 0.8
"""An application has gained something where the distance fell under so many times the least before it."""
LEAPT = 4.0
"""An accelerated step whose distance is so many times the least one is taken back, as are those that gain nothing for
half of the patience: the acceleration begins anew from the best iterate."""
RIDGE = 1e-10
"""Of the least squares for the acceleration, in units of their diagonal's sum."""


@dataclass(frozen=True)
class Rested:
    """Where N estimates ended: `images` (N, C, H, W), their `distance` ||f(x) - x||^2 to f's fixed points as an MSE
    (N,), how many `evaluations` of f it took (N,), and whether they are at rest (N,)."""

    images: Tensor
    distance: Tensor
    evaluations: Tensor
    at_rest: Tensor

    def take(self, rows: Tensor, images: Tensor, distance: Tensor, evaluations: int, at_rest: Tensor) -> None:
        """What some of them ended with."""
        self.images[rows], self.distance[rows] = images, distance
        self.evaluations[rows], self.at_rest[rows] = evaluations, at_rest


def distance(x: Tensor, fx: Tensor) -> Tensor:
    """||f(x) - x||^2 / d of each image, (N,)."""
    return mean_square(fx - x)


def mean_square(step: Tensor) -> Tensor:
    """Of each image's entries, (N,)."""
    return step.flatten(1).square().mean(1)


def these(rows: Tensor, *tensors: Tensor) -> Iterator[Tensor]:
    """Those rows of each, as indices name them: where rows lie in one piece they are copied as such, four times as fast
    as entry by entry."""
    return (tensor.index_select(0, rows) if tensor.is_contiguous() else tensor[rows] for tensor in tensors)


def come_to_rest(
    f: Network, x: Tensor, y: Tensor, kept: Tensor, memory: int = 5, most: int = 60, patience: int = 12
) -> Rested:
    """Iterate x <- m y + (1 - m) f(x), (31) after each application, from an estimate to the nearest fixed point.

    Of all iterates the one with the least distance ||f(x) - x||^2 is returned. An image leaves the batch once its step
    is under TOLERANCE or FUTILE, or `patience` applications in a row have gained nothing (BETTER), or after `most`.

    Args:
        f: the autoencoder.
        x: the estimates, (N, C, H, W).
        y: the degraded images.
        kept: the mask m, (N, C, H, W), 0 or 1; all zero for the fixed points of f itself.
        memory: how many steps the acceleration remembers; 0 for the plain iteration.
        most: applications; one that comes to rest needs 5 to 20. 1 does nothing but (31).
        patience: see above.
    """
    x = best = torch.lerp(x, y, kept)
    least = x.new_full((len(x),), torch.inf)
    found = Rested(x.clone(), least.clone(), torch.zeros_like(least).long(), torch.zeros_like(least).bool())
    rows, stalled = torch.arange(len(x), device=x.device), torch.zeros_like(least)
    history = History(memory)
    for application in range(1, most + 1):
        target = f(x)
        far = distance(x, target)
        step = torch.lerp(target, y, kept).sub_(x)
        moved = mean_square(step)
        stalled = torch.where(far < BETTER * least, 0, stalled + 1)
        better, lost = far < least, ~(far < LEAPT * least) | (stalled == patience // 2)
        best, least = torch.where(better[:, None, None, None], x, best), torch.where(better, far, least)
        still = (moved < TOLERANCE) | ((moved < FUTILE * far) & (far > HOPELESS) & better)
        going = ~still & (stalled < patience) & far.isfinite() & (application < most)
        if not going.all():
            found.take(rows[~going], best[~going], least[~going], application, still[~going])
            if not going.any():
                break
        x = history.next(x, step, lost)
        if lost.any():
            x = torch.where(lost[:, None, None, None], best, x)
        if not going.all():
            going = going.nonzero()[:, 0]
            x, y, kept, best, rows, stalled, least = these(going, x, y, kept, best, rows, stalled, least)
            history.keep(going)
    return found


class History:
    """The last `memory` steps r = g(x) - x of any iteration, and its iterates g, as differences: the next iterate is
    g - dG a, with a = argmin ||r - dR a||."""

    def __init__(self, memory: int) -> None:
        self.memory, self.count = memory, 0
        self.last: tuple[Tensor, Tensor] | None = None
        self.turns = self.moves = torch.empty(0)

    def next(self, x: Tensor, step: Tensor, lost: Tensor) -> Tensor:
        """The next iterates, and `x` and `step` remembered. Of an image that is `lost` all before is forgotten."""
        reached, last = x + step, self.last
        self.last = reached, step
        if not self.memory:
            return reached
        if last is None:
            self.turns = step.new_empty(len(x), self.memory, step[0].numel())
            self.moves = torch.empty_like(self.turns)
            return reached
        slot, self.count = self.count % self.memory, self.count + 1
        torch.sub(reached.flatten(1), last[0].flatten(1), out=self.moves[:, slot])
        torch.sub(step.flatten(1), last[1].flatten(1), out=self.turns[:, slot])
        if lost.any():
            self.turns[lost.nonzero()[:, 0]] = 0
            self.moves[lost.nonzero()[:, 0]] = 0
        turns, moves = self.turns[:, : self.count], self.moves[:, : self.count]
        gram, slope = (turns @ turns.mT).double(), (turns @ step.flatten(1)[:, :, None]).double()
        diagonal = gram.diagonal(dim1=1, dim2=2)
        diagonal += RIDGE * diagonal.sum(1, keepdim=True) + torch.finfo(torch.float64).tiny
        weights = torch.linalg.solve_ex(gram, slope)[0].to(x)  # which waits for no device
        return reached - (weights.mT @ moves).view_as(x)

    def keep(self, going: Tensor) -> None:
        """Forget the images but for these, as indices name them."""
        if self.last is not None:
            reached, step = these(going, *self.last)
            self.last = reached, step
        if len(self.turns):
            self.turns, self.moves = these(going, self.turns, self.moves)
