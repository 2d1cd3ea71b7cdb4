"""Where a training stands, and whether it goes on where its process has died."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from memrec_core.training import expected_step

ATTEMPTS = 5
"""How often a training may break off without having got further, before it is given up."""
CLOSENESS = 17 / 16
"""How much further on the course of a training has its next step."""


class TrainingStanding(NamedTuple):
    """Where a training stands, and what a user must know of it, a sentence or nothing."""

    step: int
    loss: float
    remark: str = ""


STARTING = TrainingStanding(0, math.inf)


@dataclass
class TrainingState:
    """A training that is under way: where its process stood when it answered last, how often it broke off since it last
    got further, and the last step that any of its processes has told of. `course` has steps and losses on the way, the
    closer the earlier: some two hundred in the longest training."""

    standing: TrainingStanding = STARTING
    breaks: int = 0
    furthest: int = 0
    course: list[tuple[int, float]] = field(default_factory=list)
    remarks: set[str] = field(default_factory=lambda: {""})
    """What has been said of it."""

    def expected(self, target: float) -> float | None:
        """The step at which it is expected at its target; None where nothing can be said."""
        return expected_step(self.course, target)

    @property
    def is_starting(self) -> bool:
        """Whether its process has told of no step yet, as where that waits for its place on the cluster."""
        return self.standing.step == 0

    def heard(self, remark: str) -> str:
        """The remark, the first time that it comes; nothing after that."""
        if remark in self.remarks:
            return ""
        self.remarks.add(remark)
        return remark

    def note(self, standing: TrainingStanding) -> None:
        """It stands there now; once it is further than ever, no break before that counts."""
        self.standing = standing
        if standing.step >= (self.course[-1][0] * CLOSENESS if self.course else 1):
            self.course.append((standing.step, standing.loss))
        if standing.step > self.furthest:
            self.breaks, self.furthest = 0, standing.step

    def break_off(self, reason: str) -> str | None:
        """Its process has died. Another goes on from its last state, unless it is given up: returns why."""
        self.breaks += 1
        if self.breaks == ATTEMPTS:
            return f"{reason} ({ATTEMPTS} attempts)"
        self.standing = STARTING
        return None
