"""One try at a batch of images: Algorithm 1 with its state carried over from one mask estimate to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from memrec_core.network import Network
from memrec_core.recovery.admm import advance

DISTANCE = 3e-6
"""||f(x) - x||^2 of an estimate that is as likely right as wrong. On the networks that settings were chosen on, wrong
ones had 7e-5 and more, and right ones at a training loss of 1e-6 and below 3e-6 at the most, but for a few."""


@dataclass(frozen=True)
class Attempt:
    """How Algorithm 1 is started and weighted.

    Args:
        gamma: the penalty weight of (12).
        iterations: applications of the autoencoder.
        start: what missing pixels hold at first, a value in [0, 1]; None for the mean of the kept ones.
        block: the block of pixels that is taken to be kept at first, one of `anything.BLOCKS`; None for
            all of them.
        share: of the pixels that are taken to be kept, how many are believed, a draw from the image's id.
        strict: whether other colours that repeat are taken to be missing too: an image may have a flat part of its own.
    """

    gamma: float
    iterations: int
    start: float | None = None
    block: str | None = None
    share: float = 1.0
    strict: bool = False


@dataclass(frozen=True)
class Outcome:
    """What an attempt found for N images, and what speaks for it without ground truth.

    `images` and `mask` are (N, C, H, W); the rest one entry an image. `distance` is ||f(x) - x||^2 as an MSE, `share`
    the share of the pixels that agree with the estimate. Of an image's attempts the one with the least `cost` is taken.
    `confidence` is in [0, 1]; the image is claimed from 1/2 on. `at_rest` says whether the last step was a small one.
    """

    images: Tensor
    mask: Tensor
    distance: Tensor
    share: Tensor
    cost: Tensor
    confidence: Tensor
    evaluations: Tensor
    at_rest: Tensor


class Rule(Protocol):
    """What is taken to be in the erased pixels, and so how kept ones are told from them."""

    attempts: ClassVar[Sequence[Attempt]]
    """In their order: each is for the images that the ones before it did not settle."""
    estimates: ClassVar[bool]
    """Whether the mask is estimated anew on the way; otherwise the first one stays."""
    agreement_settles: ClassVar[bool]
    """Whether an image needs no other attempt once two have ended alike, however little is believed. What erased pixels
    hold, and noise, may lead several attempts to one image that is not the right one."""

    def suits(self, y: Tensor) -> Tensor:
        """Which of the images it is for, as far as they tell themselves, (N,) bool."""
        ...

    def first(self, y: Tensor, attempt: Attempt) -> Tensor:
        """The weights of the pixels at the start, (N, C, H, W) in [0, 1]: how surely they are kept."""
        ...

    def weights(self, y: Tensor, v: Tensor, before: Tensor, attempt: Attempt, progress: float) -> Tensor:
        """The weights for an estimate v after `progress`, in [0, 1], of an attempt's iterations."""
        ...

    def settle(self, f: Network, y: Tensor, v: Tensor, weights: Tensor) -> Outcome:
        """Where the estimate v ends, and what speaks for it."""
        ...


def trust(distance: Tensor) -> Tensor:
    """The confidence, (N,), that follows from ||f(x) - x||^2 alone: 1/2 at DISTANCE, over 0.99 under 3e-8."""
    return 1 / (1 + distance / DISTANCE)


def try_once(
    f: Network, y: Tensor, rule: Rule, attempt: Attempt, believed: Tensor | float, every: int, carried: bool
) -> Outcome:
    """Algorithm 1 with weights w between 0 and 1 in place of the mask, so that (17) is
        xi = (w y + gamma/2 (v - u)) / (w + gamma/2)
    and every so many applications of f the weights follow from its last output v = f(xi + u).

    Args:
        f: the autoencoder.
        y: (N, C, H, W).
        rule: how kept pixels are told from erased ones.
        attempt: how the iterations start.
        believed: 0 or 1, (N, 1, H, W), which pixels are believed at all until the end; 1 for all.
        every: after how many applications the mask is estimated again.
        carried: whether v and u go on from there; they start again, as in the paper, where not.
    """
    weights = rule.first(y, attempt)
    limited = weights * believed
    s = v = start_of(y, limited, attempt)
    pull = pull_of_data(limited, attempt.gamma)
    for iteration in range(1, attempt.iterations + 1):
        v = f(s)
        if rule.estimates and (iteration % every == 0 or iteration == attempt.iterations):
            weights = rule.weights(y, v, weights, attempt, iteration / attempt.iterations)
            limited = weights * believed
            pull = pull_of_data(limited, attempt.gamma)
            if not carried:
                s = start_of(y, limited, attempt)
                continue
        advance(s, v, y, pull)
    return rule.settle(f, y, v, weights)


def pull_of_data(weights: Tensor, gamma: float) -> Tensor:
    """The weight of y beside v - u in (17), w / (w + gamma/2)."""
    return weights / (weights + gamma / 2)


def start_of(y: Tensor, weights: Tensor, attempt: Attempt) -> Tensor:
    """xi for v = u = 0, with the attempt's value where pixels are missing."""
    value = attempt.start
    if value is None:
        mean = (weights * y).sum((2, 3), keepdim=True) / weights.sum((2, 3), keepdim=True).clamp(min=1)
    else:
        mean = torch.full_like(y[:, :, :1, :1], value)
    return y * weights / (weights + attempt.gamma / 2) + (1 - weights) * mean
