"""What a Ray of this machine's own may use: processors, a folder for its sockets and logs, and a token."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from memrec_core.errors import in_a_line
from workflows.errors import JobError

LONGEST_FOLDER = 107 - len("/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store")
"""A socket's path has 107 bytes at the most, of which Ray takes the rest."""
SHARED_MEMORY = "/dev/shm"


def processors(groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> int:
    """How many the process may use: of its affinity (taskset, Slurm), and of its quota, where a container has one.

    Ray counts those of the machine, and takes half a processor for none.
    """
    return max(1, int(min([len(os.sched_getaffinity(0)), *_quotas(groups, mounted)])))


def _quotas(groups: Path, mounted: Path) -> Iterator[float]:
    """The processors that each of the process's control groups allows, of either version of these."""
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, group = line.split(":", 2)
        if kinds and "cpu" not in kinds.split(","):
            continue
        for top in {mounted / kinds, mounted / "cpu"} if kinds else {mounted}:
            own = top / group.lstrip("/")
            for folder in (own, *own.parents):
                if folder.is_relative_to(top):
                    yield from _quota_in(folder)


def _quota_in(folder: Path) -> Iterator[float]:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota, period = (
                (folder / f"cpu.cfs_{name}_us").read_text(encoding="utf-8") for name in ("quota", "period")
            )
        if quota != "max" and float(quota) > 0:
            yield float(quota) / float(period)
    except (OSError, ValueError):
        return


def ray_folder() -> str:
    """Where Ray keeps its sockets and logs: its usual place, or the first that is short enough and can be written.

    Raises JobError where none can be used.
    """
    refused = []
    for folder in _places():
        if (why := _why_not(folder)) is None:
            return folder
        refused.append(f"{folder}: {why}")
    raise JobError(
        f"Ray can't be started on this machine, since no folder can hold its sockets and logs ({'; '.join(refused)}); "
        f"name one that has room and a short path with RAY_TMPDIR, and give the same command again"
    )


def _places() -> list[str]:
    """Ray's own choice first, then folders of this user's own."""
    asked = [os.path.abspath(os.environ[name]) for name in ("RAY_TMPDIR", "TMPDIR") if os.environ.get(name)]
    tops = [*asked, "/tmp", "/var/tmp", SHARED_MEMORY]
    places = [f"{tops[0]}/ray", *(f"{top}/ray-{os.getuid()}" for top in tops)]
    return list(dict.fromkeys(places))


def _why_not(folder: str) -> str | None:
    """Why Ray can't use the folder, None where it can."""
    if len(os.fsencode(folder)) > LONGEST_FOLDER:
        return f"its path has more than the {LONGEST_FOLDER} bytes that sockets leave it"
    private = os.path.basename(folder) != "ray"
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        os.makedirs(folder, mode=0o700 if private else 0o777, exist_ok=True)
        if private and os.lstat(folder).st_uid != os.getuid():
            return "it belongs to another user"
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(2**16))
    except OSError as error:
        return in_a_line(error)
    return None


def own_token() -> None:
    """Give the Ray that is about to start a token of its own, unless the user has. Ray would leave one in the home
    folder, which must be writable then, and every later cluster of the user's would ask for it."""
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
