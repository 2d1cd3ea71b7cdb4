"""Where an estimate comes to rest: the fixed point next to it, found with Anderson's acceleration (Anderson, 1965)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from memrec_core.network import Network

TOLERANCE = 1e-12
"""On the mean squared step. A fixed point that is reached at a rate of 0.97 is then within 1e-9 of it."""
FUTILE, HOPELESS = 1e-3, 1e-5
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


def distance(x: Tensor, fx: Tensor) -> Tensor:
    """||f(x) - x||^2 / d of each image, (N,)."""
    return (fx - x).flatten(1).square().mean(1)


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
    x = torch.lerp(x, y, kept)
    best, least = x.clone(), x.new_full((len(x),), torch.inf)
    evaluations = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    at_rest = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    rows, stalled = torch.arange(len(x), device=x.device), torch.zeros_like(evaluations)
    history = _History(memory)
    for _ in range(most):
        target = f(x)
        far = distance(x, target)
        target = torch.lerp(target, y, kept)
        step = target - x
        moved = step.flatten(1).square().mean(1)
        evaluations[rows] += 1
        before = least[rows]
        stalled = torch.where(far < BETTER * before, 0, stalled + 1)
        better = far < before
        best[rows[better]], least[rows[better]] = x[better], far[better]
        still = (moved < TOLERANCE) | ((moved < FUTILE * far) & (far > HOPELESS) & better)
        at_rest[rows] = still
        going = ~still & (stalled < patience) & far.isfinite()
        if not going.any():
            break
        lost = ~(far < LEAPT * before) | (stalled == patience // 2)
        x = torch.where(lost[:, None, None, None], best[rows], history.next(x, step, lost))
        if not going.all():
            x, y, kept, rows, stalled = (tensor[going] for tensor in (x, y, kept, rows, stalled))
            history.keep(going)
    return Rested(best, least, evaluations, at_rest)


class _History:
    """The last `memory` iterates x and steps r = g(x) - x as differences, for the acceleration's least squares:
    the next iterate is x + r - (dX + dR) a, with a = argmin ||r - dR a||."""

    def __init__(self, memory: int) -> None:
        self.memory = memory
        self.last: tuple[Tensor, Tensor] | None = None
        self.moves: list[Tensor] = []
        self.turns: list[Tensor] = []

    def next(self, x: Tensor, step: Tensor, lost: Tensor) -> Tensor:
        """The next iterates, and `x` and `step` remembered. Of an image that is `lost` all before is forgotten."""
        if self.last is not None:
            self.moves = [*self.moves, (x - self.last[0]).flatten(1)][-self.memory :] if self.memory else []
            self.turns = [*self.turns, (step - self.last[1]).flatten(1)][-self.memory :] if self.memory else []
        self.last = x, step
        if not self.turns:
            return x + step
        for remembered in (*self.turns, *self.moves):
            remembered[lost] = 0
        turns, moves = torch.stack(self.turns, 1), torch.stack(self.moves, 1)
        gram, slope = (turns @ turns.mT).double(), (turns @ step.flatten(1)[:, :, None]).double()
        ridge = RIDGE * gram.diagonal(dim1=1, dim2=2).sum(1) + torch.finfo(torch.float64).tiny
        gram += ridge[:, None, None] * torch.eye(len(self.turns), device=x.device, dtype=torch.float64)
        weights = torch.linalg.solve(gram, slope).to(x)
        return x + step - (weights.mT @ (moves + turns)).view_as(x)

    def keep(self, going: Tensor) -> None:
        """Forget the images that have left."""
        if self.last is not None:
            self.last = self.last[0][going], self.last[1][going]
        self.moves, self.turns = [move[going] for move in self.moves], [turn[going] for turn in self.turns]
