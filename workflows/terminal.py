"""What is printed: as it is, in whatever letters the output has, and without ending the work once nobody reads it."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import IO, Any, cast

from rich.console import Console
from rich.table import Table

from memrec_core.errors import in_a_line

_CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), 127) if chr(code) != "\n"}
WIDEST = 1_000_000
"""Columns of a table."""


def open_streams() -> None:
    """Give this process standard streams that it can print to, whatever it was started with: closed ones lead nowhere,
    and letters that the output can't have become question marks."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # else a file that is opened later would be taken for a standard stream
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (for the process's life)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


class _Output:
    """Standard output. Where it can't be written any more, since its reader is gone or its disk full, that is said once
    on standard error, and what is printed goes nowhere."""

    @property
    def stream(self) -> Any:
        return getattr(sys.stdout, "rich_proxied_file", sys.stdout)

    @property
    def encoding(self) -> str:
        return getattr(self.stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        with suppress(ValueError, AttributeError):
            return self.stream.isatty()
        return False

    def fileno(self) -> int:
        return self.stream.fileno()

    def write(self, text: str) -> int:
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        self._try("flush")

    def _try(self, action: str, *arguments: str) -> None:
        if self.stream is None or self.stream.closed:
            return
        try:
            getattr(self.stream, action)(*arguments)
        except OSError as error:
            _lead_nowhere(self.stream)
            complain(f"standard output can't be written any more ({in_a_line(error)}); the work goes on")


def _lead_nowhere(stream: Any) -> None:
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


# rich asks of a file what _Output has, and no more.
console = Console(file=cast(IO[str], _Output()), markup=False, emoji=False, highlight=False)


def say(line: str) -> None:
    """Print a line as it is: names of files are no markup, and no terminal's width breaks them."""
    console.print(plain(line), soft_wrap=True)


def plain(text: str) -> str:
    """The text, with what would steer a terminal made visible."""
    return text.translate(_CONTROLS)


def print_whole(table: Table, narrowest: int) -> None:
    """Print a table, `narrowest` columns wide where the terminal has fewer: rich would cut its cells off."""
    if console.width >= narrowest:
        console.print(table)
        return
    for line in console.render_lines(table, console.options.update(width=narrowest), pad=False):
        say("".join(segment.text for segment in line).rstrip())


def width_of(table: Table) -> int:
    """How many columns it takes for no cell of it to be folded."""
    return console.measure(table, options=console.options.update(width=WIDEST)).maximum


def terminals_width() -> int | None:
    """How many columns the terminal has; None where the output goes to a file or another program."""
    return console.width if _Output().isatty() else None


def put(text: str) -> None:
    """Print text for programs, as it is."""
    output = _Output()
    output.write(text)
    output.flush()


@contextmanager
def output_kept_free() -> Iterator[None]:
    """For the length of the block, all that is printed goes to standard error, of libraries too."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        with suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()  # before the other way is open again
        os.dup2(kept, 1)
        os.close(kept)


def complain(line: object) -> None:
    """Print one line on standard error, whatever is in it."""
    text = str(line).strip().replace("\n", " ").translate(_CONTROLS)
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _lead_nowhere(sys.stderr)


def is_screen() -> bool:
    """Whether standard output is a terminal that can draw over what it has drawn, and not a file that asks for
    colours."""
    return _Output().isatty() and not console.is_dumb_terminal
