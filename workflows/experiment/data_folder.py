"""Where the data sets lie when an experiment does not say, and how to fetch them."""

import os
import socket
import zlib
from http.client import HTTPException
from pathlib import Path
from tarfile import TarError
from zipfile import BadZipFile

from memrec_core.datasets.archives import best
from memrec_core.errors import InputError, in_a_line
from memrec_core.torchvision_import import import_torchvision

VARIABLE = "MEMREC_DATA"
FOLDERS = ("data", "../shared/data")
PLACES = {"tiny_imagenet": "tiny-imagenet-200*", "cifar10": "cifar-10-batches-py", "svhn": "svhn"}
"""The name of each data set below the data folder; of several that match, the best as archives.best has it."""
FETCHED = ("cifar10", "svhn")
SILENCE = 60.0
"""After so many seconds without a byte, a server is given up."""
FAILURES = (OSError, RuntimeError, ValueError, EOFError, HTTPException, TarError, BadZipFile, zlib.error)
"""Of a network, of a server that answers nonsense or breaks off, of an archive that was cut short on the way."""


def default_root(name: str) -> str | None:
    """The data set's root below $MEMREC_DATA, or below `data` or `../shared/data`; None for one that needs none.

    Raises InputError where it lies in none of them.
    """
    if name not in PLACES:
        return None
    folders = [os.environ[VARIABLE]] if VARIABLE in os.environ else list(FOLDERS)
    for folder in folders:
        if found := best(_expanded(folder).glob(PLACES[name])):
            return str(found.resolve())
    fetch = ", or fetch it with --download" if name in FETCHED else ""
    raise InputError(
        f"data set {name} is not in {' or '.join(folders)} (as {PLACES[name]}); give its place with "
        f"--set data.root=PATH, name the folder that holds it in {VARIABLE}{fetch}"
    )


def _expanded(folder: str) -> Path:
    try:
        return Path(folder).expanduser()
    except RuntimeError as error:
        raise InputError(f"{VARIABLE}={folder} names the home folder of nobody on this machine") from error


def download(names: list[str]) -> None:
    """Fetch those of the data sets that can be fetched. Raises InputError where none can be, or the network fails."""
    for name in [name for name in names if name in FETCHED] or names[:1]:
        _download(name)


def _download(name: str) -> None:
    """Fetch CIFAR-10 or SVHN from its publisher, through torchvision, into $MEMREC_DATA or `data`; what is there and
    whole is not fetched again. Raises InputError for another data set, and where the network fails."""
    if name not in FETCHED:
        raise InputError(f"--download can fetch cifar10 and svhn, not {name}; fetch that one from its publisher")
    folder = _expanded(os.environ.get(VARIABLE, FOLDERS[0]))
    datasets = import_torchvision().datasets
    silence = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        if name == "cifar10":
            datasets.CIFAR10(folder, download=True)
        else:
            for split in ("train", "test"):
                datasets.SVHN(folder / PLACES["svhn"], split=split, download=True)
    except FAILURES as error:
        raise InputError(
            f"data set {name} can't be fetched to {folder} ({in_a_line(error)}); check the network, or give its place "
            "with --set data.root=PATH"
        ) from error
    finally:
        socket.setdefaulttimeout(silence)
