"""The rows of a run as a dataset of Arrow, of which a reader takes the columns and rows that it needs, however many
there are."""

from collections.abc import Callable
from typing import TypeVar

import pyarrow.dataset
from pyarrow.dataset import Dataset

from memrec_core.errors import InputError
from workflows.database import connected
from workflows.run.catalogue import Catalogue
from workflows.run.compacted import Source, read_from
from workflows.run.images import kept_catalogues
from workflows.run.plan import planned_units
from workflows.run.results import PARTS
from workflows.run.rows import Part, Pieces, count_parts
from workflows.run.run import Run
from workflows.run.schema import SCHEMA
from workflows.run.store import Store
from workflows.run.survey import survey

Found = TypeVar("Found")
_CHECKED = [*Part._fields, "image_id", "multiplicity"]


def scan_rows(run: Run, read: Callable[[Dataset], Found]) -> Found:
    """What is made of the rows of the units that are there; the dataset has the columns of workflows.run.schema, and
    lasts for the length of the call. Each file was seen to have just its units' rows.

    Raises InputError where there are no results yet, and ResultsError where a file's rows can't be read, or are not its
    unit's.
    """
    named, waiting = planned_units(run)
    units, known = survey(run.store, named, waiting).done, kept_catalogues(run.store, [*named, *waiting])
    if not units:
        raise InputError(f"{run.store.uri} has no results yet; memrec recover makes them")
    return read_from(run.store, units, lambda sources: read(_dataset(run.store, sources, known)))


def _dataset(store: Store, sources: list[Source], known: dict[str, Catalogue]) -> Dataset:
    with connected() as database:
        count_parts(database, PARTS, Pieces(store, sources, _CHECKED), known)
    return pyarrow.dataset.dataset([source.path for source in sources], schema=SCHEMA, format="parquet")
