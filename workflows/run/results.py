"""The rows of a run, as a table for notebooks."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
from PIL import Image
from pyarrow.dataset import Expression, field

from memrec_core.errors import unknown
from workflows.errors import ResultsError
from workflows.run.images import kept_catalogues
from workflows.run.plan import planned_units
from workflows.run.rows import CHECKSUM, FILE, Part, dataset_of, foreign_files, unreadable_files
from workflows.run.run import Run
from workflows.run.schema import SCHEMA
from workflows.run.survey import survey

PICTURES = ["original", "degraded", "recovered"]


def results_of(run: Run, columns: Sequence[str] | None, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of the units that are there; see OpenRun.results."""
    for name in [*(columns or ()), *where]:
        if name not in SCHEMA.names:
            raise unknown("column of the results", name, SCHEMA.names)
    named, waiting = planned_units(run)
    units, known = survey(run.store, named, waiting).done, kept_catalogues(run.store, [*named, *waiting])
    files = [unit.file for unit in units]
    with run.store.local_paths(files) as paths:
        dataset = dataset_of(paths)
        try:
            with duckdb.connect() as database:
                database.register("results", dataset)
                database.execute(
                    f"CREATE TEMP TABLE parts AS SELECT {FILE}, {', '.join(Part._fields)}, count(*) AS images, "
                    f"{CHECKSUM} AS checksum FROM results GROUP BY ALL"
                )
                wrong = foreign_files(database, units, known)
            found = dataset.to_table(list(columns or SCHEMA.names), filter=_filter(where))
        except (duckdb.Error, OSError, pa.ArrowException):
            wrong = unreadable_files(paths)
            if not wrong:
                raise
        if wrong:
            raise ResultsError(
                f"{run.store.show(files[wrong[0]])} is damaged, or has other rows than its unit's; memrec run sets it "
                "aside, and recovers those images again"
            )
    return found.to_pandas()


def pictures_of(run: Run, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of which pictures were kept; see OpenRun.pictures."""
    rows = results_of(run, None, where)
    rows = rows[rows[PICTURES[0]].notna()].reset_index(drop=True)
    return rows.assign(**{name: rows[name].map(_image) for name in PICTURES})


def _image(picture: Mapping[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(picture["bytes"]))


def _filter(where: Mapping[str, Any]) -> Expression | None:
    found = None
    for name, value in where.items():
        values = value if isinstance(value, list | tuple | set) else [value]
        fits = field(name).isin([one for one in values if one is not None])
        fits = fits | field(name).is_null() if None in values else fits
        found = fits if found is None else found & fits
    return found
