"""Timing in pairs, and the rows of the benchmarks' table."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """What was measured, ours and the rival's figure in `unit`, their ratio, and the least or most that it should be.

    `target` is at least that ratio, or with `at_most` at most that; None for a row that only reports.
    """

    what: str
    ours: float
    rival: float | None
    ratio: float | None
    target: float | None = None
    at_most: bool = False
    unit: str = "s"
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None or self.ratio is None:
            return None
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def side_by_side(first: Callable[[], Any], second: Callable[[], Any], repeats: int) -> tuple[float, float, float]:
    """The median times of the two, run in turn after a first pair that does not count, and the median of the ratios
    first / second of the pairs: a machine whose speed drifts slows both of a pair alike."""
    first()
    second()
    pairs = [(seconds(first), seconds(second)) for _ in range(repeats)]
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(a / b for a, b in pairs),
    )
