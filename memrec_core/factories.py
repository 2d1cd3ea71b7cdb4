"""Functions by name, `package.module:function`: code that the user has installed, never code from a data file."""

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from typing import Any

from torch import nn

from memrec_core.errors import InputError, in_a_line, shown, unknown

PATTERN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)

DOERS = {
    *(sys.stdlib_module_names - {"test"}),
    *("torch", "numpy", "pandas", "joblib", "dill", "cloudpickle", "ray", "pip", "setuptools", "pytest", "_pytest"),
    *("yaml", "ruamel", "sympy", "mpmath", "networkx", "scipy", "skimage", "matplotlib", "PIL", "imageio", "tifffile"),
    *("jinja2", "pydantic", "typer", "click", "fsspec", "s3fs", "gcsfs", "pyarrow", "duckdb", "polars", "psutil"),
    *("multiprocess", "distlib", "virtualenv", "pkg_resources", "IPython", "numexpr", "pexpect", "execnet", "fabric"),
}
"""Packages whose functions build no network, but run programs, or open files that do: Python's, and those that come
with memrec or lie beside it often. That is a help to who mistypes, and no protection: others run programs too."""


def check_name(name: object, what: str) -> None:
    """Raise InputError unless `name` is a callable, or of the form package.module:function."""
    if callable(name) or (isinstance(name, str) and PATTERN.fullmatch(name)):
        return
    raise InputError(f"{what} {shown(name)} is not of the form package.module:function, such as mypackage.nets:build")


def function(name: str | Callable[..., Any]) -> Callable[..., Any]:
    """The function of that name, after importing its module; a callable is itself.

    Raises InputError where the module is not installed here or fails to import, or has nothing callable of the name.
    """
    if not isinstance(name, str):
        return name
    module_name, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever the module does when it is imported
        raise InputError(
            f"module {module_name} of {name} can't be imported ({type(error).__name__}: {in_a_line(error)}); install "
            "its package where memrec runs, on every node, or put its folder on PYTHONPATH"
        ) from error
    for part in path.split("."):
        if not hasattr(found, part):
            choices = (
                [choice for choice in vars(found) if not choice.startswith("_")] if hasattr(found, "__dict__") else []
            )
            raise unknown(f"function of {module_name}", part, choices)
        found = getattr(found, part)
    if not callable(found):
        raise InputError(f"{name} is a {type(found).__name__}, not a function; name one")
    return found


def builder(name: str | Callable[..., Any]) -> Callable[..., Any]:
    """As `function`, of what builds a network or is one. Raises InputError too for a function of DOERS, by whatever
    module it is named: a file that names one, with options to match, is after something else."""
    found = function(name)
    if isinstance(name, str) and _home(found, name) in DOERS and not _is_kind_of_network(found):
        raise InputError(
            f"{name} is of {_home(found, name)}, which builds no networks, so it was not called; name a function of "
            "the package that has the network"
        )
    return found


def _home(found: Callable[..., Any], name: str) -> str:
    """The package that a function or class was written in; of another object that by which it is named."""
    own = getattr(found, "__module__", None) if inspect.isroutine(found) or inspect.isclass(found) else None
    return (own or name.partition(":")[0]).partition(".")[0]


def _is_kind_of_network(found: Callable[..., Any]) -> bool:
    return inspect.isclass(found) and issubclass(found, nn.Module)


def name_of(called: str | Callable[..., Any]) -> str:
    """What to call it: a function's own name, of a module or another object that of its class."""
    if isinstance(called, str):
        return called
    own = called if hasattr(called, "__qualname__") else type(called)
    return f"{own.__module__}:{own.__qualname__}"


def makes_networks(called: Callable[..., Any]) -> bool:
    """Whether a callable is a class, or can be called without arguments; what needs one is a network itself."""
    if isinstance(called, nn.Module):
        return False
    if inspect.isclass(called):
        return True
    try:
        inspect.signature(called).bind()
    except (TypeError, ValueError):  # the latter for functions that do not say what they take
        return False
    return True
