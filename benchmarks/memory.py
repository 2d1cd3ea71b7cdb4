"""Peak memory of a run's driver, actors and other processes: does it grow with the images?

    python -m benchmarks.memory benchmarks/scale.yaml --run runs/scale

takes the arguments of `memrec run`, and prints the run's time and files too. Memory is what a process has for itself
(USS); the images, which lie once in the memory that the processes of a node share, are counted apart.
"""

import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import psutil

from benchmarks.rows import Row
from memrec_core.errors import InputError
from workflows.experiment.data_folder import default_root

SCALE = Path(__file__).parent / "scale.yaml"
SAMPLE_S = 0.5
ROLES = {
    "-m workflows": "driver",
    "Recoverer": "actor",
    "TrainingActor": "trainer",
    "read_images": "reading the images",
}


def rows() -> list[Row]:
    """A run of 25,000 images against one of 1,000."""
    try:
        default_root("tiny_imagenet")
    except InputError as error:
        return [Row("memory: not measured", float("nan"), None, None, note=str(error))]
    peaks = {}
    for count in (25_000, 1_000):
        with tempfile.TemporaryDirectory() as folder:
            smaller = ["--set", f"data.count={count}", "--set", "training.batch_size=500"]
            status, peaks[count] = watch(
                [str(SCALE), "--run", f"{folder}/run", "--actors", "2", *smaller], stdout=subprocess.DEVNULL
            )
            if status:
                raise RuntimeError(f"the run of {count} images ended with {status}")
    many, few = ({role: peak / 2**20 for role, peak in of_run.items()} for of_run in peaks.values())
    return [
        Row(
            f"memory: the {role} at its peak, 25,000 images against 1,000",
            many[role],
            few[role],
            many[role] / few[role],
            1.1 if role == "driver" else None,
            at_most=True,
            unit="MiB",
        )
        for role in ("driver", "actor")
    ]


def main() -> int:
    run = Path(sys.argv[sys.argv.index("--run") + 1])
    began = time.monotonic()
    status, peaks = watch(sys.argv[1:])
    print(f"\nexit status {status} after {time.monotonic() - began:.0f} s")
    for role in (*ROLES.values(), "Ray, the largest process"):
        print(f"{role:28} {peaks[role] / 2**20:8.0f} MiB at the peak")
    for folder in ("checkpoints", "recovery", "report", "."):
        files = [path for path in (run / folder).rglob("*") if path.is_file()]
        print(f"{folder:28} {len(files):8} files, {sum(path.stat().st_size for path in files) / 2**20:.1f} MiB")
    return status


def watch(arguments: list[str], stdout: int | None = None) -> tuple[int, dict[str, float]]:
    """The exit status of `memrec run` with these arguments, and by their role the peak memory of its processes, in
    bytes."""
    process = psutil.Popen([sys.executable, "-m", "workflows", "run", *arguments], stdout=stdout)
    peaks: dict[str, float] = defaultdict(float)
    while process.poll() is None:
        for member in [process, *process.children(recursive=True)]:
            role, memory = role_of(member), own_memory(member)
            peaks[role] = max(peaks[role], memory)
        time.sleep(SAMPLE_S)
    return process.returncode, peaks


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
