"""Where the data sets lie when an experiment does not say, and how to fetch them."""

import os
import socket
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from tarfile import TarError
from zipfile import BadZipFile

from memrec_core.datasets import DATA_SETS
from memrec_core.datasets.archives import best
from memrec_core.errors import InputError, in_a_line

VARIABLE = "MEMREC_DATA"
FOLDERS = ("data", "../shared/data")
SILENCE = 60.0
"""After so many seconds without a byte, a server is given up."""
FAILURES = (OSError, RuntimeError, ValueError, EOFError, HTTPException, TarError, BadZipFile, zlib.error)
"""Of a network, of a server that answers nonsense or breaks off, of an archive that was cut short on the way."""


def default_root(name: str) -> str | None:
    """The data set's root below $MEMREC_DATA, or below `data` or `../shared/data`; None for one that has no place
    there. Of several that may be it, the best as archives.best has it.

    Raises InputError where it lies in none of them.
    """
    data_set = DATA_SETS[name]
    if data_set.place is None:
        return None
    folders = [os.environ[VARIABLE]] if VARIABLE in os.environ else list(FOLDERS)
    for folder in folders:
        if found := best(_expanded(folder).glob(data_set.place)):
            return str(found.resolve())
    fetch = ", or fetch it with --download" if data_set.fetch else ""
    raise InputError(
        f"data set {name} is not in {' or '.join(folders)} (as {data_set.place}); give its place with "
        f"--set data.root=PATH, name the folder that holds it in {VARIABLE}{fetch}"
    )


def _expanded(folder: str) -> Path:
    try:
        return Path(folder).expanduser()
    except RuntimeError as error:
        raise InputError(f"{VARIABLE}={folder} names the home folder of nobody on this machine") from error


def download(names: list[str]) -> None:
    """Fetch those of the data sets that can be fetched. Raises InputError where none can be, or the network fails."""
    fetched = {name: data_set.fetch for name, data_set in DATA_SETS.items() if data_set.fetch}
    if not any(name in fetched for name in names):
        raise InputError(
            f"--download can fetch {' and '.join(fetched)}, not {names[0]}; fetch that one from its publisher"
        )
    for name in names:
        if name in fetched:
            _download(name, fetched[name])


def _download(name: str, fetch: Callable[[Path], None]) -> None:
    """Fetch a data set into $MEMREC_DATA or `data`. Raises InputError where the network fails."""
    folder = _expanded(os.environ.get(VARIABLE, FOLDERS[0]))
    silence = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        fetch(folder)
    except FAILURES as error:
        raise InputError(
            f"data set {name} can't be fetched to {folder} ({in_a_line(error)}); check the network, or give its place "
            "with --set data.root=PATH"
        ) from error
    finally:
        socket.setdefaulttimeout(silence)
