"""Erased pixels that hold one colour, of which zero, the paper's, is one: they are found by its exact repeats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from memrec_core.network import Network
from memrec_core.recovery.adaptive.attempt import Attempt, Outcome, trust
from memrec_core.recovery.adaptive.closer import come_closer
from memrec_core.recovery.adaptive.noise import noise_std
from memrec_core.recovery.adaptive.rest import come_to_rest

REPEATS = 0.02
"""The share of the pixels that the most frequent colour must have to be taken for the fill."""
STRICT = 3
"""How many frequent colours an attempt leaves out that is strict."""
MIX, SPREAD = 1_000_003, 0x9E3779B1
"""Of the codes of colours: odd, so that a product modulo 2^64 loses no bit, and large, so that channels mix."""


def repeated_colour(y: Tensor, one_mask: bool = True, colours: int = 1) -> tuple[Tensor, Tensor]:
    """The mask that follows from the most frequent colour of each image, and the share of the pixels that has it.

    Args:
        y: (N, C, H, W), without noise.
        one_mask: whether a pixel is missing in all channels or in none; otherwise each channel has a colour of its own.
        colours: how many colours are taken to be missing, of those that repeat in REPEATS of the pixels.

    Returns the mask (N, C, H, W) of 0 and 1, and (N,) from 0 to 1, 0 where no colour repeats; the least of the
    channels' where each has its own.
    """
    # Where two colours are as frequent, a GPU finds another one than a CPU does.
    seen = _codes(y if one_mask else y.flatten(0, 1)[:, None]).cpu()
    places = torch.arange(1, seen.shape[1] + 1)
    kept, shares = torch.ones_like(seen, dtype=torch.bool), []
    for _ in range(colours):
        same = seen == seen.mode(1, keepdim=True).values
        times = same.sum(1)
        share = torch.where(times > 1, times.double() / seen.shape[1], 0.0)
        shares.append(share)
        kept &= ~(same & (share > REPEATS)[:, None])
        seen = torch.where(same, -places, seen)  # each once: never the most frequent again
    channels = 1 if one_mask else y.shape[1]
    mask = kept.view(len(y), channels, *y.shape[2:]).expand(y.shape)
    return mask.to(y), shares[0].view(len(y), channels).amin(1).to(y.device)


def _codes(y: Tensor) -> Tensor:
    """A whole number for the colour of each pixel, (N, H W): equal where the colours are, to the bit, and hardly ever
    where they are not."""
    bits = (y + 0.0).contiguous().view(torch.int32 if y.dtype == torch.float32 else torch.int64).long()  # no -0
    code = torch.zeros_like(bits[:, 0])
    for channel in bits.unbind(1):
        code = (code * MIX + channel) * SPREAD  # wraps around
    return code.flatten(1)


@dataclass(frozen=True)
class ColourRule:
    """Kept are the pixels of other colours than the fill's: the mask is known from the start."""

    attempts: ClassVar[Sequence[Attempt]] = (
        Attempt(1.0, 10),
        Attempt(0.1, 10),
        Attempt(1.0, 20, start=1.0),
        Attempt(1.0, 10, start=0.0, strict=True),
        Attempt(0.25, 20),
        Attempt(2.0, 10),
        Attempt(0.5, 20, start=0.5, share=0.7, strict=True),
        Attempt(1.0, 80, start=0.0),
    )
    estimates: ClassVar[bool] = False
    agreement_settles: ClassVar[bool] = True
    one_mask: bool = True
    memory: int = 5
    most: int = 60

    def suits(self, y: Tensor) -> Tensor:
        """Where a colour repeats; under noise chance alone makes two pixels equal."""
        return (noise_std(y) == 0) & (repeated_colour(y, self.one_mask)[1] > REPEATS)

    def first(self, y: Tensor, attempt: Attempt) -> Tensor:
        return repeated_colour(y, self.one_mask, colours=STRICT if attempt.strict else 1)[0]

    def weights(self, y: Tensor, v: Tensor, before: Tensor, attempt: Attempt, progress: float) -> Tensor:
        return before

    def settle(self, f: Network, y: Tensor, v: Tensor, weights: Tensor) -> Outcome:
        """x <- m y + (1 - m) f(x) to its rest, and what is believed then closer. The cost is ||f(x) - x||^2."""
        rested = come_to_rest(f, v, y, weights, self.memory, self.most)
        if self.most > 1:
            come_closer(f, rested, y, weights, self.memory)
        share = weights.mean((1, 2, 3))
        return Outcome(
            images=rested.images,
            mask=weights,
            distance=rested.distance,
            share=share,
            cost=rested.distance,
            confidence=trust(rested.distance),
            evaluations=rested.evaluations,
            at_rest=rested.at_rest,
        )
