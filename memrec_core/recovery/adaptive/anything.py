"""Erased pixels that may hold anything, noise or a part of another picture: kept are those that agree with f(x)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from memrec_core.network import Network
from memrec_core.recovery.adaptive.attempt import Attempt, Outcome, trust
from memrec_core.recovery.adaptive.colour import STRICT, repeated_colour
from memrec_core.recovery.adaptive.noise import noise_std
from memrec_core.recovery.adaptive.rest import come_to_rest

WIDE, NARROW = 0.8, 0.03
"""The threshold on |y - v| falls from one to the other in the course of an attempt: graduated non-convexity (Blake &
Zisserman, 1987; Yang et al., 2020), for residuals that are cut off at the threshold."""
HELD, WIDE_AFTER_BLOCK = 0.4, 0.2
"""A block that is taken to be kept is held for that part of the iterations; then the threshold falls, from less."""
LOOSE, TIGHT = 0.02, 0.005
"""How near a pixel must be to agree: at first, and for the share that speaks for a result."""
MEDIANS = 6.0
"""At the end a pixel agrees within so many times the median |y - f(x)| of those that agreed before."""
LEAST = 1e-4
"""But at least within that, where f fits what agrees to the last bits."""
PLAIN, ROUNDS = 3, 2
"""How often f is applied before pixels are put back, and how often those that agree are chosen anew."""
PATIENCE = 4
"""In these rounds: they begin next to where they end."""
BLOCKS = {
    "top": (0, 0.5, 0, 1),
    "bottom": (0.5, 1, 0, 1),
    "left": (0, 1, 0, 0.5),
    "right": (0, 1, 0.5, 1),
    "middle": (0.3, 0.7, 0.3, 0.7),
}
"""Blocks of pixels, as parts of height (from, to) and width (from, to)."""
KEPT = ("top", "bottom", "left", "right", "around middle", "middle")
"""The blocks that are taken to be kept, one after the other; `around` one is all but it."""
SHARE = 0.1
"""The share of agreeing pixels of a result that is as likely right as wrong. Where the fill was noise, wrong ones had
at most 0.04; with parts of other pictures 0.07."""
LARGE = 0.15
"""A colour in that share of the pixels will be the fill, not a flat part of a picture."""


@dataclass(frozen=True)
class AnythingRule:
    """Kept are the pixels whose residual max_c |y - v| is under a threshold that falls: after the part p of the
    iterations, NARROW^p WIDE^(1 - p)."""

    attempts: ClassVar[Sequence[Attempt]] = (
        Attempt(0.5, 80),
        Attempt(1.0, 40),
        *(Attempt(0.5, 25, block=block) for block in KEPT),
        *(Attempt(0.2, 50, block=block) for block in KEPT),
        Attempt(0.5, 200),
        Attempt(1.0, 200),
        Attempt(2.0, 200),
    )
    estimates: ClassVar[bool] = True
    agreement_settles: ClassVar[bool] = False
    one_mask: bool = True
    memory: int = 5
    most: int = 60

    def suits(self, y: Tensor) -> Tensor:
        """Where there is no noise, and no colour that will be the fill; one that repeats may be a flat part."""
        return (noise_std(y) == 0) & (repeated_colour(y, self.one_mask)[1] < LARGE)

    def first(self, y: Tensor, attempt: Attempt) -> Tensor:
        return torch.ones_like(y) if attempt.block is None else _block(attempt.block, y)

    def weights(self, y: Tensor, v: Tensor, before: Tensor, attempt: Attempt, progress: float) -> Tensor:
        held, wide = (0.0, WIDE) if attempt.block is None else (HELD, WIDE_AFTER_BLOCK)
        if progress <= held:
            return before
        return self._within(y, v, wide * (NARROW / wide) ** ((progress - held) / (1 - held)))

    def settle(self, f: Network, y: Tensor, v: Tensor, weights: Tensor) -> Outcome:
        """To rest with the pixels that agree put back, and again with those that agree more closely: what agrees by
        chance is of the fill. The cost is what does not agree in the end. Pixels of a frequent colour tell nothing:
        another training image may have a part as flat."""
        for _ in range(PLAIN):
            v = f(v)
        kept = self._within(y, v, LOOSE)
        rested = come_to_rest(f, v, y, kept, self.memory, self.most)
        evaluations = rested.evaluations + PLAIN
        for _ in range(ROUNDS):
            fx = f(rested.images)
            kept = self._within(y, fx, self._closer(y, fx, kept))
            rested = come_to_rest(f, fx, y, kept, self.memory, self.most, patience=PATIENCE)
            evaluations = evaluations + rested.evaluations + 1
        telling = repeated_colour(y, self.one_mask, STRICT)[0]
        agreeing = (telling * self._within(y, f(rested.images), TIGHT)).mean((1, 2, 3))
        return Outcome(
            images=rested.images,
            mask=kept,
            distance=rested.distance,
            share=kept.mean((1, 2, 3)),
            cost=1 - agreeing + rested.distance,
            confidence=torch.minimum(trust(rested.distance), agreeing / (agreeing + SHARE)),
            evaluations=evaluations + 1,
            at_rest=rested.at_rest,
        )

    def _within(self, y: Tensor, v: Tensor, threshold: float | Tensor) -> Tensor:
        """1 where a pixel (an entry, where channels have masks of their own) agrees within the threshold."""
        residual = (y - v).abs()
        if self.one_mask:
            residual = residual.amax(1, keepdim=True)
        return (residual < threshold).to(y).expand_as(y)

    def _closer(self, y: Tensor, fx: Tensor, kept: Tensor) -> Tensor:
        """So many times the median residual of what agrees, (N, 1, 1, 1)."""
        residual = torch.where(kept > 0, (y - fx).abs(), torch.nan).flatten(1)
        median = residual.nanmedian(1).values.nan_to_num(torch.inf)
        return (MEDIANS * median).clamp(LEAST, LOOSE)[:, None, None, None]


class UnlikelyRule(AnythingRule):
    """Where a colour will be the fill, and led nowhere: one try, in case that a picture's part is as flat."""

    attempts: ClassVar[Sequence[Attempt]] = AnythingRule.attempts[:1]

    def suits(self, y: Tensor) -> Tensor:
        return (noise_std(y) == 0) & (repeated_colour(y, self.one_mask)[1] >= LARGE)


def _block(name: str, y: Tensor) -> Tensor:
    """The block of that name as a mask (N, C, H, W)."""
    top, bottom, left, right = (float(edge) for edge in BLOCKS[name.removeprefix("around ")])
    height, width = y.shape[2:]
    mask = torch.zeros_like(y)
    mask[:, :, int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = 1
    return 1 - mask if name.startswith("around ") else mask
