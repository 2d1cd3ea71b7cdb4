"""Axes of the page's charts, and what else makes numbers of a run fit for others."""

import pytest

from workflows.report.charts.axis import numbers
from workflows.words import no_formula


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [([], 0, 1), ([0.0], 0, 1), ([3.0, 42.0], 0, 50), ([-3.0, -1.0], -3, 0), ([-12.0, 30.0], -20, 30)],
)
def test_axis_of_numbers_has_room_for_all_of_them(values: list[float], low: float, high: float):
    """A mean PSNR is below 0 dB where results leave the range of pixels."""
    axis = numbers("", values, " dB")
    assert (axis.low, axis.high) == (low, high)
    assert [axis.ticks[0][0], axis.ticks[-1][0]] == [low, high]
    assert all(0 <= axis.share(value) <= 1 for value in values)
    assert len({axis.share(value) for value in values}) == len(set(values))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+1.png", "@x", "\tx"])
def test_text_that_a_spreadsheet_would_compute_is_text(text: str):
    assert no_formula(text) == f"'{text}"
    assert no_formula(f"a{text}") == f"a{text}"
