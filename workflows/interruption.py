"""Ctrl-C and SIGTERM: both end the process in a sentence, exit status 130, whenever they come."""

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import Any

INTERRUPTED = "interrupted; what is done stays, and the same command goes on from there"
WATCHER_INTERRUPTED = "interrupted; the watching ends, and a run goes on without it"
STATUS, STDERR = 130, 2
GRACE_S = 30.0
"""How long the way out may take; what hangs on it then is left behind. All that a job has written is there."""
SHOW_CURSOR = "\x1b[?25h"
"""A terminal's, which progress bars hide."""
_interrupted = threading.Event()


def answer() -> None:
    """Answer both signals from now on, to the process's end."""
    atexit.register(_answer, signal.SIG_IGN)  # first registered, last called: nothing is left to interrupt
    _answer(_interrupt)


def end_if_interrupted(status: Any) -> None:
    """End the process if it was interrupted, of which its exit `status` may tell, whatever else that was taken for."""
    _answer(_end)
    if not _interrupted.is_set() and status != STATUS:
        return
    if status != STATUS:
        end_of_interruption()
    sys.stdout.flush()
    os._exit(STATUS)  # what Ray was interrupted in may crash as Python ends


def end_of_interruption(sentence: str = INTERRUPTED) -> int:
    """Say that the work was interrupted, and what that means; returns the exit status."""
    with suppress(OSError, ValueError, AttributeError):  # standard error may be closed
        print(f"error: {sentence}", file=sys.stderr, flush=True)
    return STATUS


def raise_if_interrupted() -> None:
    """Raise the KeyboardInterrupt that came before, and may have got lost in a callback."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


def _answer(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Interrupt the work, which then ends in order. At once where that could go wrong: an import may swallow the
    interruption, and leave half a module."""
    if _imports(frame):
        _end(number, frame)
    _interrupted.set()
    signal.alarm(0)  # Ray's C++ gives a process that was sent SIGTERM three seconds
    _answer(_end)  # whoever asks twice does not want to wait
    late = threading.Timer(GRACE_S, _end, (number, None))
    late.daemon = True
    late.start()
    raise KeyboardInterrupt


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _end(number: int, frame: FrameType | None) -> None:
    """End the process here and now."""
    with suppress(OSError):  # standard error may be closed
        shown = SHOW_CURSOR if os.isatty(STDERR) else ""
        os.write(STDERR, f"{shown}error: {INTERRUPTED}\n".encode())
    os._exit(STATUS)
