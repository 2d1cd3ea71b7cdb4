"""From the rows of a run to its recovery rates."""

from collections.abc import Sequence

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
from rich.table import Table

from memrec_core.metrics import ACCURATE, APPROXIMATE, clopper_pearson
from workflows.plan import Unit, load_plan, remaining
from workflows.schema import SCHEMA
from workflows.store import RATES, Store

GROUP = [
    "model",
    "target_loss",
    "train_loss",
    "checkpoint",
    "degradation",
    "fraction_missing",
    "noise_std",
    "method",
    "split",
]
METHOD_TITLES = {
    "unknown_mask": "unknown mask",
    "known_mask": "known mask",
    "autoencoder_iterations": "AE iterations",
}

_QUERY = f"""
    SELECT {", ".join(GROUP)},
           count(*)                                       AS images,
           count(*) FILTER (mse < {ACCURATE})             AS accurate_count,
           count(*) FILTER (mse < {APPROXIMATE})          AS approximate_count,
           avg(psnr)                                      AS mean_psnr,
           avg(mask_error)                                AS mean_mask_error,
           avg(evaluations)                               AS mean_evaluations,
           count(*) FILTER (status = 'converged')         AS converged,
           count(*) FILTER (status = 'max_iterations')    AS max_iterations,
           count(*) FILTER (status = 'non_finite')        AS non_finite,
           sum(seconds)                                   AS seconds
    FROM results
    GROUP BY ALL
    ORDER BY model, target_loss DESC, degradation, method, split DESC
"""


def aggregate(store: Store) -> pd.DataFrame:
    """The rates of a run, written to rates.parquet: one row a (checkpoint, degradation, method, split).

    Only units of the plan count, so a foreign or half-written file never does. Columns: the identity, `images`, and
    for accurate and approximate recovery the count, the rate in [0, 1] and its 95 % Clopper-Pearson bounds; the mean
    PSNR in dB, the mean share of the mask estimated wrongly, mean evaluations, images by status and total seconds.
    """
    units = load_plan(store)
    unfinished = {unit.name for unit in remaining(store, units)}
    results = _dataset(store, [unit for unit in units if unit.name not in unfinished])
    with duckdb.connect() as database:
        database.register("results", results)
        rates = database.execute(_QUERY).df()
    for kind in ("accurate", "approximate"):
        rates[f"{kind}_rate"] = rates[f"{kind}_count"] / rates["images"]
        rates[f"{kind}_low"], rates[f"{kind}_high"] = clopper_pearson(rates[f"{kind}_count"], rates["images"])
    store.write_table(RATES, pa.Table.from_pandas(rates, preserve_index=False))
    return rates


def _dataset(store: Store, units: Sequence[Unit]) -> pyarrow.dataset.Dataset:
    paths = [store.path(unit.file) for unit in units]
    if not paths:
        return pyarrow.dataset.dataset(SCHEMA.empty_table())
    return pyarrow.dataset.dataset(paths, schema=SCHEMA, format="parquet", filesystem=store.fs)


def rates_table(rates: pd.DataFrame, kind: str = "accurate") -> Table:
    """A table for the terminal: a row a (model, train loss, degradation), a column a (method, split)."""
    table = Table(title=f"{kind} recovery rate, % of images (95 % interval)")
    keys = ["model", "target_loss", "degradation"]
    for title in ("model", "train loss", "mask"):
        table.add_column(title, no_wrap=True)
    columns = [
        (method, split)
        for method in METHOD_TITLES
        for split in ("train", "control")
        if ((rates["method"] == method) & (rates["split"] == split)).any()
    ]
    for method, split in columns:
        table.add_column(f"{METHOD_TITLES[method]}\n{split}", justify="right", no_wrap=True)
    previous = None
    for (model, loss, degradation), group in rates.groupby(keys, sort=False):
        if previous not in (None, (model, loss)):
            table.add_section()
        previous = (model, loss)
        cells = {(row.method, row.split): row for row in group.itertuples()}
        table.add_row(model, f"{loss:g}", degradation, *[_cell(cells.get(column), kind) for column in columns])
    return table


def _cell(row: object, kind: str) -> str:
    if row is None:
        return "-"
    value, low, high = (100 * getattr(row, f"{kind}_{part}") for part in ("rate", "low", "high"))
    return f"{value:.0f} ({low:.0f}-{high:.0f})"
