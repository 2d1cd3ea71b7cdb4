"""How far a training has come, and whether it has a prospect of its next target."""

import math
from dataclasses import dataclass, field

from memrec_core.errors import TrainingError

PATIENCE_STEPS = 3000
"""Training that improves its best loss by less than a hundredth over so many steps has no prospect of its target."""


@dataclass(frozen=True)
class Reached:
    """A target of the ladder, the training loss (MSE over all images) at its checkpoint, and the step."""

    target: float
    loss: float
    step: int


@dataclass
class History:
    """The course of a training: the targets that it reached, in order, and the loss every hundredth step."""

    reached: list[Reached] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)


@dataclass
class Progress:
    """What resuming needs beside the tensors. `of` identifies the batches, `loss` is the running mean at the last
    look."""

    of: str = ""
    step: int = 0
    best: float = math.inf
    best_step: int = 0
    loss: float = math.inf
    history: History = field(default_factory=History)

    def check_prospects(self, target: float, max_steps: int) -> None:
        """Raise TrainingError where the loss is not finite, has not improved for long, or the steps are used up."""
        if not math.isfinite(self.loss):
            raise TrainingError(
                f"training diverged at step {self.step}: the loss is {self.loss}; lower the learning rate"
            )
        if self.loss < 0.99 * self.best:
            self.best, self.best_step = self.loss, self.step
        if self.step - self.best_step > PATIENCE_STEPS:
            raise TrainingError(
                f"training can't reach {target:g}: the loss has not come below {self.best:.3g} for {PATIENCE_STEPS} "
                "steps; lower the learning rate, widen the network, use fewer images, or drop that target"
            )
        if self.step >= max_steps:
            raise TrainingError(
                f"training has not reached {target:g} in {max_steps} steps (best loss {self.best:.3g}); "
                "raise max_steps or drop that target"
            )
