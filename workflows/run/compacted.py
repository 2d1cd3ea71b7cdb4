"""results/: the rows of each checkpoint in one large file, beside the small ones of its units: few requests read them.

`aggregate` writes results/<model>/<loss>.parquet and results/generic.parquet, each with the names of its units and the
marks that their files had. One is read in their place as long as just these are there, and dropped once they change.
"""

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from memrec_core.errors import in_a_line
from workflows.errors import ResultsError, StoreError
from workflows.run.heartbeat import Heartbeat
from workflows.run.remains import remove_dead
from workflows.run.schema import MAKERS, SCHEMA, VERSION, VERSION_KEY, Maker
from workflows.run.store import PROGRESS, RECOVERY, RESULTS, Footer, Store, footer_of
from workflows.run.unit import Unit
from workflows.terminal import say

UNITS = b"memrec_units"
"""In a file's metadata: the names of its units, in the order of their rows, each with its file's mark, as JSON."""
REPEATED = [field.name for field in SCHEMA if field.type == pa.string()]
"""The columns with few values, of which a dictionary saves room."""
UNFINISHED, FORGOTTEN_S = ".compacted-", 86_400
"""The folders in which files are written until they are whole, and when one counts as a dead aggregation's whose
process can't be looked up from here."""
Found = TypeVar("Found")


class Source(NamedTuple):
    """A file with rows of a run: its name in the run's folder, its place among the `paths` of this machine, and whose
    rows it has, with the marks of these units' files. `compacted` is the file of all units of the checkpoint, there or
    not."""

    file: str
    paths: Sequence[str]
    place: int
    units: tuple[Unit, ...]
    marks: tuple[str, ...]
    compacted: str

    @property
    def path(self) -> str:
        """Where it lies; waits until it does."""
        return self.paths[self.place]

    @property
    def is_compacted(self) -> bool:
        return self.file == self.compacted


class WrongFilesError(ResultsError):
    """Files that are damaged or not their units': by the name of each, what is wrong with it."""

    def __init__(self, store: Store, reasons: dict[str, str]) -> None:
        self.reasons, self.what = reasons, _described(store, reasons)
        super().__init__(f"{self.what}; memrec run sets aside what is wrong, and recovers those images again")


def compacted_file(folder: str) -> str:
    """The file that has the rows of all units in a checkpoint's folder."""
    return f"{RESULTS}{folder.removeprefix(RECOVERY)}.parquet"


@contextmanager
def sources_of(store: Store, units: Iterable[Unit], without: Collection[str] = ()) -> Iterator[list[Source]]:
    """The files that have the rows of the units, for the length of the block: of each checkpoint the compacted one,
    where it has just these units, and the units' own else. The units of a checkpoint come together, in their order."""
    by_file: dict[str, list[Unit]] = {}
    for unit in units:
        by_file.setdefault(compacted_file(unit.folder), []).append(unit)
    marks = store.marks(RECOVERY)
    there = [name for name in store.names(RESULTS, ".parquet") if name in by_file and name not in without]
    with ExitStack() as stack:
        paths = stack.enter_context(store.local_paths(there))
        compacted = [_source(name, paths, place, by_file[name], marks, name) for place, name in enumerate(there)]
        current = {source.file: source for source in compacted if _is_current(source)}
        loose = [(name, unit) for name, among in by_file.items() if name not in current for unit in among]
        paths = stack.enter_context(store.local_paths([unit.file for _, unit in loose]))
        yield [
            *current.values(),
            *(_source(unit.file, paths, place, [unit], marks, name) for place, (name, unit) in enumerate(loose)),
        ]


def _source(
    file: str, paths: Sequence[str], place: int, units: list[Unit], marks: Mapping[str, str], compacted: str
) -> Source:
    return Source(file, paths, place, tuple(units), tuple(marks.get(unit.file, "") for unit in units), compacted)


def read_from(store: Store, units: Sequence[Unit], read: Callable[[list[Source]], Found], mend: bool = False) -> Found:
    """What is made of the files that have the units' rows. In place of a compacted one with which something is wrong
    its units' own are read; to `mend`, it is removed as well. Raises WrongFilesError for units' files."""
    without: set[str] = set()
    while True:
        with sources_of(store, units, without) as sources:
            try:
                return read(sources)
            except WrongFilesError as error:
                compacted = {source.file for source in sources if source.is_compacted} & error.reasons.keys()
                if not compacted:
                    raise
        without |= compacted
        if mend:
            with suppress(StoreError):  # one may only read the run
                _remove(store, compacted)


def drop_compacted(store: Store, files: Iterable[str]) -> None:
    """Remove what was compacted of the checkpoints to which these units' files belong: their units change."""
    changing = {compacted_file(file.rsplit("/", 3)[0]) for file in files}
    if not changing:
        return
    _remove(store, changing & set(store.names(RESULTS, ".parquet")))


def keep_compacted(store: Store, done: Iterable[Unit], left: Iterable[Unit]) -> None:
    """Remove what was compacted of all checkpoints but those of the plan of which no unit is left to do, and of these
    what was compacted before all of their units were there."""
    unfinished, units = {unit.folder for unit in left}, dict[str, set[str]]()
    for unit in done:
        if unit.folder not in unfinished:
            units.setdefault(compacted_file(unit.folder), set()).add(unit.name)
    names = store.names(RESULTS, ".parquet")
    footers = zip(names, store.footers(names), strict=True)
    _clear(store, [name for name, footer in footers if name not in units or _names(footer) != units[name]])


def _names(footer: Footer | None) -> set[str]:
    """Those of the units whose rows a compacted file has."""
    return set(_marks((footer and footer.schema.metadata) or {}) or ())


