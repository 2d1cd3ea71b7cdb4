"""The console script. It answers Ctrl-C and SIGTERM before it imports anything large."""

import atexit
import os
import sys
from contextlib import suppress
from typing import Any

from workflows import interruption


def main() -> None:
    """`memrec`, as a process of its own."""
    interruption.answer()
    status: Any = 0
    try:
        from workflows import cli

        cli.main()
    except SystemExit as end:
        status = end.code
    except KeyboardInterrupt:
        pass
    interruption.end_if_interrupted(status)
    _leave(status if isinstance(status, int) else int(status is not None))


def _leave(status: int) -> None:
    """End the process, with all that was to be done at its end. Python does not take itself apart: a thread of some
    library's C++ that is still there could then abort what has succeeded."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # it may be closed
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
