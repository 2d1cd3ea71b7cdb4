"""Recovery rates as curves: a panel for each degradation, a line for each method, as in figures 3 and F.2 to F.4."""

import re
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.subplots import make_subplots

from workflows.methods import GENERIC, METHODS

PANEL_HEIGHT = 290


def rate_curves(rates: pd.DataFrame, degradations: list[str]) -> list[tuple[str, Markup]]:
    """A title and an HTML figure for each model and measure, against the training loss."""
    figures = []
    for model, own in rates[rates["model"] != GENERIC].groupby("model", sort=False):
        of_model = pd.concat([own, _at_every_loss(_generic_beside(own, rates), own["target_loss"].unique())])
        for title, value, unit in (
            ("Accurate recovery (MSE < 1e-7)", "accurate", "%"),
            ("Approximate recovery (MSE < 5e-4)", "approximate", "%"),
            ("Mean PSNR", "mean_psnr", "dB"),
        ):
            figure = _figure(of_model, degradations, "target_loss", value, unit)
            figure.update_xaxes(autorange="reversed", title_text="training loss")
            figures.append(_titled(f"{title}: {model}", figure))
    return figures


def threshold_curves(thresholds: pd.DataFrame, degradations: list[str]) -> list[tuple[str, Markup]]:
    """A title and an HTML figure for each model, at its lowest training loss: the rate against the MSE threshold."""
    figures = []
    for model, own in thresholds[thresholds["model"] != GENERIC].groupby("model", sort=False):
        lowest = own["target_loss"].min()
        of_model = pd.concat([own[own["target_loss"] == lowest], _generic_beside(own, thresholds)])
        figure = _figure(of_model, degradations, "threshold", "recovery", "%")
        figure.update_xaxes(autorange="reversed", title_text="MSE threshold")
        figures.append(_titled(f"Recovery at a training loss of {lowest:g}: {model}", figure))
    return figures


def _generic_beside(own: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """Of the rates, those of the methods without a network on a model's own data set."""
    return rates[(rates["model"] == GENERIC) & rates["data_set"].isin(own["data_set"])]


def _at_every_loss(generic: pd.DataFrame, losses: Sequence[float]) -> pd.DataFrame:
    """The rates of the methods without a network, which are the same at every training loss."""
    return generic.drop(columns="target_loss").merge(pd.DataFrame({"target_loss": losses}), "cross")


def _titled(title: str, figure: go.Figure) -> tuple[str, Markup]:
    """The title, and the figure as HTML whose id follows from it, so that the same rates give the same page."""
    id_ = re.sub(r"\W+", "-", title).lower()
    return title, Markup(
        figure.to_html(full_html=False, include_plotlyjs=False, config={"displayModeBar": False}, div_id=id_)
    )


def _figure(rates: pd.DataFrame, degradations: list[str], x: str, value: str, unit: str) -> go.Figure:
    columns = min(len(degradations), 4 if len(degradations) != 6 else 3)
    rows = -(-len(degradations) // columns)
    figure = make_subplots(rows, columns, subplot_titles=degradations, shared_yaxes=True, horizontal_spacing=0.02)
    for i, degradation in enumerate(degradations):
        row, column = i // columns + 1, i % columns + 1
        for method, split in [(method, split) for split in ("train", "control") for method in METHODS]:
            chosen = rates[
                (rates["degradation"] == degradation) & (rates["method"] == method) & (rates["split"] == split)
            ]
            if not chosen.empty:
                figure.add_trace(_line(chosen, method, split, x, value, legend=i == 0), row, column)
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


def _line(rates: pd.DataFrame, method: str, split: str, x: str, value: str, legend: bool) -> go.Scatter:
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
        name=METHODS[method].title if trained else f"{METHODS[method].title}, control",
        legendgroup=f"{method} {split}",
        showlegend=legend,
        mode="lines+markers",
        line={"color": METHODS[method].colour, "dash": "solid" if trained else "dot", "width": 2 if trained else 1},
        marker={"size": 6 if trained else 4},
    )
