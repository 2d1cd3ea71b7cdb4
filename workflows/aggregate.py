"""From the rows of a run to its recovery rates."""

from collections.abc import Callable, Sequence

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet

from memrec_core.errors import in_a_line
from memrec_core.metrics import ACCURATE, APPROXIMATE, THRESHOLDS, clopper_pearson, rate_difference
from workflows.errors import JobError
from workflows.experiment import Experiment
from workflows.methods import GENERIC
from workflows.plan import planned_units, survey
from workflows.schema import SCHEMA
from workflows.store import RATES, SET_ASIDE, Store
from workflows.store import THRESHOLDS as THRESHOLDS_FILE

GROUP = [
    "data_set",
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
DONE, PLANNED = "units_done", "units_planned"
"""Attributes of the rates' data frame, which its Parquet file keeps: how many work units they are of."""
_QUERY = f"""
    SELECT {", ".join(GROUP)},
           count(*)                                       AS images,
           count(*) FILTER (mse < {ACCURATE})             AS accurate_count,
           count(*) FILTER (mse < {APPROXIMATE})          AS approximate_count,
           avg(psnr)                                      AS mean_psnr,
           avg(mse_missing)                               AS mean_mse_missing,
           avg(mask_error)                                AS mean_mask_error,
           avg(evaluations)                               AS mean_evaluations,
           count(*) FILTER (status = 'converged')         AS converged,
           count(*) FILTER (status = 'max_iterations')    AS max_iterations,
           count(*) FILTER (status = 'non_finite')        AS non_finite,
           sum(seconds)                                   AS seconds,
           {", ".join(f'count(*) FILTER (mse < {threshold}) AS "{threshold}"' for threshold in THRESHOLDS)}
    FROM results
    GROUP BY ALL
"""


def aggregate(experiment: Experiment, store: Store, show: Callable[[pd.DataFrame], None] | None = None) -> pd.DataFrame:
    """The rates of a run, written to rates.parquet: one row a (checkpoint, degradation, method, split). They are shown
    before they are written: who may only read the run has them all the same, and then the StoreError.

    Only units of the plan count, so a foreign or half-written file never does. Columns: the identity, `images`, and
    for accurate and approximate recovery the count, the rate in [0, 1] and its 95 % Clopper-Pearson bounds, and, for
    training images beside a control set, the rate minus that of the control images (`_excess`) with Newcombe's bounds;
    the mean PSNR in dB, the mean MSE on the missing pixels, the mean share of the mask estimated wrongly, mean
    evaluations, images by status and total seconds. The rates at all of metrics.THRESHOLDS go to thresholds.parquet,
    a row a threshold. Raises JobError where the rows of a unit can't be read; its file is set aside.
    """
    units, waiting = planned_units(experiment, store)
    files = [unit.file for unit in survey(store, units).done]
    with store.local_paths(files) as paths, duckdb.connect() as database:
        database.execute("SET enable_progress_bar = false")
        database.register("results", dataset_of(paths))
        try:
            rates = database.execute(_QUERY).df()
        except duckdb.Error as error:
            set_damaged_aside(store, files, paths)
            raise JobError(f"the results of {store.uri} can't be aggregated ({in_a_line(error)})") from error
        except RuntimeError as error:
            if "interrupted" in str(error):  # what DuckDB makes of Ctrl-C
                raise KeyboardInterrupt from error
            raise
    below = list(map(str, THRESHOLDS))
    thresholds = rates.melt([*GROUP, "images"], below, "threshold", "recovered").astype({"threshold": "float64"})
    thresholds = thresholds[[*GROUP, "threshold", "images", "recovered"]]
    rates = rates.drop(columns=below)
    for kind in ("accurate", "approximate"):
        _add_rate(rates, kind, f"{kind}_count")
        _add_excess(rates, kind)
    _add_rate(thresholds, "recovery", "recovered")
    rates, thresholds = (_in_order(table, experiment) for table in (rates, thresholds))
    rates.attrs = {DONE: len(files), PLANNED: len(units) + len(waiting)}
    if show is not None:
        show(rates)
    for name, table in ((RATES, rates), (THRESHOLDS_FILE, thresholds)):
        store.write_table(name, pa.Table.from_pandas(table, preserve_index=False))
    return rates


def _add_rate(table: pd.DataFrame, kind: str, count: str) -> None:
    table[f"{kind}_rate"] = table[count] / table["images"]
    table[f"{kind}_low"], table[f"{kind}_high"] = clopper_pearson(table[count], table["images"])


def _add_excess(rates: pd.DataFrame, kind: str) -> None:
    """The rate of training images minus that of control images, beside the former."""
    columns = [f"{kind}_count", "images"]
    identity = [column for column in GROUP if column != "split"]
    control = rates[rates["split"] == "control"][[*identity, *columns]]
    both = rates.merge(control, "left", identity, suffixes=("", "_control")).where(rates["split"] == "train")
    counts = (both[column].astype("float64") for column in (*columns, *(f"{column}_control" for column in columns)))
    for name, values in zip(("excess", "excess_low", "excess_high"), rate_difference(*counts), strict=True):
        rates[f"{kind}_{name}"] = values


def _in_order(rates: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Sorted as the experiment lists its models, degradations and methods, from the highest training loss down, and
    from the highest threshold."""
    places = {
        "data_set": [data.label for data in experiment.data],
        "model": [*(model.label for model in experiment.models), GENERIC],
        "degradation": [degradation.label for degradation in experiment.degradations],
        "method": list(experiment.methods),
        "split": ["train", "control"],
    }

    def key(column: pd.Series) -> pd.Series:
        return column.map(places[column.name].index) if column.name in places else -column

    by = ["data_set", "model", "target_loss", "degradation", "method", "split", "threshold"]
    return rates.sort_values([name for name in by if name in rates], key=key, ignore_index=True)


def set_damaged_aside(store: Store, files: Sequence[str], paths: Sequence[str]) -> None:
    """Move those of the `files`, which lie at `paths`, whose rows can't be read out of the way. Raises JobError, which
    says so, where there are any."""
    damaged = [file for file, path in zip(files, paths, strict=True) if not _is_readable(path)]
    if not damaged:
        return
    for file in damaged:
        store.set_aside(file)
    others = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
    raise JobError(
        f"{store.show(damaged[0])}{others} had damaged rows, and lies in {store.show(SET_ASIDE)} now; memrec run "
        "recovers those images again"
    )


def _is_readable(path: str) -> bool:
    try:
        pyarrow.parquet.read_table(path)
    except (OSError, pa.ArrowException):
        return False
    return True


def dataset_of(paths: Sequence[str]) -> pyarrow.dataset.Dataset:
    if not paths:
        return pyarrow.dataset.dataset(SCHEMA.empty_table())
    return pyarrow.dataset.dataset(paths, schema=SCHEMA, format="parquet")


def incomplete(rates: pd.DataFrame, there: int | None = None) -> str:
    """A sentence that says what the rates are of, where units are missing, or other units are `there` by now than when
    they were aggregated; empty where neither is so."""
    done, planned = rates.attrs.get(DONE), rates.attrs.get(PLANNED)
    if done is None:
        return "Nothing is known of the work units that the rates are of; aggregate them again."
    if there is not None and there != done:
        return f"Incomplete: the rates are of {done} work units, and {there} are there by now; aggregate them again."
    if done == planned:
        return ""
    return f"Incomplete: {done} of {planned} work units are there, and the rates are of their images alone."
