"""What writers leave that were killed as they wrote: nobody goes on with it, and nothing else removes it."""

import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from workflows.run.store import CHECKPOINTS, RECOVERY, Store

FORGOTTEN_S = 3600
"""When a file that was being written counts as a dead writer's. A younger one may be another driver's."""


def remove_unfinished(store: Store) -> None:
    """Remove the files below checkpoints/ and recovery/ that were never written to their end; an object store has
    none."""
    if store.is_local:
        for folder in (CHECKPOINTS, RECOVERY):
            remove_dead(Path(store.path(folder)).rglob(".*.tmp"), _is_forgotten)


def remove_dead(places: Iterable[Path], is_dead: Callable[[Path], bool]) -> None:
    """Remove those of the files and folders whose writers are dead, as far as one may."""
    for place in list(places):
        with suppress(OSError):  # another driver may have been first
            if not is_dead(place):
                continue
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink()


def _is_forgotten(file: Path) -> bool:
    return file.is_file() and time.time() - file.stat().st_mtime > FORGOTTEN_S
