"""A run's folder, local or in an object store: every file appears whole or not at all.

experiment.yaml                as resolved
images.parquet                 one row an image that was read: what identifies its pixels, and what it is a copy of
plan.parquet                   one row a work unit
checkpoints/<model>/<loss>.safetensors and .json
recovery/<model>/<loss>/<degradation>/<method>/<unit>.parquet, or recovery/generic/<degradation>/...
results/<model>/<loss>.parquet the same rows, of all units of a checkpoint, or results/generic.parquet
failures/<unit>.json           why a unit, or a network's training, was given up
set_aside/                     what was damaged, or is not of the plan
set_aside/recovery/            results that are not asked for now
progress.json                  where the last driver stood, and when; how long all have worked
rates.parquet                  the aggregate
thresholds.parquet             the rates at all thresholds
claims.parquet                 how right methods are about their results; not there where none says anything of them
audit.json                     what follows from the results, of an audit's run
report/index.html              the page
report/images.csv              each image, and how often it came back
report/pictures/               pages of all pictures, where they were asked for; units.txt says of which results
"""

import io
import json
import os
import platform
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from memrec_core.atomic import is_temporary, move_file, write_bytes, write_new_bytes
from memrec_core.errors import InputError, in_a_line
from workflows.errors import StoreError

EXPERIMENT, PLAN, RATES, REPORT = "experiment.yaml", "plan.parquet", "rates.parquet", "report/index.html"
AUDIT = "audit.json"
IMAGES = "images.parquet"
THRESHOLDS, CLAIMS = "thresholds.parquet", "claims.parquet"
RECOVERY, RESULTS, FAILURES, CHECKPOINTS, SET_ASIDE = "recovery", "results", "failures", "checkpoints", "set_aside"
PROGRESS = "progress.json"
COPIES, COPIED = 64, 512
"""How many files are copied from an object store side by side, and after how many they can be read."""
NO_CACHE = {"use_listings_cache": False}
"""What other processes write and remove is seen, whatever was listed before."""
OPTIONS: dict[str, dict[str, Any]] = {
    "gs": NO_CACHE,
    "gcs": NO_CACHE,
    "s3": {
        **NO_CACHE,
        "config_kwargs": {
            "retries": {"mode": "standard", "max_attempts": 8},
            "max_pool_connections": COPIES,
            "connect_timeout": 10,
            "read_timeout": 20,
        },
    },
}
"""How each kind of object store is opened: S3 answers 500 or 503 now and then, and asks its clients to try again."""
BUCKETS = ("s3", "s3a", "gs", "gcs")
"""The kinds of object store in which buckets must be there before anything can be written."""
LONGEST_NAME = 200
"""Bytes of a file's name; file systems allow 255."""
CONNECTIONS = 16
"""How many files are looked at side by side: an object store's answer takes its time, however small the file."""


class Footer(NamedTuple):
    """The number of rows of a Parquet file, and its schema with what its metadata says."""

    rows: int
    schema: pa.Schema


