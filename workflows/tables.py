"""Recovery rates as tables for the terminal."""

from typing import Any

import pandas as pd
from rich.table import Table

from workflows.methods import GENERIC, METHODS


def rates_tables(rates: pd.DataFrame, kind: str = "accurate") -> list[Table]:
    """A table for the terminal for each model: a row a (train loss, degradation), for each method its rate on
    training images with the interval, and on control images."""
    groups = rates.groupby(["data_set", "model"], sort=False)
    return [_rates_table(*map(str, names), of_model, kind) for names, of_model in groups]


def _rates_table(data_set: str, model: str, rates: pd.DataFrame, kind: str) -> Table:
    name = f"generic inpainting of {data_set}, without the autoencoder" if model == GENERIC else model
    title = f"{name}: {kind} recovery, % of the images (95 % interval)"
    table = Table(title=title, min_width=len(title), box=None, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    table.add_column("train\nloss", no_wrap=True)
    table.add_column("mask", overflow="fold")
    methods = [method for method in METHODS if (rates["method"] == method).any()]
    has_control = (rates["split"] == "control").any()
    for method in methods:
        table.add_column(f"{METHODS[method].title}\ntrain", justify="right", no_wrap=True)
        if has_control:
            table.add_column("\ncontrol", justify="right", no_wrap=True)
    previous = None
    for (loss, degradation), group in rates.fillna({"target_loss": 0}).groupby(
        ["target_loss", "degradation"], sort=False
    ):
        if previous not in (None, loss):
            table.add_row()
        previous = loss
        rows = {(row.method, row.split): row for row in group.itertuples()}
        cells = [_scientific(loss) if loss else "-", degradation]
        for method in methods:
            cells.append(_with_interval(rows.get((method, "train")), kind))
            cells += [_percent(rows.get((method, "control")), kind)] if has_control else []
        table.add_row(*cells)
    return table


def _scientific(loss: float) -> str:
    mantissa, exponent = f"{loss:e}".split("e")
    return f"{float(mantissa):g}e{exponent}"


def _percent(row: Any, kind: str) -> str:
    return "-" if row is None else f"{100 * getattr(row, f'{kind}_rate'):.0f}"


def _with_interval(row: Any, kind: str) -> str:
    if row is None:
        return "-"
    low, high = (100 * getattr(row, f"{kind}_{part}") for part in ("low", "high"))
    return f"{_percent(row, kind)} ({low:.0f}-{high:.0f})"
