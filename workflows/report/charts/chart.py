"""Charts of rates: a panel for each degradation, a line for each method, as in figures 3 and F.2 to F.4."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from workflows.report.charts.axis import PERCENT, Axis, numbers
from workflows.report.charts.panel import Curve, Point, panel
from workflows.report.tabular import Table
from workflows.words import share

MOST_COLUMNS = 16
"""Of a table beside a chart; of more values, so many are in it."""
SPLITS = {"train": "training images", "control": "control images"}


@dataclass(frozen=True)
class Measure:
    """What is drawn: `column` of the rates, of which a rate has bounds beside it."""

    name: str
    title: str
    column: str
    is_rate: bool = True

    def point(self, x: float, row: pd.Series) -> Point:
        """In per cent, with its interval, or in dB."""
        if not self.is_rate:
            return Point(x, row[self.column])
        rate, low, high = (100 * row[f"{self.column}_{part}"] for part in ("rate", "low", "high"))
        return Point(x, rate, low, high)

    def axis(self, curves: Sequence[Curve]) -> Axis:
        if self.is_rate:
            return PERCENT
        return numbers("", [point.y for curve in curves for point in curve.points], " dB")

    def text(self, point: Point) -> str:
        """A value in words, with its interval where it has one."""
        if point.low is None or point.high is None:
            return f"{point.y:.1f} dB"
        return share(point.y / 100, point.low / 100, point.high / 100)


ACCURATE = Measure("accurate", "came back exactly (MSE under 10⁻⁷)", "accurate")
APPROXIMATE = Measure("approximate", "came back approximately (MSE under 5·10⁻⁴)", "approximate")
PSNR = Measure("psnr", "mean PSNR of the recoveries", "mean_psnr", is_rate=False)
MEASURES = (ACCURATE, APPROXIMATE, PSNR)


@dataclass(frozen=True)
class Key:
    """An entry of a legend."""

    name: str
    colour: int
    control: bool


@dataclass(frozen=True)
class Chart:
    """A chart as the page has it: for each panel its heading and drawing, the legend, and the same as a table."""

    title: str
    panels: list[tuple[str, Markup]]
    legend: list[Key]
    table: Table
    measure: str = ""


@dataclass(frozen=True)
class Plot:
    """How rates become a chart: against the column `x`, over an axis.

    `titles` are those of the methods by their labels, in their order.
    """

    x: str
    axis: Axis
    titles: dict[str, str]
    cursor: bool = False

    def chart(self, title: str, rates: pd.DataFrame, degradations: Sequence[str], measure: Measure) -> Chart:
        """The chart of these rates."""
        drawn = {label: self._curves(rates[rates["degradation"] == label], measure) for label in degradations}
        drawn = {label: curves for label, curves in drawn.items() if curves}
        y = measure.axis([curve for curves in drawn.values() for curve in curves])
        panels = [
            (label, panel(f"{label}: {title}", _described(curves, measure), curves, self.axis, y, self.cursor))
            for label, curves in drawn.items()
        ]
        every = [curve for curves in drawn.values() for curve in curves]
        keys = dict.fromkeys(Key(_named(curve), curve.colour, curve.control) for curve in every)
        legend = sorted(keys, key=lambda key: (key.control, key.colour))
        return Chart(title, panels, legend, self._table(title, drawn, measure), measure.name)

    def _curves(self, rates: pd.DataFrame, measure: Measure) -> list[Curve]:
        curves = []
        for split in ("control", "train"):  # training images lie over the others
            for place, (method, title) in enumerate(self.titles.items()):
                among = rates[(rates["split"] == split) & (rates["method"] == method)].sort_values(self.x)
                points = tuple(measure.point(row[self.x], row) for _, row in among.iterrows() if pd.notna(row[self.x]))
                points = tuple(point for point in points if abs(point.y) < float("inf"))
                curves += [Curve(title, place, split == "control", points)] if points else []
        return curves

    def _table(self, title: str, drawn: dict[str, list[Curve]], measure: Measure) -> Table:
        places = sorted(
            {point.x for curves in drawn.values() for curve in curves for point in curve.points},
            reverse=self.axis.falling,
        )
        if len(places) > MOST_COLUMNS:
            places = [places[round(place)] for place in np.linspace(0, len(places) - 1, MOST_COLUMNS)]
        rows = []
        for label, curves in drawn.items():
            for curve in sorted(curves, key=lambda curve: (curve.place, curve.control)):
                known = {point.x: measure.text(point) for point in curve.points}
                split = SPLITS["control" if curve.control else "train"]
                rows.append([label, curve.name, split, *(known.get(place, "") for place in places)])
        columns = ["degradation", "method", "images", *(f"{place:g}" for place in places)]
        return Table(f"{title}, by {self.axis.title}", columns, rows, heads=3)


def _named(curve: Curve) -> str:
    return f"{curve.name}, control" if curve.control else curve.name


def _described(curves: Sequence[Curve], measure: Measure) -> str:
    """What a panel shows, in words: where each line begins and ends."""
    parts = []
    for curve in curves:
        ends = [measure.text(point) for point in (curve.points[0], curve.points[-1])]
        parts.append(f"{_named(curve)}: {ends[0]} at {curve.points[0].x:g}, {ends[1]} at {curve.points[-1].x:g}")
    return "; ".join(parts) + "."
