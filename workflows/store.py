"""A run's folder, local or in an object store: every file appears whole or not at all.

experiment.yaml                as resolved
plan.parquet                   one row a work unit
checkpoints/<model>/<loss>.safetensors and .json
recovery/<model>/<loss>/<degradation>/<method>/<unit>.parquet, or recovery/generic/<degradation>/...
failures/<unit>.json           why a unit was given up
rates.parquet                  the aggregate
thresholds.parquet             the rates at all thresholds
report/index.html
"""

import io
import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from memrec_core.atomic import write_bytes
from memrec_core.errors import InputError
from workflows.experiment import Experiment, parse

EXPERIMENT, PLAN, RATES, REPORT = "experiment.yaml", "plan.parquet", "rates.parquet", "report/index.html"
THRESHOLDS = "thresholds.parquet"
RECOVERY, FAILURES, CHECKPOINTS = "recovery", "failures", "checkpoints"


class Store:
    """Reads and writes a run's files by their name below `uri`, a local path or an object store's (s3://...)."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        try:
            self.fs, self.root = fsspec.core.url_to_fs(uri)
        except (ValueError, ImportError) as error:
            raise InputError(
                f"run folder {uri} can't be opened ({error}); give a path or a URI such as s3://..."
            ) from error
        self.is_local = isinstance(self.fs, LocalFileSystem)

    def path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"

    def show(self, name: str) -> str:
        """The name as a user would type it."""
        return f"{self.uri.rstrip('/')}/{name}"

    def exists(self, name: str) -> bool:
        return self.fs.exists(self.path(name))

    def read(self, name: str) -> bytes:
        return self.fs.cat_file(self.path(name))

    def write(self, name: str, data: bytes) -> None:
        """Local: a temporary file, fsync, rename. Object store: one upload, which is atomic there."""
        try:
            if self.is_local:
                write_bytes(Path(self.path(name)), data)
            else:
                self.fs.pipe_file(self.path(name), data)
        except OSError as error:
            raise InputError(
                f"{self.show(name)} can't be written ({error.strerror or error}); "
                "free the disk or choose another --run: what is already written stays valid"
            ) from error

    def remove(self, name: str) -> None:
        if self.exists(name):
            self.fs.rm_file(self.path(name))

    def names(self, folder: str, suffix: str) -> list[str]:
        """The files below `folder` that end in `suffix`, sorted; temporary ones are left out."""
        self.fs.invalidate_cache()
        if not self.exists(folder):
            return []
        skip = len(self.path(""))
        paths = (self.fs._strip_protocol(path)[skip:] for path in self.fs.find(self.path(folder)))
        return sorted(p for p in paths if p.endswith(suffix) and not p.rpartition("/")[2].startswith("."))

    def write_table(self, name: str, table: pa.Table) -> None:
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self.write(name, buffer.getvalue())

    def read_table(self, name: str) -> pa.Table:
        try:
            return pq.read_table(io.BytesIO(self.read(name)))
        except (OSError, pa.ArrowInvalid) as error:
            raise InputError(f"{self.show(name)} is not readable Parquet ({error}); remove it and run again") from error

    def rows(self, name: str) -> tuple[int, pa.Schema] | None:
        """The number of rows and the schema of a Parquet file, from its footer; None where it is not whole."""
        try:
            with self.fs.open(self.path(name), "rb") as file:
                parquet = pq.ParquetFile(file)
                return parquet.metadata.num_rows, parquet.schema_arrow
        except FileNotFoundError:
            return None
        except pa.ArrowInvalid:
            return None

    def record_failure(self, unit: str, reason: str) -> None:
        self.write(f"{FAILURES}/{unit}.json", json.dumps({"unit": unit, "reason": reason}).encode())

    def failures(self) -> dict[str, str]:
        """The reason by unit, of those that were given up."""
        entries = [json.loads(self.read(name)) for name in self.names(FAILURES, ".json")]
        return {entry["unit"]: entry["reason"] for entry in entries}


def is_claimed(store: Store, experiment: Experiment) -> bool:
    """Whether the run's folder is this experiment's; False where it is new or empty.

    Raises InputError where it belongs to another experiment, or to something else.
    """
    if store.exists(EXPERIMENT):
        other = experiment_of(store)
        if other.digest != experiment.digest:
            raise InputError(
                f"run folder {store.uri} belongs to another experiment ({other.name}, digest {other.digest}, not "
                f"{experiment.name}, {experiment.digest}); choose another --run, or repeat its own experiment"
            )
        return True
    if store.exists("") and (store.fs.isfile(store.root) or store.fs.ls(store.root)):
        raise InputError(f"{store.uri} exists and is not a run of memrec; choose a --run folder that is new or empty")
    return False


def claim(store: Store, experiment: Experiment) -> None:
    """Make the run's folder this experiment's; raises as `is_claimed` does."""
    if not is_claimed(store, experiment):
        store.write(EXPERIMENT, experiment.to_yaml().encode())


def experiment_of(store: Store) -> Experiment:
    """The experiment that a run's folder belongs to."""
    if not store.exists(EXPERIMENT):
        raise InputError(f"{store.uri} is not a run of memrec: it has no {EXPERIMENT}; give the folder of --run")
    return parse(store.read(EXPERIMENT).decode(errors="replace"), store.show(EXPERIMENT))