class _Copies(Sequence[str]):
    """Paths of copies that are being made, COPIED of them at a time."""

    def __init__(self, paths: list[str], made: list[Future[None]]) -> None:
        self.paths, self.made = paths, made

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] (no slices)
        path = self.paths[place]
        self.made[place // COPIED].result()
        return path


class Store:
    """Reads and writes a run's files by their name below `uri`, a local path or an object store's (s3://...)."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        if "::" in uri:
            raise InputError(f"run folder {uri} has a :: in it, which chains file systems; choose another --run")
        try:
            self.fs, self.root = fsspec.core.url_to_fs(uri, **OPTIONS.get(uri.partition("://")[0], {}))
        except (ValueError, ImportError) as error:
            raise InputError(
                f"run folder {uri} can't be opened ({error}); give a path or a URI such as s3://..."
            ) from error
        self.is_local = isinstance(self.fs, LocalFileSystem)
        self.location = self.root if self.is_local else uri
        """What opens the same folder in a process with another working directory."""
        self.errors = OSError if self.is_local else Exception
        """What a read or write may end with; the client of an object store has classes of its own, for want of
        credentials or of an answer."""

    def __reduce__(self) -> tuple[type["Store"], tuple[str]]:
        return Store, (self.location,)

    def path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"

    def show(self, name: str) -> str:
        """The name as a user would type it."""
        return f"{self.uri.rstrip('/')}/{name}"

    def exists(self, name: str) -> bool:
        with self._reading(name):
            return self.fs.exists(self.path(name))

    def is_file(self, name: str) -> bool:
        with self._reading(name):
            return self.fs.isfile(self.path(name))

    def is_folder(self, name: str) -> bool:
        """Whether a folder is where a file should be; an object store has none."""
        return self.is_local and self.fs.isdir(self.path(name))

    def holds_something(self) -> bool:
        """Whether it is a file, or a folder with anything but a run's first file that is being written, or was when
        its driver was killed."""
        with self._reading(""):
            if self.fs.isfile(self.root):
                return True
            names = (path.rstrip("/").rpartition("/")[2] for path in self.fs.ls(self.root, detail=False))
            return not all(is_temporary(name, EXPERIMENT) for name in names)

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError where there is no such file."""
        with self._reading(name):
            return self.fs.cat_file(self.path(name))

    def check_bucket(self) -> None:
        """Raises InputError where the run's bucket does not exist: no run is there, nor can be."""
        if self.uri.partition("://")[0] not in BUCKETS:
            return
        bucket = self.root.partition("/")[0]
        try:
            self.fs.info(bucket)
        except FileNotFoundError as error:
            raise InputError(
                f"the bucket {bucket} of {self.uri} does not exist; create it, or give the name of one that does"
            ) from error
        except self.errors:  # one may have rights to the run alone
            return

    def check_shared(self) -> None:
        """Raises InputError where this machine does not see the run's folder that the driver made."""
        if not self.exists(EXPERIMENT):
            raise InputError(
                f"{platform.node()} does not see the run's folder {self.uri}; choose a --run that all nodes share, "
                "such as a bucket"
            )

    def write(self, name: str, data: bytes) -> None:
        """Local: a temporary file, fsync, rename. Object store: one upload, which is atomic there."""
        with self._writing(name):
            if self.is_local:
                write_bytes(Path(self.path(name)), data)
            else:
                self.fs.pipe_file(self.path(name), data)

    def write_new(self, name: str, data: bytes) -> bool:
        """The same, where there is no such file yet; of several drivers one succeeds. Returns whether it did."""
        with self._writing(name):
            if self.is_local:
                return write_new_bytes(Path(self.path(name)), data)
            try:
                self.fs.pipe_file(self.path(name), data, mode="create")
            except FileExistsError:
                return False
            return True

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except self.errors as error:
            raise StoreError(
                f"{self.show(name)} can't be written ({in_a_line(error)}); free the disk, or mend what refuses "
                "it, and give the same command again: what is already written stays valid"
            ) from error

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except self.errors as error:
            raise StoreError(
                f"{self.show(name)} can't be read ({in_a_line(error)}); give the same command again once it can"
            ) from error

    def put(self, name: str, path: str) -> None:
        """Put a file of this machine there, or in place of what is there: it appears whole. It lies in the run's folder
        where that is local, and is moved."""
        with self._writing(name):
            if self.is_local:
                move_file(Path(path), Path(self.path(name)))
            else:
                self.fs.put_file(path, self.path(name))

    def remove(self, name: str) -> None:
        with self._writing(name), suppress(FileNotFoundError):  # another driver may have been first
            if self.exists(name):
                self.fs.rm_file(self.path(name))

    def remove_all(self, names: Iterable[str]) -> None:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(self.remove, names))

    def names(self, folder: str, suffix: str) -> list[str]:
        """The files below `folder` that end in `suffix`, sorted; temporary ones are left out."""
        found = self._found(folder)
        return sorted(name for name in found if name.endswith(suffix) and not name.rpartition("/")[2].startswith("."))

    def marks(self, folder: str) -> dict[str, str]:
        """By the name of each file below `folder` what changes when it is written anew, as a listing says it: the
        size, and an object's tag, or the time of the last change."""
        return {name: _mark(known) for name, known in self._found(folder).items()}

    def _found(self, folder: str) -> dict[str, dict[str, Any]]:
        """What a listing says of the files below a folder, by their names; nothing where there is no such folder."""
        self.fs.invalidate_cache()
        skip = len(self.path(""))
        try:
            with self._reading(folder):
                found = self.fs.find(self.path(folder), detail=True)
        except FileNotFoundError:
            return {}
        return {self.fs._strip_protocol(path)[skip:]: known for path, known in found.items()}

    def write_table(self, name: str, table: pa.Table) -> None:
        self.write(name, _parquet(table))

    def write_new_table(self, name: str, table: pa.Table) -> bool:
        """The same, as `write_new` does it."""
        return self.write_new(name, _parquet(table))

    def read_table(self, name: str) -> pa.Table:
        try:
            return pq.read_table(pa.BufferReader(self.read(name)), page_checksum_verification=True)
        except (OSError, ValueError) as error:  # Arrow's own errors are of both
            raise InputError(f"{self.show(name)} is not readable Parquet ({error}); remove it and run again") from error

    @contextmanager
    def local_paths(self, names: Sequence[str]) -> Iterator[Sequence[str]]:
        """Where the files lie on this machine for the length of the block: their own place, or, of an object store's,
        copies, which need the disk's room. They are copied one after the other, and asking for a path waits for its
        copy. Arrow's threads read copies, since they may hang where they call Python."""
        if self.is_local or not names:
            yield list(map(self.path, names))
            return
        with TemporaryDirectory(prefix="memrec-") as folder, ThreadPoolExecutor(1) as copying:
            paths = [f"{folder}/{number}.parquet" for number in range(len(names))]
            starts = range(0, len(names), COPIED)
            parts = [slice(start, start + COPIED) for start in starts]
            try:
                yield _Copies(paths, [copying.submit(self._copy, names[part], paths[part], folder) for part in parts])
            finally:
                copying.shutdown(cancel_futures=True)

    def _copy(self, names: Sequence[str], paths: list[str], folder: str) -> None:
        try:
            self.fs.get(list(map(self.path, names)), paths, batch_size=COPIES)
        except FileNotFoundError as error:
            raise StoreError(
                f"a file of {self.uri} went while it was read, as a job or memrec aggregate changed it "
                f"({in_a_line(error)}); give the same command again"
            ) from error
        except self.errors as error:
            raise StoreError(
                f"the results in {self.uri} can't be copied to {folder} ({in_a_line(error)}); see that "
                "there is room, or choose another disk with TMPDIR, and give the same command again"
            ) from error

    def footer(self, name: str) -> Footer | None:
        """What the footer of a Parquet file says; None where it is not whole."""
        try:
            with self._reading(name), self.fs.open(self.path(name), "rb") as file:
                return _footer(file)
        except (FileNotFoundError, ValueError):  # Arrow's own are ValueErrors
            return None
        except StoreError:  # Arrow has the same errors for a damaged footer: read what can be read, then look
            data = pa.BufferReader(self.read(name))
        try:
            return _footer(data)
        except (OSError, ValueError):
            return None

    def footers(self, names: list[str]) -> list[Footer | None]:
        """`footer` of each of them, in their order."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return list(pool.map(self.footer, names))

    def set_aside(self, name: str) -> str:
        """Move a file or folder that does not belong where it is out of the way of readers; returns its new name."""
        flat = name.replace("/", "_")
        new = f"{SET_ASIDE}/{flat}"
        while len(flat.encode()) > LONGEST_NAME or self.exists(new):  # nothing that was set aside before is lost
            flat = f"{uuid.uuid4().hex[:8]}_{flat[-LONGEST_NAME // 4 :]}"
            new = f"{SET_ASIDE}/{flat}"
        with self._writing(new), suppress(FileNotFoundError):  # another driver may have been first
            self.fs.makedirs(self.path(SET_ASIDE), exist_ok=True)
            if self.is_local:
                os.rename(self.path(name), self.path(new))
            else:
                self.fs.mv(self.path(name), self.path(new))
        return new

    def move(self, places: Mapping[str, str]) -> None:
        """Give files other names; one that is there by that name already is replaced."""

        def move_one(name: str) -> None:
            with self._writing(places[name]), suppress(FileNotFoundError):  # another driver may have been first
                if self.is_local:
                    Path(self.path(places[name])).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(self.path(name), self.path(places[name]))
                else:
                    self.fs.mv(self.path(name), self.path(places[name]))

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(move_one, places))

    def record_failure(self, what: str, reason: str) -> None:
        """Keep why a unit, or the training of a network, was given up; `what` is its name."""
        self.write(f"{FAILURES}/{what}.json", json.dumps({"what": what, "reason": reason}).encode())

    def forget_failure(self, what: str) -> None:
        """It is tried again, or no longer asked for."""
        self.remove(f"{FAILURES}/{what}.json")

    def failures(self) -> dict[str, str]:
        """The reason by name, of what was given up."""
        found = {}
        for name in self.names(FAILURES, ".json"):
            with suppress(FileNotFoundError):  # another driver may have taken it up again
                try:
                    entry = json.loads(self.read(name))
                    found[entry["what"]] = entry["reason"]
                except (ValueError, TypeError, KeyError) as error:
                    raise InputError(
                        f"{self.show(name)} is not a failure that memrec recorded ({error}); remove it, and give the "
                        "same command again"
                    ) from error
        return found


def _mark(known: Mapping[str, Any]) -> str:
    tags = [known[key] for key in ("ETag", "etag", "mtime", "created") if known.get(key)]
    return f"{known.get('size')} {str(tags[0]) if tags else ''}"


def footer_of(path: str) -> Footer | None:
    """What the footer of a Parquet file of this machine says; None where it is not whole."""
    try:
        return _footer(path)
    except (OSError, ValueError):
        return None


def _footer(source: Any) -> Footer:
    with pq.ParquetFile(source) as parquet:
        return footer_in(parquet)


def footer_in(parquet: pq.ParquetFile) -> Footer:
    """What its footer says, with what was added to its metadata as it was closed, which the schema does not have."""
    schema, metadata = parquet.schema_arrow, parquet.metadata
    return Footer(metadata.num_rows, schema.with_metadata({**(metadata.metadata or {}), **(schema.metadata or {})}))


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()
