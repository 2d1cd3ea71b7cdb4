"""Figures as text: shares with their intervals, errors as powers of ten."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

Row = Mapping[Hashable, Any]
"""A row of the rates, as a dictionary."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def percent(share: float) -> str:
    """A share in [0, 1] in per cent, without the sign, to a decimal, or more of a small one: 100, 92.6, 0.042."""
    value = 100 * share
    return f"{value:.3g}" if abs(value) >= 10 else f"{value:.2g}"


def difference(value: float, low: float, high: float) -> str:
    """What one share has over another, in points, with its interval: +91.7 (78.2 to 96.7)."""
    sign = "+" if value > 0 else ""
    return f"{sign}{percent(value)} ({percent(low)} to {percent(high)})".replace("-", "−")


def between(low: float, high: float) -> str:
    """An interval of a share: 92.6 to 100 %."""
    return f"{percent(low)} to {percent(high)}\u00a0%"


def share(value: float, low: float, high: float) -> str:
    """A share with its interval: 100 % (92.6 to 100 %)."""
    return f"{percent(value)}\u00a0% ({between(low, high)})"


def in_one_line(words: str) -> str:
    """A share in a narrow column: its interval is not broken."""
    return words.replace(" to ", "\u00a0to\u00a0")


def rate(row: Row, kind: str) -> str:
    """Likewise a rate."""
    return share(row[f"{kind}_rate"], row[f"{kind}_low"], row[f"{kind}_high"])


def count(row: Row, kind: str) -> str:
    """How many of how many."""
    return f"{int(row[f'{kind}_count']):,} of {int(row['images']):,}"


def power(value: float) -> str:
    """An error or a loss: 10⁻⁸, 5·10⁻⁴; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.2e}".split("e")
    raised = f"10{str(int(exponent)).translate(_RAISED)}"
    return raised if float(mantissa) == 1 else f"{float(mantissa):g}·{raised}"


def number(value: Any, form: str) -> str:
    """A value in a format of Python's; nothing where there is none."""
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else format(value, form)
