"""Files that appear whole or not at all."""

import os
import uuid
from collections.abc import Callable
from pathlib import Path


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, so that after a kill or a power cut there is the old file, the new one or none.

    The temporary name starts with a dot, which Parquet readers ignore. Raises OSError, and leaves no temporary file
    behind, when the disk is full or the folder can't be written.
    """
    _write(path, data, os.replace)


def write_new_bytes(path: Path, data: bytes) -> bool:
    """The same, but only where there is no such file yet; of several writers one succeeds. Returns whether it did."""
    try:
        _write(path, data, os.link)
    except FileExistsError:
        return False
    return True


def _write(path: Path, data: bytes, place: Callable[[Path, Path], None]) -> None:
    """Write a temporary file beside `path`, and let `place` give it that name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
