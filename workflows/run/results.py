"""The rows of a run, as a table for notebooks."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
from PIL import Image
from pyarrow.dataset import Expression, field, scalar

from memrec_core.errors import InputError, shown, unknown
from workflows.database import connected
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

PICTURES = ["original", "degraded", "recovered", "estimated_mask"]
PARTS = f"""
    SELECT {FILE}, {", ".join(Part._fields)}, count(*) AS images, {CHECKSUM} AS checksum FROM results GROUP BY ALL
"""


def results_of(run: Run, columns: Sequence[str] | None, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of the units that are there; see OpenRun.results."""
    columns, fits = _checked(columns), _filter(where)
    named, waiting = planned_units(run)
    units, known = survey(run.store, named, waiting).done, kept_catalogues(run.store, [*named, *waiting])
    return chosen_rows(run.store, units, known, columns, fits, where)


def _checked(columns: Sequence[str] | None) -> list[str]:
    if columns is None:
        return SCHEMA.names
    if isinstance(columns, str) or not isinstance(columns, Iterable) or not list(columns):
        raise InputError(
            f"columns of the results must be a list such as ['image_id', 'mse'], not {shown(columns)}; leave it out "
            "for all"
        )
    for name in columns:
        _check_name(name)
    return list(columns)


def _check_name(name: str) -> None:
    if name not in SCHEMA.names:
        raise unknown("column of the results", name, SCHEMA.names)


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

    with connected() as database:
        count_parts(database, PARTS, pieces, known, keep)
    return pa.concat_tables(found).to_pandas()


def pictures_of(run: Run, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of which pictures were kept; see OpenRun.pictures."""
    rows = results_of(run, None, where)
    rows = rows[rows[PICTURES[0]].notna()].reset_index(drop=True)
    return rows.assign(**{name: rows[name].map(_image) for name in PICTURES})


def _image(picture: Mapping[str, Any] | None) -> Image.Image | None:
    return None if picture is None else Image.open(io.BytesIO(picture["bytes"]))


def _filter(where: Mapping[str, Any]) -> Expression:
    found = scalar(True)
    for name, asked in where.items():
        _check_name(name)
        values = list(asked) if isinstance(asked, list | tuple | set) else [asked]
        fits = field(name).isin(_typed(name, [value for value in values if value is not None]))
        fits = fits | field(name).is_null() if None in values else fits
        found = found & fits
    return found


def _typed(name: str, values: list[Any]) -> pa.Array:
    """The values as the column has them. Raises InputError where it can't have such."""
    kind = SCHEMA.field(name).type
    if pa.types.is_nested(kind):
        raise InputError(f"rows can't be chosen by their pictures ({name}); pictures() gives those that have some")
    try:
        typed = pa.array(values, kind)
        if pa.types.is_integer(kind) and typed.to_pylist() != values:
            raise ValueError("Arrow cuts fractions off")
        return typed
    except (ValueError, TypeError, OverflowError) as error:  # Arrow's own are of these too
        raise InputError(
            f"{name} of the results is of type {kind}, and no row has {shown(values)}; give a value of that type, or a "
            "list of such"
        ) from error
