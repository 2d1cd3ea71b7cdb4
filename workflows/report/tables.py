"""Recovery rates as tables for the terminal."""

from collections.abc import Hashable
from itertools import product
from typing import Any

import pandas as pd
from rich.measure import Measurement
from rich.table import Table

from workflows.experiment.models import GENERIC
from workflows.terminal import console, print_whole, say
from workflows.words import loss_words, whole, with_bounds

NARROWEST, NARROWEST_OF_CLAIMS = 40, 78
"""Columns of a terminal that a table is made for; a narrower one breaks its lines itself."""
Row = dict[Hashable, Any]
Rates = dict[tuple[str, str], Row]
"""The rates of one checkpoint and degradation, by method and split."""


def print_rates(rates: pd.DataFrame, titles: dict[str, str], kind: str = "accurate") -> None:
    """Print a table for each model: a row a (train loss, degradation), for each method its rate on training images with
    the interval, and on control images. Where the terminal is too narrow, a table for each method. `titles` are those
    of the methods by their labels."""
    for (data_set, model), of_model in rates.groupby(["data_set", "model"], sort=False):
        name = f"generic inpainting of {data_set}, without the autoencoder" if model == GENERIC else model
        title = f"{name}: {kind} recovery, % of the images (95 % interval)"
        methods = [method for method in titles if (of_model["method"] == method).any()]
        table = _table(of_model, methods, kind, [titles[method] for method in methods])
        needed = Measurement.get(console, console.options.update(width=10_000), table).maximum
        if max(needed, len(title)) <= console.width:
            table.title, table.min_width = title, len(title)
            console.print(table)
            continue
        say(f"\n{title}")
        for method in methods:
            say(f"\n{titles[method]}:")
            console.print(_table(of_model, [method], kind, [""]), width=max(console.width, NARROWEST), crop=False)


def print_claims(claims: pd.DataFrame, titles: dict[str, str]) -> None:
    """Print a table for each model and method that judges its results: a row a (train loss, degradation), how many of
    the images it claimed, and how right that was; nothing where none does."""
    shares = [*product(("accurate", "approximate"), ("precision", "recall"))]
    for (data_set, model, method), rows in claims.groupby(["data_set", "model", "method"], sort=False):
        name = data_set if model == GENERIC else model
        say(f"\n{name}: what {titles[str(method)]} claims of train and control images, % (95 % interval)")
        table = _plain_table()
        for title in ("claimed", "accurate\nprecision", "\nrecall", "approximate\nprecision", "\nrecall"):
            table.add_column(title, justify="right", no_wrap=True)
        for row in rows.to_dict("records"):
            table.add_row(
                loss_words(row["target_loss"]),
                row["degradation"],
                f"{row['claimed']}/{row['images']}",
                *(_share(row, f"{kind}_{share}") for kind, share in shares),
            )
        print_whole(table, NARROWEST_OF_CLAIMS)


def _plain_table() -> Table:
    """With columns for what a row is of."""
    table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    table.add_column("train\nloss", no_wrap=True)
    table.add_column("degradation", overflow="fold")
    return table


def _table(rates: pd.DataFrame, methods: list[str], kind: str, titles: list[str]) -> Table:
    table = _plain_table()
    has_control = (rates["split"] == "control").any()
    for title in titles:
        table.add_column(f"{title}\ntrain", justify="right", no_wrap=True)
        if has_control:
            table.add_column("\ncontrol", justify="right", no_wrap=True)
    previous = None
    for _, group in rates.fillna({"target_loss": 0}).groupby(["target_loss", "degradation"], sort=False):
        records = group.to_dict("records")
        loss, degradation = records[0]["target_loss"], records[0]["degradation"]
        rows: Rates = {(row["method"], row["split"]): row for row in records}
        if not any((method, split) in rows for method in methods for split in ("train", "control")):
            continue
        if previous not in (None, loss):
            table.add_row()
        previous = loss
        cells = [loss_words(loss), degradation]
        for method in methods:
            cells.append(_with_interval(rows.get((method, "train")), kind))
            cells += [_percent(rows.get((method, "control")), kind)] if has_control else []
        table.add_row(*cells)
    return table


def _percent(row: Row | None, kind: str) -> str:
    return "-" if row is None else whole(row[f"{kind}_rate"])


def _with_interval(row: Row | None, kind: str) -> str:
    return "-" if row is None else with_bounds(*(row[f"{kind}_{part}"] for part in ("rate", "low", "high")))


def _share(row: Row, name: str) -> str:
    return "-" if pd.isna(row[name]) else with_bounds(row[name], row[f"{name}_low"], row[f"{name}_high"])
