"""Figures as text: shares with their intervals, errors as powers of ten."""

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any

Row = Mapping[Hashable, Any]
"""A row of the rates, as a dictionary."""
EXACTLY = {"accurate": "exactly", "approximate": "approximately"}
"""How an image came back, by the kinds of recovery."""
SPLITS = {"train": "training", "control": "control"}
"""What the images of a split are called."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_DECIMALS = 12
"""So many are exact of a share in per cent, as it is computed."""


def percent(share: float) -> str:
    """A share in [0, 1] in per cent, without the sign, to a decimal, or more of what is near none or all: 100, 99.996,
    92.6, 0.042. So 0 is of none alone, and 100 of all."""
    value = round(100 * share, _DECIMALS)
    above, below = abs(value), 100 - abs(value)
    decimals = 1
    if 0 < above < 1:
        decimals = 1 - math.floor(math.log10(above))
    elif 0 < below < 0.1:
        decimals = -math.floor(math.log10(below))
    return f"{value:z.{decimals}f}".rstrip("0").rstrip(".")


def whole(share: float) -> str:
    """A share in whole per cent, for a table; of what is near none or all, as `percent` has it: 93, 99.6, 0.42."""
    text = f"{100 * share:.0f}"
    return percent(share) if abs(float(text)) in (0, 100) and float(text) != 100 * share else text


def with_bounds(value: float, low: float, high: float, form: Callable[[float], str] = whole, to: str = "-") -> str:
    """A share with its interval, for a table of per cent: 93 (80-97)."""
    return f"{form(value)} ({form(low)}{to}{form(high)})"


def points(value: float, low: float, high: float) -> str:
    """What one share has over another, with its interval, each with its sign: +92 (+78 to +97)."""
    signed = [f"{'+' if number >= 0 else ''}{whole(number)}" for number in (value, low, high)]
    return f"{signed[0]} ({signed[1]} to {signed[2]})"


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
    """A rate with its interval, of a row of the rates: 100 % (92.6 to 100 %)."""
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


def loss_words(value: float | None) -> str:
    """A training loss in a table of plain letters, as it was asked for: 1e-08, 1.5e-04; a dash where there is none."""
    if not value or math.isnan(value):
        return "-"
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{exponent}"


def number(value: Any, form: str) -> str:
    """A value in a format of Python's; nothing where there is none."""
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else format(value, form)


def no_formula(text: str) -> str:
    """A text for a cell of CSV that a spreadsheet may open: one that it would compute begins with an apostrophe."""
    return f"'{text}" if str(text).startswith(("=", "+", "-", "@", "\t", "\r")) else text
