"""What a driver says of itself in the run's progress.json, and what that tells of it afterwards."""

import json
import math
import os
import platform
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workflows.duration import duration
from workflows.run.standing import Standing, in_words
from workflows.run.store import PROGRESS, Store

SILENT_S = 60.0
"""A driver that has not written for so long has died, or can't write."""
RESUME = "the same command resumes"


def _machine() -> str:
    """The machine, and what of it the driver's process id means something in."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{platform.node()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def _started(pid: int) -> str | None:
    """When the process began, in the kernel's ticks; None where there is none of that id, or only its remains."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else rest[18]


def _seconds(entry: Any) -> float | None:
    """Raises ValueError or TypeError for what is no time."""
    if entry is None:
        return None
    if not 0 <= float(entry) < math.inf:
        raise ValueError(f"{entry} s")
    return float(entry)


@dataclass(frozen=True)
class Heartbeat:
    """What progress.json holds: the driver's `state` at a `time`, running, done or stopped (for a `reason`); its
    process, and on which machine; where its job stood; and for how many seconds drivers have worked on the run by then,
    this one and those before, None where some of them did not say."""

    state: str
    time: datetime
    reason: str = ""
    machine: str = field(default_factory=_machine)
    pid: int = field(default_factory=os.getpid)
    started: str | None = field(default_factory=lambda: _started(os.getpid()))
    standing: Standing = field(default_factory=Standing)
    seconds_worked: float | None = None

    def to_json(self) -> bytes:
        driver: dict[str, Any] = asdict(self) | {"time": self.time.isoformat(timespec="seconds")}
        standing = driver.pop("standing")
        return json.dumps(driver | standing, indent=2).encode()

    @classmethod
    def of(cls, content: bytes) -> "Heartbeat":
        """From a file of this revision or an earlier one. Raises ValueError for any other."""
        try:
            entry: dict[str, Any] = json.loads(content)
            standing = Standing(**{f.name: entry[f.name] for f in fields(Standing) if f.name in entry})
            process: dict[str, Any] = {name: entry.get(name) for name in ("machine", "pid", "started")}
            time = datetime.fromisoformat(entry["time"])
            worked = _seconds(entry.get("seconds_worked"))
            return cls(
                entry["state"], time, entry.get("reason", ""), standing=standing, seconds_worked=worked, **process
            )
        except (TypeError, KeyError, AttributeError, OverflowError) as error:
            raise ValueError(str(error)) from error

    @classmethod
    def last(cls, store: Store) -> "Heartbeat | None":
        """The run's; None where it has none that can be read, of which the next driver writes another."""
        try:
            return cls.of(store.read(PROGRESS))
        except (FileNotFoundError, ValueError):
            return None

    @property
    def is_dead(self) -> bool:
        """Whether its process was on this machine and is no more."""
        return self.machine == _machine() and self.pid is not None and _started(self.pid) != self.started

    def says(self) -> str:
        """The driver's standing in a sentence, as it is now known."""
        ago = duration((datetime.now(UTC) - self.time).total_seconds())
        stood = in_words(self.standing)
        if self.state == "done":
            return f"the last driver ended {ago} ago"
        if self.state == "stopped":
            return f"the last driver stopped {ago} ago ({self.reason}), at {stood}; {RESUME}"
        if self.is_dead:
            return f"the last driver stopped without ending (it wrote {ago} ago), at {stood}; {RESUME}"
        if (datetime.now(UTC) - self.time).total_seconds() > SILENT_S:
            return f"no driver has written for {ago}; the last one stood at {stood}; {RESUME}"
        return f"running, {ago} ago: {stood}"
