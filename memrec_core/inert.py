"""What stands for the classes that a torch file names beside its tensors, such as those of its hyperparameters.

Nothing of the modules that it names is imported. A stand-in takes what its class would be given, and keeps nothing.
"""

import io
from collections.abc import Iterable
from typing import Any

from torch.serialization import get_unsafe_globals_in_checkpoint

DICTS = ("builtins.dict", "collections.defaultdict", ".AttributeDict")
"""How the names of dicts end whose entries torch's reader sets one by one."""
TYPES = {
    "bool",
    "bytes",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "object",
    "range",
    "slice",
    "str",
    "tuple",
    "type",
}
"""What is harmless among builtins."""
DOERS = {
    *("builtins", "code", "ctypes", "importlib", "io", "operator", "pickle", "runpy", "sys"),
    *("multiprocessing", "nt", "os", "posix", "pty", "shutil", "subprocess", "tempfile"),
    *("asyncio", "http", "socket", "urllib", "webbrowser"),
}
"""Modules that run programs, change files or reach other modules. What a file names of them would do nothing here, but
no file of weights has reason to."""


class Inert:
    """An object of a class that was not looked for; `name` is the class's."""

    name = ""

    def __new__(cls, *arguments: Any, **options: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class InertDict(Inert):
    """A dict instead, whatever it is made of."""

    def __new__(cls, *arguments: Any, **options: Any) -> Any:
        return {}


def classes_in(data: bytes) -> list[str]:
    """The classes and functions that a torch file names and torch's reader of weights does not know, sorted; none for
    what is no zip of torch's, which that reader then refuses."""
    try:
        return sorted(get_unsafe_globals_in_checkpoint(io.BytesIO(data)))
    except Exception:  # of a damaged or forged file it fails in many ways
        return []


def doer_in(names: Iterable[str]) -> str | None:
    """The first of them that is made to do something rather than to hold something."""
    for name in names:
        module, _, own = name.partition(".")
        if module in DOERS and not (module == "builtins" and own in TYPES):
            return name
    return None


def stand_ins(names: Iterable[str]) -> list[tuple[Any, str]]:
    """A stand-in for each, as torch's `safe_globals` takes them."""
    return [(type("Inert", (InertDict if name.endswith(DICTS) else Inert,), {"name": name}), name) for name in names]
