"""Which images came back in one run and not in the other: the same images, by their pixels, not by their names."""

from functools import partial
from typing import NamedTuple

import duckdb
import pandas as pd
import pyarrow as pa
from pyarrow.dataset import Dataset

from memrec_core.metrics import ACCURATE, APPROXIMATE
from workflows.comparison.matching import KEY, Labels
from workflows.experiment.models import GENERIC
from workflows.run.images import catalogues_of
from workflows.run.opened import OpenRun
from workflows.run.scan import scan_rows

KINDS = {"accurate": ACCURATE, "approximate": APPROXIMATE}
"""Of each kind of recovery the MSE under which an image is back."""
_ROWS = f"""
    SELECT labels.as_data_set AS data_set, labels.as_model AS model, target_loss, degradation, method, split, image_id,
           digest, {", ".join(f"mse < {threshold} AS {kind}" for kind, threshold in KINDS.items())}
    FROM results JOIN images USING (data_set, split, image_id) JOIN labels USING (data_set, model)
"""
_SAME = " AND ".join(f"base.{column} IS NOT DISTINCT FROM other.{column}" for column in [*KEY, "digest"])
_PAIRS = f"""
    SELECT {", ".join(f"base.{column} AS {column}" for column in KEY)}, base.image_id AS image_id,
           other.image_id AS image_id_other,
           {", ".join(f"base.{kind} AS {kind}, other.{kind} AS {kind}_other" for kind in KINDS)}
    FROM base JOIN other ON {_SAME}
"""


def _counted(kind: str) -> str:
    fits = {"both": "{0} AND {0}_other", "base": "{0} AND NOT {0}_other", "other": "NOT {0} AND {0}_other"}
    return ", ".join(f"count(*) FILTER ({rows.format(kind)}) AS {kind}_{name}" for name, rows in fits.items())


_COUNTS = f"SELECT {', '.join(KEY)}, count(*) AS common, {', '.join(map(_counted, KINDS))} FROM pairs GROUP BY ALL"
_CHANGED = " UNION ALL ".join(
    f"SELECT {', '.join(KEY)}, '{kind}' AS kind, image_id, image_id_other, {kind}_other AS only_in_other "
    f"FROM pairs WHERE {kind} <> {kind}_other"
    for kind in KINDS
)


class Sides(NamedTuple):
    """Of each group that both runs have, how many images are `common`, and how many of these came back, by kind, in
    `both`, or in one alone (`base`, `other`); and the images that changed sides, a row each."""

    counts: pd.DataFrame
    changed: pd.DataFrame


def sides_of(base: OpenRun, other: OpenRun, labels: Labels) -> Sides:
    """What became of the images that both runs have; `labels` says what the other's are called in the first."""
    return scan_rows(base, lambda rows: scan_rows(other, partial(_sides, base, other, labels, rows)))


def _sides(base: OpenRun, other: OpenRun, labels: Labels, of_base: Dataset, of_other: Dataset) -> Sides:
    with duckdb.connect() as database:
        database.execute("SET enable_progress_bar = false")
        try:
            for name, run, rows, called in (("base", base, of_base, Labels()), ("other", other, of_other, labels)):
                database.register("results", rows)
                database.register("images", _images(run))
                database.register("labels", _labels(run, called))
                database.execute(f"CREATE TEMP TABLE {name} AS {_ROWS}")
            database.execute(f"CREATE TEMP TABLE pairs AS {_PAIRS}")
            order = f"{', '.join(KEY)}, kind, image_id"
            return Sides(database.execute(_COUNTS).df(), database.execute(f"{_CHANGED} ORDER BY {order}").df())
        except RuntimeError as error:
            if "interrupted" in str(error).lower():  # what DuckDB makes of Ctrl-C
                raise KeyboardInterrupt from error
            raise


def _images(run: OpenRun) -> pa.Table:
    """The audited images, with what identifies their pixels."""
    rows = [
        (label, image.split, image.id, image.digest)
        for label, known in catalogues_of(run.store).items()
        for image in known.audited
    ]
    names = ("data_set", "split", "image_id", "digest")
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})


def _labels(run: OpenRun, called: Labels) -> pa.Table:
    """What the labels of each data set and network, and of none, are called."""
    data_sets = [data.label for data in run.experiment.data]
    pairs = [(data_set, model.label) for data_set in data_sets for model in run.experiment.models]
    pairs += [(data_set, GENERIC) for data_set in data_sets]
    return pa.table(
        {
            "data_set": [data_set for data_set, _ in pairs],
            "model": [model for _, model in pairs],
            "as_data_set": [called.of_data_set(data_set) for data_set, _ in pairs],
            "as_model": [called.of_model(model) for _, model in pairs],
        }
    )
