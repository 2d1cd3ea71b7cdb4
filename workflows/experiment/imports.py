"""Modules of the user's own, which add to the registries: masks, methods, networks, data sets."""

import importlib
from collections.abc import Sequence

from memrec_core.errors import InputError, in_a_line, shown


def import_all(modules: Sequence[str]) -> None:
    """Import them. Raises InputError where that fails."""
    for name in modules:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # of the user's own code, of any kind
            raise InputError(
                f"imports: module {shown(name)} can't be imported ({type(error).__name__}: {in_a_line(error)}); "
                "install its package where memrec runs, on every node, or put its folder on PYTHONPATH"
            ) from error
