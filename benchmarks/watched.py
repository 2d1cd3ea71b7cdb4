"""The paper's method with a log beside it, so that any pipeline that calls it can be timed and counted alike."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from memrec_core.recovery import METHODS, Denoiser, Problem, Recovery, UnknownMask

LOG, FAILS_ON = "MEMREC_WATCHED_LOG", "MEMREC_WATCHED_FAILS_ON"
"""Environment variables."""


class Call(NamedTuple):
    """A batch of recoveries in a process: so many, from when until when; None where it did not end."""

    process: int
    count: int
    began: float
    ended: float | None = None


@dataclass(frozen=True)
class Watched(UnknownMask):
    """Appends to the file that LOG names when it begins and when it has ended. A batch that holds the image that
    FAILS_ON names fails. Both are no settings: the results are the same without them."""

    name: ClassVar[str] = "watched"
    title: ClassVar[str] = "unknown mask, watched"
    does: ClassVar[str] = "the paper's, with a log of its calls"

    def recover(self, basis: Denoiser, problem: Problem) -> Recovery:
        _note("began", problem)
        if os.environ.get(FAILS_ON) in problem.ids:
            raise RuntimeError(f"image {os.environ[FAILS_ON]} can't be recovered")
        found = super().recover(basis, problem)
        _note("ended", problem)
        return found


def _note(what: str, problem: Problem) -> None:
    """A line in one write, so that those of several processes do not mix."""
    line = json.dumps([what, os.getpid(), len(problem.degraded), time.time()]) + "\n"
    with open(os.environ[LOG], "ab", buffering=0) as log:
        log.write(line.encode())


def calls(log: Path) -> list[Call]:
    """Those in a log, in the order in which they began."""
    found: list[Call] = []
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else ():
        what, process, count, at = json.loads(line)
        if what == "began":
            found.append(Call(process, count, at))
        else:
            place = max(i for i, call in enumerate(found) if call.process == process)
            found[place] = found[place]._replace(ended=at)
    return found


METHODS["watched"] = Watched
