"""When a training will come to its target, as its loss has fallen so far."""

import math
from collections.abc import Sequence

import numpy as np

LEAST_POINTS = 6
"""Of fewer looks at the loss nothing is said."""
EARLIEST = 100
"""Before this step nothing is said either: the learning rate rises, in most recipes, and the loss hardly falls."""
LOOKED_BACK = 3
"""What is fitted begins at this part of the last step: earlier steps fall at another pace."""


def expected_step(losses: Sequence[tuple[int, float]], target: float) -> float | None:
    """The step at which the loss is expected to be at the target; infinite where it does not fall.

    Below its first plateau a training loss is near to a power of the step. One is fitted, by least squares on both
    logarithms, to the last two thirds of the course, and goes on from its last value.

    Args:
        losses: steps and the losses there, in ascending order, as `History.losses` has them.
        target: the loss that is looked for.

    Returns None where it is too early, or there are too few looks, to say.
    """
    last = losses[-1][0] if losses else 0
    points = [(step, loss) for step, loss in losses if step >= max(1, last / LOOKED_BACK) and 0 < loss < math.inf]
    if len(points) < LEAST_POINTS or last < EARLIEST:
        return None
    steps, values = np.log(np.array(points)).T
    slope, level = np.polyfit(steps - steps[-1], values, 1)
    decades = math.log(target) - level
    if decades >= 0:
        return float(last)
    if slope >= 0:
        return math.inf
    return math.exp(min(steps[-1] + decades / slope, 700.0))  # more is no number
