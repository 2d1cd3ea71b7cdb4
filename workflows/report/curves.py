"""Recovery rate against training loss: a panel for each degradation, a line for each method, as in figure 3."""

import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.subplots import make_subplots

from workflows.aggregate import METHOD_TITLES

COLOURS = {"unknown_mask": "#e6550d", "known_mask": "#3182bd", "autoencoder_iterations": "#31a354"}
PANEL_HEIGHT = 290


def rate_curves(rates: pd.DataFrame, degradations: list[str]) -> list[tuple[str, Markup]]:
    """A title and an HTML figure for each model and measure."""
    figures = []
    for model, of_model in rates.groupby("model", sort=False):
        for title, value, unit in (
            ("Accurate recovery (MSE < 1e-7)", "accurate", "%"),
            ("Approximate recovery (MSE < 5e-4)", "approximate", "%"),
            ("Mean PSNR", "mean_psnr", "dB"),
        ):
            figure = _figure(of_model, degradations, value, unit)
            html = figure.to_html(full_html=False, include_plotlyjs=False, config={"displayModeBar": False})
            figures.append((f"{title}: {model}", Markup(html)))
    return figures


def _figure(rates: pd.DataFrame, degradations: list[str], value: str, unit: str) -> go.Figure:
    columns = min(len(degradations), 4)
    rows = -(-len(degradations) // columns)
    figure = make_subplots(rows, columns, subplot_titles=degradations, shared_yaxes=True, horizontal_spacing=0.02)
    for i, degradation in enumerate(degradations):
        row, column = i // columns + 1, i % columns + 1
        for method, split in [(method, split) for split in ("train", "control") for method in METHOD_TITLES]:
            chosen = rates[
                (rates["degradation"] == degradation) & (rates["method"] == method) & (rates["split"] == split)
            ]
            if not chosen.empty:
                figure.add_trace(_line(chosen, method, split, value, legend=i == 0), row, column)
    figure.update_xaxes(type="log", autorange="reversed", exponentformat="power", dtick=1, title_text="training loss")
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


def _line(rates: pd.DataFrame, method: str, split: str, value: str, legend: bool) -> go.Scatter:
    rates = rates.sort_values("target_loss")
    if value == "mean_psnr":
        y, error = rates[value], None
    else:
        y, low, high = (100 * rates[f"{value}_{part}"] for part in ("rate", "low", "high"))
        error = {"type": "data", "array": high - y, "arrayminus": y - low, "thickness": 1, "width": 2}
    trained = split == "train"
    return go.Scatter(
        x=rates["target_loss"].tolist(),
        y=y.tolist(),
        error_y=error if trained else None,
        name=METHOD_TITLES[method] if trained else f"{METHOD_TITLES[method]}, control",
        legendgroup=f"{method} {split}",
        showlegend=legend,
        mode="lines+markers",
        line={"color": COLOURS[method], "dash": "solid" if trained else "dot", "width": 2 if trained else 1},
        marker={"size": 6 if trained else 4},
    )
