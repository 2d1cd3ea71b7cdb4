"""Noise on all pixels, and erased ones that are zero but for it: weights in place of a mask."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from memrec_core.network import Network
from memrec_core.recovery.adaptive.attempt import Attempt, Outcome, trust
from memrec_core.recovery.adaptive.rest import come_to_rest

NEGATIVE = 0.005
"""Noise is taken to be there where that share of the entries is below zero."""
ENERGY = 8.5 / 3
"""A pixel is kept at first where y^2, its mean over the channels, is over so many sigma^2. With three channels noise
alone is in 4 % of the pixels."""
MISFIT = 1.5
"""Of a result that is as likely right as wrong: the mean residual of the pixels of high energy, in sigma^2."""
SHARPNESS = 8
"""How steeply confidence falls around it."""
SLACK = 0.25
"""By which part more than v an estimate may cost that has come to rest."""


def noise_std(y: Tensor) -> Tensor:
    """The noise's standard deviation in each of the images (N, C, H, W): the root mean square of the entries below
    zero, which clean ones never are; zero where there are hardly any. (N,)."""
    below = y.clamp(max=0).flatten(1)
    count = (below < 0).sum(1)
    std = (below.square().sum(1) / count.clamp(min=1)).sqrt()
    return torch.where(count > NEGATIVE * below.shape[1], std, 0.0)


@dataclass(frozen=True)
class NoiseRule:
    """How surely a pixel is kept follows from what speaks for the estimate v, and what for a zero:
    w = sigmoid((|y|^2 - |y - v|^2) / 2 a^2), with the squares summed over the channels, and a the noise, or the
    residual of what is kept where that is more."""

    attempts: ClassVar[Sequence[Attempt]] = (
        Attempt(0.5, 20),
        Attempt(0.25, 20),
        Attempt(1.0, 20),
        Attempt(0.25, 30, start=1.0),
        Attempt(0.5, 40, start=0.5),
        Attempt(2.0, 20),
        Attempt(1.0, 20, start=0.0),
        Attempt(1.0, 20, start=1.0),
    )
    estimates: ClassVar[bool] = True
    agreement_settles: ClassVar[bool] = False
    one_mask: bool = True
    memory: int = 5
    most: int = 60

    def suits(self, y: Tensor) -> Tensor:
        return noise_std(y) > 0

    def first(self, y: Tensor, attempt: Attempt) -> Tensor:
        return self._energetic(y).to(y).expand_as(y)

    def weights(self, y: Tensor, v: Tensor, before: Tensor, attempt: Attempt, progress: float) -> Tensor:
        residual = self._energy(y - v)
        level = (residual * before).mean((1, 2, 3), keepdim=True) / before.mean((1, 2, 3), keepdim=True).clamp(min=1e-6)
        variance = torch.maximum(_variance(y), level)
        channels = y.shape[1] if self.one_mask else 1
        return torch.sigmoid(channels * (self._energy(y) - residual) / (2 * variance)).expand_as(y)

    def settle(self, f: Network, y: Tensor, v: Tensor, weights: Tensor) -> Outcome:
        """x <- f(x), without the noisy data, to its rest; v itself where that leads away from the data. The cost is
        what speaks against the estimate, the mean of min((y - x)^2, y^2) in sigma^2."""
        rested = come_to_rest(f, v, y, torch.zeros_like(y), self.memory, self.most)
        stays = self._misfit(y, rested.images) < (1 + SLACK) * self._misfit(y, v)
        x = torch.where(stays[:, None, None, None], rested.images, v)
        misfit = self._misfit(y, x, self._energetic(y))
        confidence = torch.minimum(trust(rested.distance), 1 / (1 + (misfit / MISFIT) ** SHARPNESS))
        kept = (self.weights(y, x, weights, self.attempts[0], 1.0) > 0.5).to(y)
        return Outcome(
            images=x,
            mask=kept,
            distance=rested.distance,
            share=kept.mean((1, 2, 3)),
            cost=self._misfit(y, x) * torch.where(rested.at_rest, 1.0, 1 + SLACK),
            confidence=torch.where(stays, confidence, 0.0),
            evaluations=rested.evaluations,
            at_rest=rested.at_rest,
        )

    def _misfit(self, y: Tensor, x: Tensor, where: Tensor | None = None) -> Tensor:
        """The mean of min((y - x)^2, y^2) in sigma^2, of all pixels or of some, (N,)."""
        least = torch.minimum(self._energy(y - x), self._energy(y)) / _variance(y)
        if where is None:
            return least.mean((1, 2, 3))
        return (least * where).sum((1, 2, 3)) / where.sum((1, 2, 3)).clamp(min=1)

    def _energetic(self, y: Tensor) -> Tensor:
        """Where more than noise is there."""
        return self._energy(y) > ENERGY * _variance(y)

    def _energy(self, y: Tensor) -> Tensor:
        """y^2, its mean over the channels where they have one mask."""
        return y.square().mean(1, keepdim=True) if self.one_mask else y.square()


def _variance(y: Tensor) -> Tensor:
    """sigma^2, (N, 1, 1, 1)."""
    return noise_std(y).square()[:, None, None, None]
