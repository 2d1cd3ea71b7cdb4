"""Recovery rates as curves: a panel for each degradation, a line for each method, as in figures 3 and F.2 to F.4."""

from collections.abc import Sequence
from itertools import product

import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.subplots import make_subplots

from memrec_core.degradations import Degradation
from workflows.experiment.models import GENERIC
from workflows.report.variations import variations

PANEL_HEIGHT = 290
COLOURS = ("#e6550d", "#3182bd", "#31a354", "#c51b8a", "#756bb1", "#8c6d31", "#17becf", "#636363")
"""Of the methods' curves, in the order in which the experiment has them."""
RATES = (("Accurate recovery (MSE < 1e-7)", "accurate", "%"), ("Approximate recovery (MSE < 5e-4)", "approximate", "%"))
"""Of each kind of recovery a title, the columns' beginning, and the unit."""


def rate_curves(rates: pd.DataFrame, degradations: list[str], titles: dict[str, str]) -> list[tuple[str, Markup]]:
    """A title and an HTML figure for each model that was trained here, and each measure, against the training loss.
    `titles` are those of the methods, by their labels."""
    figures = []
    for model, own in rates[rates["target_loss"].notna()].groupby("model", sort=False):
        of_model = pd.concat([own, _at_every_loss(generic_beside(own, rates), own["target_loss"].unique())])
        for title, value, unit in (*RATES, ("Mean PSNR", "mean_psnr", "dB")):
            figure = _figure(of_model, degradations, titles, "target_loss", value, unit)
            figure.update_xaxes(autorange="reversed", title_text="training loss")
            figures.append(_titled(f"{title}: {model}", figure, f"{value}-{len(figures)}"))
    return figures


def threshold_curves(
    thresholds: pd.DataFrame, degradations: list[str], titles: dict[str, str]
) -> list[tuple[str, Markup]]:
    """A title and an HTML figure for each model, at its lowest training loss: the rate against the MSE threshold."""
    figures = []
    for model, own in thresholds[thresholds["model"] != GENERIC].groupby("model", sort=False):
        of_model = pd.concat([at_lowest_loss(own), generic_beside(own, thresholds)])
        figure = _figure(of_model, degradations, titles, "threshold", "recovery", "%")
        figure.update_xaxes(autorange="reversed", title_text="MSE threshold")
        figures.append(_titled(f"Recovery{trained_to(own)}: {model}", figure, f"thresholds-{len(figures)}"))
    return figures


def noise_curves(
    rates: pd.DataFrame, degradations: Sequence[Degradation], titles: dict[str, str]
) -> list[tuple[str, Markup]]:
    """Likewise the rates against the noise, of the degradations that are there with noise of several strengths."""
    varied = variations(degradations, "noise_std")
    bases, levels = {label: one.base for label, one in varied.items()}, sorted({one.value for one in varied.values()})
    rates = rates[rates["degradation"].isin(bases)]
    rates = rates.assign(degradation=rates["degradation"].map(bases))
    figures = []
    for model, own in rates[rates["model"] != GENERIC].groupby("model", sort=False):
        of_model = pd.concat([at_lowest_loss(own), generic_beside(own, rates)])
        for title, value, unit in RATES:
            figure = _figure(of_model, [*dict.fromkeys(bases.values())], titles, "noise_std", value, unit)
            figure.update_xaxes(type="linear", dtick=None, tickvals=levels, title_text="standard deviation of noise")
            figures.append(_titled(f"{title}{trained_to(own)}: {model}", figure, f"noise-{len(figures)}"))
    return figures


def at_lowest_loss(own: pd.DataFrame) -> pd.DataFrame:
    """Of a model's rates, those at its lowest training loss; all of a network that was not trained here."""
    lowest = own["target_loss"].min()
    return own if pd.isna(lowest) else own[own["target_loss"] == lowest]


def trained_to(own: pd.DataFrame) -> str:
    """What titles say of that loss."""
    lowest = own["target_loss"].min()
    return "" if pd.isna(lowest) else f" at a training loss of {lowest:g}"


def generic_beside(own: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """Of the rates, those of the methods without a network on a model's own data set."""
    return rates[(rates["model"] == GENERIC) & rates["data_set"].isin(own["data_set"])]


def _at_every_loss(generic: pd.DataFrame, losses: Sequence[float]) -> pd.DataFrame:
    """The rates of the methods without a network, which are the same at every training loss."""
    return generic.drop(columns="target_loss").merge(pd.DataFrame({"target_loss": losses}), "cross")


def _titled(title: str, figure: go.Figure, id_: str) -> tuple[str, Markup]:
    """The title, and the figure as HTML; its id, its own on the page, is the same each time."""
    return title, Markup(
        figure.to_html(full_html=False, include_plotlyjs=False, config={"displayModeBar": False}, div_id=id_)
    )


def _figure(
    rates: pd.DataFrame, degradations: list[str], titles: dict[str, str], x: str, value: str, unit: str
) -> go.Figure:
    columns = min(len(degradations), 4 if len(degradations) != 6 else 3)
    rows = -(-len(degradations) // columns)
    figure = make_subplots(rows, columns, subplot_titles=degradations, shared_yaxes=True, horizontal_spacing=0.02)
    in_legend: set[str] = set()
    for i, degradation in enumerate(degradations):
        row, column = i // columns + 1, i % columns + 1
        for split, (place, method) in product(("train", "control"), enumerate(titles)):
            chosen = rates[
                (rates["degradation"] == degradation) & (rates["method"] == method) & (rates["split"] == split)
            ]
            if not chosen.empty:
                line = _line(chosen, titles[method], COLOURS[place % len(COLOURS)], split, x, value)
                group = str(line.legendgroup)
                line.showlegend = group not in in_legend
                in_legend.add(group)
                figure.add_trace(line, row, column)
    figure.update_xaxes(type="log", exponentformat="power", dtick=1)
    figure.update_yaxes(title_text=unit, col=1)
    if unit == "%":
        figure.update_yaxes(range=[-3, 103])
    figure.update_layout(
        height=PANEL_HEIGHT * rows + 90,
        template="plotly_white",
        margin={"l": 50, "r": 10, "t": 30, "b": 40},
        legend={"orientation": "h", "y": -0.32 / rows, "yanchor": "top"},
    )
    return figure


def _line(rates: pd.DataFrame, title: str, colour: str, split: str, x: str, value: str) -> go.Scatter:
    rates = rates.sort_values(x)
    if value == "mean_psnr":
        y, error = rates[value], None
    else:
        y, low, high = (100 * rates[f"{value}_{part}"] for part in ("rate", "low", "high"))
        error = {"type": "data", "array": high - y, "arrayminus": y - low, "thickness": 1, "width": 2}
    trained = split == "train"
    return go.Scatter(
        x=rates[x].tolist(),
        y=y.round(4).tolist(),  # sums in another order differ in their last bits
        error_y=error if trained else None,
        name=title if trained else f"{title}, control",
        legendgroup=f"{title} {split}",
        mode="lines+markers",
        line={"color": colour, "dash": "solid" if trained else "dot", "width": 2 if trained else 1},
        marker={"size": 6 if trained else 4},
    )
