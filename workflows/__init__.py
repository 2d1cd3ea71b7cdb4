"""The batch jobs of memrec. Knows Ray and a run's files; all the science that it calls is in memrec_core.

`workflows.open_run("runs/demo")` is the door for notebooks.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflows.run.opened import open_run

__all__ = ["open_run"]


def __getattr__(name: str) -> Any:
    if name != "open_run":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from workflows.run.opened import open_run

    return open_run
