"""Panels side by side, one a degradation or measure, in each a line a method with its interval as a band."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, NullLocator

from workflows.figures.source import Source
from workflows.figures.style import MM

COLUMNS, PANEL_MM, LEGEND_MM = 3, 30.0, 5.0


class Measure(NamedTuple):
    """What a panel shows: its label, the beginning of its columns, and whether it is a share with an interval."""

    label: str
    column: str
    is_share: bool = True


ACCURATE = Measure("accurate recovery (%)", "accurate")
APPROXIMATE = Measure("approximate recovery (%)", "approximate")
PSNR = Measure("mean PSNR (dB)", "mean_psnr", False)
RECOVERY = Measure("recovery (%)", "recovery")


class Panel(NamedTuple):
    """A title, what is shown, and the rows of its lines."""

    title: str
    measure: Measure
    rows: pd.DataFrame


def panels_of(rows: pd.DataFrame, degradations: Sequence[str], measure: Measure) -> list[Panel]:
    """A panel for each degradation under which there are rows."""
    parts = (Panel(label, measure, rows[rows["degradation"] == label]) for label in degradations)
    return [part for part in parts if len(part.rows)]


def panels(source: Source, parts: Sequence[Panel], x: str, label: str) -> Figure:
    """The panels over a logarithmic axis that falls from left to right, with one legend."""
    titles = {key: title for key, title in source.run.experiment.titles.items() if _any(parts, key)}
    columns = 2 if len(parts) == 4 else min(len(parts), COLUMNS)
    rows = -(-len(parts) // columns)
    legend = -(-len(titles) // 3)
    size = (source.width_mm * MM, (PANEL_MM * rows + LEGEND_MM * (legend + 1)) * MM)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02))
    same = len({part.measure for part in parts}) == 1
    grid = figure.subplots(rows, columns, sharex=True, sharey=same, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= len(parts):
            axes.set_visible(False)
            continue
        _draw(axes, parts[place], source, titles, x)
        if place + columns >= len(parts):
            axes.tick_params(labelbottom=True)
            axes.set_xlabel(label)
        if not same:
            axes.set_title(parts[place].measure.label)
    if same:
        figure.supylabel(parts[0].measure.label, fontsize=7)
    handles = [_key(grid.flat[0], source, key, title) for key, title in titles.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(titles)), frameon=False)
    return figure


def _any(parts: Sequence[Panel], method: str) -> bool:
    return any((part.rows["method"] == method).any() for part in parts)


def _key(axes: Axes, source: Source, method: str, title: str) -> Any:
    """What stands in the legend: a line without points."""
    colour, marker, dashes = source.looks[method]
    [line] = axes.plot([], [], dashes, color=colour, marker=marker, label=title)
    return line


def _draw(axes: Axes, part: Panel, source: Source, titles: dict[str, str], x: str) -> None:
    for method in titles:
        rows = part.rows[part.rows["method"] == method].sort_values(x)
        if rows.empty:
            continue
        colour, marker, dashes = source.looks[method]
        if part.measure.is_share:
            share, low, high = (100 * rows[f"{part.measure.column}_{name}"] for name in ("rate", "low", "high"))
            axes.fill_between(rows[x], low, high, color=colour, alpha=0.15, linewidth=0)
        else:
            share = rows[part.measure.column]
        axes.plot(rows[x], share, dashes, color=colour, marker=marker, markeredgewidth=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=20 if part.rows[x].nunique() < 4 else 4))
    axes.xaxis.set_minor_locator(NullLocator())
    if not axes.xaxis_inverted():
        axes.invert_xaxis()
    if part.measure.is_share:
        axes.set_ylim(-4, 104)
        axes.set_yticks([0, 50, 100])
    axes.set_title(part.title)
