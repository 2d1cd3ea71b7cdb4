"""Files that appear whole or not at all."""

import os
import uuid
from collections.abc import Callable
from pathlib import Path


def write_bytes(path: Path, data: bytes, durable: bool = True) -> None:
    """Write `data` to `path`, so that after a kill there is the old file, the new one or none; and after a power cut,
    unless it need not be `durable`: that takes a disk's time for each file.

    The temporary name starts with a dot, which Parquet readers ignore. Raises OSError, and leaves no temporary file
    behind, when the disk is full or the folder can't be written.
    """
    _write(path, data, os.replace, durable)


def write_new_bytes(path: Path, data: bytes) -> bool:
    """The same, but only where there is no such file yet; of several writers one succeeds. Returns whether it did."""
    try:
        _write(path, data, os.link, durable=True)
    except FileExistsError:
        return False
    return True


def move_file(source: Path, path: Path) -> None:
    """Give a whole file of the same disk the name `path`, in place of what is there; it is on the disk by then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(source, path)
    _sync_folder(path.parent)


def is_temporary(name: str, final: str) -> bool:
    """Whether a file's name is one that a file has while it is written that will be called `final`."""
    return name.startswith(f".{final}.") and name.endswith(".tmp")


def _write(path: Path, data: bytes, place: Callable[[Path, Path], None], durable: bool) -> None:
    """Write a temporary file beside `path`, and let `place` give it that name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    """A name in it is on the disk afterwards."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