def _clear(store: Store, names: Collection[str]) -> None:
    """Remove what was compacted; what is of somebody else is set aside, with a word."""
    for name, footer in zip(names, store.footers(list(names)), strict=True):
        if footer is not None and UNITS in (footer.schema.metadata or {}):
            store.remove(name)
        else:
            say(f"set aside: {store.show(name)} is none of this run's results; it is {store.set_aside(name)} now")


def _remove(store: Store, names: Iterable[str]) -> None:
    for name in names:
        store.remove(name)


def _is_current(source: Source) -> bool:
    """Whether a compacted file, by its footer, is whole and has just the rows of its units' files as they are now."""
    footer = footer_of(source.path)
    if footer is None or footer.rows != sum(map(len, source.units)) or footer.schema.names != SCHEMA.names:
        return False
    names = [unit.name for unit in source.units]
    said = footer.schema.metadata or {}
    if said.get(VERSION_KEY) != VERSION.encode() or MAKERS not in said:
        return False
    return _marks(said) == dict(zip(names, source.marks, strict=True))


def _marks(metadata: Mapping[bytes, bytes]) -> dict[str, str] | None:
    """By the names of its units the marks of their files, as a compacted file has them."""
    try:
        return dict(json.loads(metadata[UNITS]))
    except (KeyError, ValueError, TypeError):
        return None


class Compaction:
    """Compacts rows as they are read, beside that in a thread, and puts the files where they belong once all of them
    were found right.

    A disk that refuses is remembered until then, so that what is made of the rows beside is not lost with it.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.refusal: OSError | None = None
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None
        self._folder: TemporaryDirectory[str] | None = None
        self._current: set[str] = set()
        self._marks: dict[str, dict[str, str]] = {}
        self._written: dict[str, str] = {}
        self._makers: Mapping[str, Collection[Maker]] = {}
        self._writer: pq.ParquetWriter | None = None
        self._name = ""

    def __enter__(self) -> "Compaction":
        if self.store.is_local:
            remove_dead(Path(self.store.root).glob(f"{UNFINISHED}*"), _is_dead)
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()
        with suppress(OSError):
            self._end_file()
        if self._folder is not None:
            self._folder.cleanup()

    def begin(self, sources: Iterable[Source], makers: Mapping[str, Collection[Maker]]) -> None:
        """Rows of these files come, those of a checkpoint together; what came before does not count. By the name of a
        compacted file `makers` has what has made its rows, once they have come."""
        self._wait()
        self._end_file()
        self._marks, self._written, self._current, self._makers = {}, {}, set(), makers
        for source in sources:
            if source.is_compacted:
                self._current.add(source.file)
                continue
            marks = zip((unit.name for unit in source.units), source.marks, strict=True)
            self._marks.setdefault(source.compacted, {}).update(marks)

    def add(self, name: str, rows: pa.Table) -> None:
        """Rows of a compacted file, as one of its row groups; nothing is done where it is there already."""
        self._wait()  # rows that wait take memory
        if self.refusal is None and name not in self._current:
            self._writing = self._thread.submit(self._write, name, rows)

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()

    def _write(self, name: str, rows: pa.Table) -> None:
        try:
            if name != self._name:
                self._end_file()
                self._begin_file(name)
            assert self._writer is not None
            self._writer.write_table(rows.select(SCHEMA.names))
        except OSError as error:
            self.refusal = error

    def publish(self) -> None:
        """Put the files where they belong, and remove those of other checkpoints. Raises StoreError."""
        self._wait()
        if self.refusal is None:
            try:
                self._end_file()
            except OSError as error:
                self.refusal = error
        if self.refusal is not None:
            raise StoreError(
                f"{self.store.show(RESULTS)} can't be written ({in_a_line(self.refusal)}); the rates are written: free "
                "the disk, or mend what refuses it, and aggregate again"
            ) from self.refusal
        for name, path in self._written.items():
            self.store.put(name, path)
        _clear(self.store, set(self.store.names(RESULTS, ".parquet")) - self._current - self._marks.keys())

    def _begin_file(self, name: str) -> None:
        if self._folder is None:  # where it need not be copied afterwards
            place = self.store.root if self.store.is_local else None
            self._folder = TemporaryDirectory(prefix=UNFINISHED, dir=place)
            Path(self._folder.name, PROGRESS).write_bytes(Heartbeat("running", datetime.now(UTC)).to_json())
        schema = SCHEMA.with_metadata({**SCHEMA.metadata, UNITS: json.dumps(self._marks[name]).encode()})
        path = str(Path(self._folder.name, f"{len(self._written)}.parquet"))
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            use_dictionary=REPEATED,  # pyright: ignore[reportArgumentType] (of one or more columns too)
            write_page_checksum=True,
        )
        self._name, self._written[name] = name, path

    def _end_file(self) -> None:
        writer, name = self._writer, self._name
        self._writer, self._name = None, ""
        if writer is not None:
            writer.add_key_value_metadata({MAKERS: json.dumps(sorted(self._makers.get(name, ())))})
            writer.close()


def _is_dead(folder: Path) -> bool:
    """Whether its aggregation's process is no more, or nothing was written for a day."""
    written = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    if time.time() - written > FORGOTTEN_S:
        return True
    try:
        return Heartbeat.of((folder / PROGRESS).read_bytes()).is_dead
    except ValueError:
        return False


def _described(store: Store, reasons: dict[str, str]) -> str:
    """For each reason the first of its files, and how many more there are: `a and 2 more had damaged rows`."""
    files: dict[str, list[str]] = {}
    for file, reason in reasons.items():
        files.setdefault(reason, []).append(file)
    return ", ".join(
        f"{store.show(first)}{f' and {len(others)} more' if others else ''} had {reason}"
        for reason, (first, *others) in files.items()
    )
