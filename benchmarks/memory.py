"""Peak memory of a run's driver, actors and other processes, its time, and the files that it leaves.

    python -m benchmarks.memory benchmarks/scale.yaml --run runs/scale

takes the arguments of `memrec run`. Memory is what a process has for itself (USS); the images, which lie once in the
memory that the processes of a node share, are counted apart.
"""

import sys
import time
from collections import defaultdict
from pathlib import Path

import psutil

SAMPLE_S = 0.5
ROLES = {"workflows.cli": "driver", "Recoverer": "actor", "Trainer": "trainer", "read_images": "reading the images"}


def main() -> int:
    run = Path(sys.argv[sys.argv.index("--run") + 1])
    began = time.monotonic()
    process = psutil.Popen([sys.executable, "-m", "workflows.cli", "run", *sys.argv[1:]])
    peaks: dict[str, float] = defaultdict(float)
    while process.poll() is None:
        for member in [process, *process.children(recursive=True)]:
            role, memory = role_of(member), own_memory(member)
            peaks[role] = max(peaks[role], memory)
        time.sleep(SAMPLE_S)
    print(f"\nexit status {process.returncode} after {time.monotonic() - began:.0f} s")
    for role in (*ROLES.values(), "Ray, the largest process"):
        print(f"{role:28} {peaks[role] / 2**20:8.0f} MiB at the peak")
    for folder in ("checkpoints", "recovery", "report", "."):
        files = [path for path in (run / folder).rglob("*") if path.is_file()]
        print(f"{folder:28} {len(files):8} files, {sum(path.stat().st_size for path in files) / 2**20:.1f} MiB")
    return process.returncode


def role_of(process: psutil.Process) -> str:
    """What a process of the run is there for. Ray names its workers after what they do."""
    try:
        words = f"{process.name()} {' '.join(process.cmdline())}"
    except psutil.Error:
        words = ""
    return next((role for word, role in ROLES.items() if word in words), "Ray, the largest process")


def own_memory(process: psutil.Process) -> float:
    try:
        return process.memory_full_info().uss
    except psutil.Error:
        return 0.0


if __name__ == "__main__":
    sys.exit(main())
