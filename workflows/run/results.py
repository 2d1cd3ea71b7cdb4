"""The rows of a run, as a table for notebooks."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
from PIL import Image
from pyarrow.dataset import Expression, field, scalar

from memrec_core.errors import unknown
from workflows.run.catalogue import Catalogue
from workflows.run.compacted import read_from
from workflows.run.images import kept_catalogues
from workflows.run.plan import planned_units
from workflows.run.rows import CHECKSUM, FILE, Part, Pieces, count_parts
from workflows.run.run import Run
from workflows.run.schema import SCHEMA
from workflows.run.store import Store
from workflows.run.survey import survey
from workflows.run.unit import Unit

PICTURES = ["original", "degraded", "recovered"]
_PARTS = f"""
    SELECT {FILE}, {", ".join(Part._fields)}, count(*) AS images, {CHECKSUM} AS checksum FROM results GROUP BY ALL
"""


def results_of(run: Run, columns: Sequence[str] | None, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of the units that are there; see OpenRun.results."""
    for name in [*(columns or ()), *where]:
        if name not in SCHEMA.names:
            raise unknown("column of the results", name, SCHEMA.names)
    named, waiting = planned_units(run)
    units, known = survey(run.store, named, waiting).done, kept_catalogues(run.store, [*named, *waiting])
    return chosen_rows(run.store, units, known, list(columns or SCHEMA.names), _filter(where), where)


def chosen_rows(
    store: Store,
    units: Sequence[Unit],
    known: dict[str, Catalogue],
    columns: list[str],
    fits: Expression,
    asked: Iterable[str] = (),
    mend: bool = False,
) -> pd.DataFrame:
    """The columns of those rows of the units that fit, by what is `asked` of other columns too. A wrong compacted file
    is removed to `mend`. Raises WrongFilesError where a file's rows can't be read, or are not its unit's."""
    read = [*dict.fromkeys([*Part._fields, "image_id", "multiplicity", *columns, *asked])]
    return read_from(store, units, lambda sources: _chosen(known, columns, fits, Pieces(store, sources, read)), mend)


def _chosen(known: dict[str, Catalogue], columns: list[str], fits: Expression, pieces: Pieces) -> pd.DataFrame:
    found = [pa.schema([SCHEMA.field(name) for name in columns]).empty_table()]

    def keep(_: str, rows: pa.Table) -> None:
        found.append(rows.filter(fits).select(columns))

    with duckdb.connect() as database:
        count_parts(database, _PARTS, pieces, known, keep)
    return pa.concat_tables(found).to_pandas()


def pictures_of(run: Run, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of which pictures were kept; see OpenRun.pictures."""
    rows = results_of(run, None, where)
    rows = rows[rows[PICTURES[0]].notna()].reset_index(drop=True)
    return rows.assign(**{name: rows[name].map(_image) for name in PICTURES})


def _image(picture: Mapping[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(picture["bytes"]))


def _filter(where: Mapping[str, Any]) -> Expression:
    found = scalar(True)
    for name, value in where.items():
        values = value if isinstance(value, list | tuple | set) else [value]
        fits = field(name).isin([one for one in values if one is not None])
        fits = fits | field(name).is_null() if None in values else fits
        found = found & fits
    return found
