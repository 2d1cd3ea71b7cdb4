"""Axes: from values to places, and what stands beside them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from workflows.words import power


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`; `log` of it, and with `falling` the highest value comes first."""

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False
    falling: bool = False

    def share(self, value: float) -> float:
        """Where a value lies between its ends, from 0 to 1; beyond them, at the nearer end."""
        places = (self.low, self.high, min(max(value, self.low), self.high))
        low, high, at = map(math.log10, places) if self.log else places
        share = (at - low) / (high - low)
        return 1 - share if self.falling else share


PERCENT = Axis("", 0, 100, tuple((tick, f"{tick} %") for tick in (0, 25, 50, 75, 100)))


def powers(title: str, values: Iterable[float]) -> Axis:
    """A falling logarithmic axis around positive values, with a tick at every power of ten, or every other one."""
    found = sorted({value for value in values if value > 0})
    low, high = (math.floor(math.log10(found[0])), math.ceil(math.log10(found[-1]))) if found else (-8, 0)
    low, high = (low, high) if low < high else (low - 1, high + 1)
    step = -(-(high - low) // 6)
    ticks = tuple((10.0**exponent, power(10.0**exponent)) for exponent in range(high, low - 1, -step))
    return Axis(title, 10.0**low, 10.0**high, ticks, log=True, falling=True)


def numbers(title: str, values: Iterable[float], unit: str = "") -> Axis:
    """An axis from 0, or a round number below the values, to a round number above them."""
    found = [0.0, *values]
    least, most = min(found), max(found)
    length = most - least or 1.0
    step = next(step for step in _steps(length / 5) if step * 5 >= length)
    first, last = math.floor(least / step + 1e-9), math.ceil((most or (0.0 if least else 1.0)) / step - 1e-9)
    ticks = tuple((step * place, f"{step * place:g}{unit}") for place in range(first, last + 1))
    return Axis(title, step * first, step * last, ticks)


def _steps(least: float) -> Iterable[float]:
    exponent = math.floor(math.log10(least))
    for power_of_ten in (exponent, exponent + 1):
        yield from (float(f"{digit}e{power_of_ten}") for digit in (1, 2, 5))
