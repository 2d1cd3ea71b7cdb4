"""The tables that a query may name: their columns, and how their rows come."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
from pyarrow.dataset import Dataset, field

from workflows.run.images import COLUMNS as IMAGES_SCHEMA
from workflows.run.opened import OpenRun
from workflows.run.rates_schema import CLAIMS_SCHEMA, RATES_SCHEMA, THRESHOLDS_SCHEMA
from workflows.run.schema import PICTURE, SCHEMA
from workflows.run.store import IMAGES

Rows = Any
"""A table or a dataset of Arrow's."""
_PICTURES = [column.name for column in SCHEMA if column.type == PICTURE]
RESULTS_SCHEMA = pa.schema([column for column in SCHEMA if column.name not in _PICTURES])


class Table(NamedTuple):
    """A table of a run: its columns, and its rows, from the run or from all rows of its results, as they were scanned
    where the query names one of SCANNED."""

    schema: pa.Schema
    rows: Callable[[OpenRun, Dataset | None], Rows]


def _of(schema: pa.Schema, frame: Callable[[OpenRun], pd.DataFrame]) -> Table:
    return Table(schema, lambda run, _: pa.Table.from_pandas(frame(run), schema, preserve_index=False))


def _results(_: OpenRun, scanned: Dataset | None) -> Rows:
    assert scanned is not None
    return scanned.replace_schema(RESULTS_SCHEMA)


def _pictures(_: OpenRun, scanned: Dataset | None) -> Rows:
    assert scanned is not None
    return scanned.filter(field(_PICTURES[0]).is_valid())


TABLES = {
    "results": Table(RESULTS_SCHEMA, _results),
    "pictures": Table(SCHEMA, _pictures),
    "rates": _of(RATES_SCHEMA, OpenRun.rates),
    "thresholds": _of(THRESHOLDS_SCHEMA, OpenRun.thresholds),
    "claims": _of(CLAIMS_SCHEMA, OpenRun.claims),
    "images": Table(IMAGES_SCHEMA, lambda run, _: run.store.read_table(IMAGES)),
}
"""By their names. `results` leaves the pictures out; `pictures` has the rows that kept some, with them, as PNG."""
SCANNED = {"results", "pictures"}
