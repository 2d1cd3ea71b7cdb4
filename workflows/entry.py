"""The console script. It answers Ctrl-C and SIGTERM before it imports anything large."""

import sys
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
    sys.exit(status)


if __name__ == "__main__":
    main()
