"""The best of an image's attempts: chosen, claimed or tried again without ground truth."""

import numpy as np
import torch
from torch import Tensor

from memrec_core.recovery.adaptive.attempt import Outcome
from memrec_core.recovery.adaptive.rest import distance
from memrec_core.recovery.result import CONVERGED, MAX_ITERATIONS, NON_FINITE, Recovery

CLAIMED = 0.5
"""The confidence from which on an image is claimed, and not tried again: it is as likely right as wrong."""
SAME, NEAR = 1e-4, 1e-3
"""Two attempts whose results differ by less than SAME, an MSE, agree; it counts where their distance is under NEAR."""

NO_IMAGE = 10.0
"""What leaves the range of pixels by so much is no image. Where iterates diverge, rounding may make the distance 0."""


class Best:
    """Of each of N images the best that was found so far, `settled` (N,) where it needs no other attempt.

    Costs are comparable between the attempts under one rule; between those of two rules the confidence decides.
    """

    def __init__(self, degraded: Tensor) -> None:
        count = len(degraded)
        self.images, self.mask = degraded.clone(), torch.zeros_like(degraded)
        self.cost = degraded.new_full((count,), torch.inf)
        self.distance = self.cost.clone()
        self.confidence, self.share = degraded.new_zeros(count), degraded.new_zeros(count)
        self.at_rest = torch.zeros(count, dtype=torch.bool, device=degraded.device)
        self.settled = torch.zeros(count, dtype=torch.bool)
        self.attempts, self.evaluations = torch.zeros(count, dtype=torch.int64), torch.zeros(count, dtype=torch.int64)
        self.rule = torch.full((count,), -1)

    def left(self, rows: Tensor, restarts: int) -> Tensor:
        """Those of the rows that need another attempt and may have it."""
        return rows[~self.settled[rows] & (self.attempts[rows] <= restarts)]

    def take(self, rows: Tensor, found: Outcome, applications: int, rule: int, agreement_settles: bool) -> None:
        """Take what an attempt found for some rows where it is better.

        Args:
            rows: K of the N, on the CPU.
            found: for these K.
            applications: of the autoencoder, before the estimates came to rest.
            rule: the number of the rule that the attempt was made under.
            agreement_settles: whether two attempts that agree are enough, however little is believed.
        """
        found = Outcome(**{name: value.to(self.images.device) for name, value in vars(found).items()})
        self.attempts[rows] += 1
        self.evaluations[rows] += applications + found.evaluations.cpu()
        close = distance(found.images, self.images[rows]) < SAME
        agreed = close & (found.distance < NEAR) & (self.distance[rows] < NEAR)
        comparable = (self.rule[rows] == rule).to(close.device)
        better = torch.where(comparable, found.cost < self.cost[rows], found.confidence >= self.confidence[rows])
        better &= (found.images.abs() < NO_IMAGE).flatten(1).all(1) & found.distance.isfinite()
        chosen = rows[better.cpu()]
        for name in ("images", "mask", "cost", "distance", "confidence", "share", "at_rest"):
            getattr(self, name)[chosen] = getattr(found, name)[better]
        self.rule[chosen] = rule
        believed = (self.confidence[rows] >= CLAIMED) & self.at_rest[rows]
        self.settled[rows] = (believed | (agreed & agreement_settles)).cpu()

    def recovery(self) -> Recovery:
        status = np.where(self.at_rest.cpu().numpy(), CONVERGED, MAX_ITERATIONS).astype(object)
        status[~self.distance.isfinite().cpu().numpy()] = NON_FINITE
        claimed = self.confidence >= CLAIMED
        return Recovery(
            self.images, self.mask, status, self.attempts, self.evaluations, claimed, self.confidence, self.share
        )
