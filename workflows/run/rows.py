"""The rows of a run's units, read together: each file's must be just those of its unit before any is counted."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, groupby
from typing import NamedTuple, NoReturn

import duckdb
import pyarrow as pa
import pyarrow.parquet

from memrec_core.errors import in_a_line
from workflows.errors import ResultsError, StoreError
from workflows.run.catalogue import Catalogue
from workflows.run.compacted import Source, WrongFilesError, drop_compacted
from workflows.run.schema import SCHEMA, Maker, check_columns, makers_of
from workflows.run.store import SET_ASIDE, Store, footer_in
from workflows.run.survey import is_of
from workflows.run.unit import Unit

FILE = "file"
"""The column that says which of the files a row is from, by its number."""
CHECKSUM = "sum(hash(image_id, multiplicity))"
"""Of the rows of a group, whatever their order: changes with any image that is missing, foreign or there twice."""
PIECE, PIECE_BYTES = 100_000, 64 * 2**20
"""How many rows are read at a time, and what they take with their pictures, about; a row group of a compacted file."""
DAMAGED, FOREIGN = "damaged rows", "rows of other images than its unit's"
UNREADABLE = (OSError, ValueError, pa.ArrowException)
"""What Arrow ends with where a file is damaged; an OSError with a number is the machine's, and says nothing of it."""


class Part(NamedTuple):
    """What tells the rows of a unit under one degradation, in one split, from all others."""

    data_set: str
    model: str
    target_loss: float | None
    checkpoint: str
    method: str
    degradation: str
    split: str


class Pieces:
    """The rows of files, read once, some at a time; those of one are of one checkpoint, whose compacted file is named.

    Args:
        store: the run's folder, for what is said.
        sources: the files.
        columns: those wanted; the column FILE comes with them.
        rewritten: whether all columns of files that are not compacted are wanted, to compact them.

    `makers` has by the name of a compacted file what made the rows that were read of its checkpoint. `wrong` says by
    the number of a file what is wrong with it, as far as that is seen in it alone; whoever counts its rows asks for
    that afterwards. Raises StoreError where a file can't be read, whatever it holds.
    """

    def __init__(
        self, store: Store, sources: Sequence[Source], columns: Sequence[str], rewritten: bool = False
    ) -> None:
        self.store, self.sources, self.columns, self.rewritten = store, sources, list(columns), rewritten
        self.makers: dict[str, set[Maker]] = {}
        self.wrong: dict[int, str] = {}

    def __iter__(self) -> Iterator[tuple[str, pa.Table]]:
        for name, sources in groupby(enumerate(self.sources), lambda numbered: numbered[1].compacted):
            held: list[pa.Table] = []
            rows = size = 0
            for table in (table for numbered in sources for table in self._read(*numbered)):
                if held and (rows + len(table) > PIECE or size + table.nbytes > PIECE_BYTES):
                    yield name, pa.concat_tables(held).combine_chunks()
                    held, rows, size = [], 0, 0
                held.append(table)
                rows, size = rows + len(table), size + table.nbytes
            if held:
                yield name, pa.concat_tables(held).combine_chunks()

    def _read(self, number: int, source: Source) -> Iterator[pa.Table]:
        """The rows of a file, as far as they can be read."""
        whole = self.rewritten and not source.is_compacted
        schema = SCHEMA if whole else pa.schema([SCHEMA.field(name) for name in self.columns])
        try:
            with pyarrow.parquet.ParquetFile(source.path, page_checksum_verification=True) as file:
                footer = footer_in(file)
                if lacks := check_columns(footer.schema):
                    self.wrong[number] = lacks.removeprefix("has ")
                    return
                if not (source.is_compacted or is_of(source.units[0], footer)):
                    self.wrong[number] = FOREIGN
                    return
                self.makers.setdefault(source.compacted, set()).update(makers_of(footer.schema.metadata or {}))
                threads = footer.rows > PIECE // 10  # they cost more than they save in small files
                for group in range(file.num_row_groups):
                    table = _fitted(file.read_row_group(group, schema.names, use_threads=threads), schema)
                    yield table.append_column(FILE, pa.repeat(pa.scalar(number, pa.int32()), len(table)))
        except FileNotFoundError as error:
            if not source.is_compacted:
                raise StoreError(
                    f"{self.store.show(source.file)} changed meanwhile; give the same command again"
                ) from error
            self.wrong[number] = DAMAGED  # its units' own files are read in its place
        except MemoryError as error:
            raise self._refused(source, in_a_line(error)) from error
        except UNREADABLE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise self._refused(source, os.strerror(error.errno)) from error
            self.wrong[number] = DAMAGED

    def _refused(self, source: Source, why: str) -> StoreError:
        shown = self.store.show(source.file)
        return StoreError(f"{shown} can't be read ({why}); give the same command again once it can")


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """With the columns of the schema; null where it has none."""
    if table.schema.equals(schema):
        return table
    return pa.Table.from_arrays(
        [
            table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
            for field in schema
        ],
        schema=schema,
    )


