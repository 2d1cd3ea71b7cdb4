"""The rows of a run's units, read together: each file's must be just those of its unit before any is counted."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
from pyarrow.dataset import field

from workflows.errors import ResultsError
from workflows.run.catalogue import Catalogue
from workflows.run.schema import SCHEMA
from workflows.run.store import SET_ASIDE, Store
from workflows.run.unit import Unit

CHECKED = pyarrow.dataset.ParquetFragmentScanOptions(page_checksum_verification=True)
FILE = "file"
"""The column that says which of the files a row is from, by its number."""
CHECKSUM = "sum(hash(image_id, multiplicity))"
"""Of the rows of a group, whatever their order: changes with any image that is missing, foreign or there twice."""


class Part(NamedTuple):
    """What tells the rows of a unit under one degradation, in one split, from all others."""

    data_set: str
    model: str
    target_loss: float | None
    checkpoint: str
    method: str
    degradation: str
    split: str


def dataset_of(paths: Sequence[str]) -> pyarrow.dataset.Dataset:
    """The rows of the files, each with the number of its file."""
    schema = SCHEMA.append(pa.field(FILE, pa.int32()))
    if not paths:
        return pyarrow.dataset.dataset(schema.empty_table())
    return pyarrow.dataset.FileSystemDataset.from_paths(
        paths,
        schema=schema,
        format=pyarrow.dataset.ParquetFileFormat(default_fragment_scan_options=CHECKED),
        filesystem=pyarrow.fs.LocalFileSystem(),
        partitions=[field(FILE) == pa.scalar(number, pa.int32()) for number in range(len(paths))],
    )


def foreign_files(database: duckdb.DuckDBPyConnection, units: Sequence[Unit], known: dict[str, Catalogue]) -> list[int]:
    """The numbers of the files whose rows are not those of their unit, by the table `parts` of the database."""
    columns = ", ".join(Part._fields)
    rows = database.execute(
        f"SELECT {FILE}, {columns}, sum(images)::BIGINT, sum(checksum)::HUGEINT FROM parts GROUP BY ALL"
    ).fetchall()
    found: dict[int, dict[Part, tuple[int, int]]] = defaultdict(dict)
    for number, *identity, count, checksum in rows:
        found[number][Part(*identity)] = (count, checksum)
    sums = {label: _running_sums(database, catalogue) for label, catalogue in known.items()}
    trained = {label: catalogue.count("train") for label, catalogue in known.items()}
    return [
        number
        for number, unit in enumerate(units)
        if found[number] != dict(_expected(unit, trained[unit.data_set], sums[unit.data_set]))
    ]


def _running_sums(database: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> list[int]:
    """The checksums of the first 0, 1, 2, ... audited images."""
    images = pa.table(
        {
            "place": pa.array(range(len(catalogue)), pa.int64()),
            "image_id": pa.array([image.id for image in catalogue.audited], pa.string()),
            "multiplicity": pa.array(catalogue.multiplicities, pa.int32()),
        }
    )
    database.register("catalogue", images)
    each = database.execute("SELECT hash(image_id, multiplicity)::HUGEINT FROM catalogue ORDER BY place").fetchall()
    return [0, *accumulate(one for (one,) in each)]


def _expected(unit: Unit, first_control: int, sums: list[int]) -> Iterator[tuple[Part, tuple[int, int]]]:
    """The parts of a unit, with their number of rows and their checksum, by the running `sums` over its data set."""
    halves = {
        "train": (unit.start, min(unit.stop, first_control)),
        "control": (max(unit.start, first_control), unit.stop),
    }
    for split, (start, stop) in halves.items():
        for degradation in unit.degradations if start < stop else ():
            part = Part(
                unit.data_set, unit.model, unit.target_loss, unit.checkpoint or "", unit.method, degradation, split
            )
            yield part, (stop - start, sums[stop] - sums[start])


def unreadable_files(paths: Sequence[str]) -> list[int]:
    """The numbers of the files whose rows can't be read."""
    return [number for number, path in enumerate(paths) if not _is_readable(path)]


def _is_readable(path: str) -> bool:
    try:
        dataset_of([path]).to_table()
    except (OSError, ValueError, pa.ArrowException):
        return False
    return True


def set_files_aside(store: Store, files: Sequence[str], numbers: Sequence[int], reason: str) -> None:
    """Move the files of those numbers out of the way. Raises ResultsError, which says so, where there are any."""
    if not numbers:
        return
    for number in numbers:
        store.set_aside(files[number])
    others = f" and {len(numbers) - 1} more" if len(numbers) > 1 else ""
    raise ResultsError(
        f"{store.show(files[numbers[0]])}{others} had {reason}, and lies in {store.show(SET_ASIDE)} now; memrec run "
        "recovers those images again"
    )
