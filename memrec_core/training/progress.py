"""How far a training has come, and whether it has a prospect of its next target."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from memrec_core.errors import TrainingError

IMPROVED = 0.99
PATIENCE_STEPS = 3000
"""Training that improves its best loss by less than a hundredth over so many steps has no prospect of its target."""


@dataclass(frozen=True)
class Reached:
    """A target of the ladder, the training loss (MSE over all images) at its checkpoint, the step, and the seconds that
    the training had taken by then, in all its parts; None in the state of an earlier revision."""

    target: float
    loss: float
    step: int
    seconds: float | None = field(default=None, compare=False)


@dataclass
class History:
    """The course of a training: the targets that it reached, in order, and the loss every hundredth step."""

    reached: list[Reached] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)


@dataclass
class Progress:
    """What resuming needs beside the tensors. `of` identifies the batches, `recipe` says in words what trains, `ladder`
    has the targets, `loss` is the running mean at the last look, `seconds` what all steps took, None where that is not
    known."""

    of: str = ""
    recipe: str = ""
    ladder: list[float] = field(default_factory=list)
    step: int = 0
    best: float = math.inf
    best_step: int = 0
    loss: float = math.inf
    seconds: float | None = 0.0
    history: History = field(default_factory=History)

    def leads_to(self, targets: Sequence[float]) -> bool:
        """Whether the course would have come to this point on the way to these targets too, from the highest down:
        whether it has passed none without a checkpoint."""
        passed = [entry.target for entry in self.history.reached]
        if not self.ladder:  # of an earlier revision
            return passed == list(targets[: len(passed)])
        kept = [target for target in passed if target in targets]
        if kept != list(targets[: len(kept)]):
            return False
        new = [target for target in targets[len(kept) :] if target not in self.ladder]
        return all(target < IMPROVED * self.best for target in new) and (not passed or passed[-1] >= targets[-1])

    def go_on_to(self, targets: Sequence[float]) -> None:
        """These are its targets from now on. What it reached and is none of them is forgotten."""
        self.history.reached = [entry for entry in self.history.reached if entry.target in targets]
        self.ladder = list(targets)

    def count_seconds(self, since: float) -> float:
        """Add the time since then, by the monotonic clock; returns what it shows now."""
        now = time.monotonic()
        if self.seconds is not None:
            self.seconds += now - since
        return now

    def check_prospects(self, target: float, max_steps: int) -> None:
        """Raise TrainingError where the loss is not finite, has not improved for long, or the steps are used up."""
        if not math.isfinite(self.loss):
            raise TrainingError(
                f"training diverged at step {self.step}: the loss is {self.loss}; lower the learning rate"
            )
        if self.loss < IMPROVED * self.best:
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