def count_parts(
    database: duckdb.DuckDBPyConnection,
    select: str,
    pieces: Pieces,
    known: dict[str, Catalogue],
    keep: Callable[[str, pa.Table], None] = lambda name, rows: None,
) -> None:
    """Make the table `parts` of the database: of each file and each Part the number of `images` and the CHECKSUM.

    Args:
        database: where it is made.
        select: its query, of the table `results`, which has the columns of the pieces.
        pieces: the rows.
        known: what the images are, by the data sets' labels.
        keep: what else is done with each of the pieces.

    Raises WrongFilesError, which names all files that can't be read or whose rows are not those of their units.
    """
    empty = pa.schema([SCHEMA.field(name) for name in pieces.columns]).append(pa.field(FILE, pa.int32())).empty_table()
    database.register("results", empty)
    database.execute(f"CREATE TEMP TABLE parts AS {select}")
    for name, rows in pieces:
        database.register("results", rows.select(empty.column_names))
        database.execute(f"INSERT INTO parts {select}")
        keep(name, rows)
    wrong = {number: FOREIGN for number in foreign_files(database, pieces.sources, known)} | pieces.wrong
    if wrong:
        raise WrongFilesError(
            pieces.store, {pieces.sources[number].file: reason for number, reason in sorted(wrong.items())}
        )


def foreign_files(
    database: duckdb.DuckDBPyConnection, sources: Sequence[Source], known: dict[str, Catalogue]
) -> list[int]:
    """The numbers of the files whose rows are not those of their units, by the table `parts` of the database."""
    columns = ", ".join(Part._fields)
    rows = database.execute(
        f"SELECT {FILE}, {columns}, sum(images)::BIGINT, sum(checksum)::HUGEINT FROM parts GROUP BY ALL"
    ).fetchall()
    found: dict[int, dict[Part, tuple[int, int]]] = defaultdict(dict)
    for number, *identity, count, checksum in rows:
        found[number][Part(*identity)] = (count, checksum)
    sums = {label: _running_sums(database, catalogue) for label, catalogue in known.items()}
    trained = {label: catalogue.count("train") for label, catalogue in known.items()}
    wrong = []
    for number, source in enumerate(sources):
        counts, checksums = Counter(), Counter()
        for unit in source.units:
            for part, (count, checksum) in _expected(unit, trained[unit.data_set], sums[unit.data_set]):
                counts[part] += count
                checksums[part] += checksum
        if found[number] != {part: (count, checksums[part]) for part, count in counts.items()}:
            wrong.append(number)
    return wrong


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
    return [0, *accumulate(checksum for (checksum,) in each)]


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


def set_files_aside(store: Store, error: WrongFilesError) -> NoReturn:
    """Move the files out of the way. Raises ResultsError, which says so."""
    drop_compacted(store, error.reasons)
    for file in error.reasons:
        store.set_aside(file)
    raise ResultsError(
        f"{error.what}, and lie{'' if len(error.reasons) > 1 else 's'} in {store.show(SET_ASIDE)} now; memrec run "
        "recovers those images again"
    ) from error
