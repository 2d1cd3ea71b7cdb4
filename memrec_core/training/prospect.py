"""When a training will come to its target, as its loss has fallen so far."""

import math
from collections.abc import Sequence

import numpy as np

LEAST_POINTS = 6
"""Of fewer looks at the loss nothing is said."""
EARLIEST = 100
"""Before this step nothing is said either: the learning rate rises, in most recipes, and the loss hardly falls."""
EARLIER, LATER = 1 / 3, 1 / 2
"""What is fitted begins at the first of these parts of the last step, for earlier steps fall at another pace. Where
what begins at the second comes to the target in less than half of the steps, the loss falls faster and faster, and
nothing is said: of a deep network's first hundreds of steps it would be wrong by orders of magnitude."""


def expected_step(losses: Sequence[tuple[int, float]], target: float) -> float | None:
    """The step at which the loss is expected to be at the target; infinite where it does not fall.

    Below its first plateau a training loss is near to a power of the step. One is fitted, by least squares on both
    logarithms, to the last two thirds of the course, and goes on from its last value.

    Args:
        losses: steps and the losses there, in ascending order, as `History.losses` has them.
        target: the loss that is looked for.

    Returns None where it is too early to say, there are too few looks, or the loss falls faster and faster.
    """
    expected, later = _by_power(losses, target, EARLIER), _by_power(losses, target, LATER)
    return None if expected is None or later is None or 2 * later < expected else expected


def _by_power(losses: Sequence[tuple[int, float]], target: float, part: float) -> float | None:
    """The same, by what begins at that part of the last step."""
    last = losses[-1][0] if losses else 0
    points = [(step, loss) for step, loss in losses if step >= max(1, last * part) and 0 < loss < math.inf]
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
