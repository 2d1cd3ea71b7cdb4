"""Runs of memrec as a process of its own, so that a test can kill it or its parts."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.distributed.nodes import workers

DEADLINE_S = 240  # also on a machine that is busy with something else


class Job:
    """`memrec run` as a process; what it prints goes to a file, so that it never blocks."""

    def __init__(
        self, experiment: Path, run: Path, *options: object, actors: int | None = 2, log: Path | None = None
    ) -> None:
        self.run, self.log = run, log or run.with_suffix(".log")
        command = [sys.executable, "-m", "workflows", "run", experiment, "--run", run, *options]
        command += [] if actors is None else ["--actors", actors]
        with self.log.open("ab") as log:
            self.process = psutil.Popen(list(map(str, command)), stdout=log, stderr=subprocess.STDOUT)

    def wait(self) -> int:
        return self.process.wait(DEADLINE_S)

    def units(self) -> list[Path]:
        return sorted(path for path in self.run.glob("recovery/**/*.parquet") if not path.name.startswith("."))

    def wait_for(self, happened: Callable[[], bool]) -> None:
        """Return as soon as it has happened; fails when the job ends before."""
        end = time.monotonic() + DEADLINE_S
        while not happened():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, f"did not happen: {self.log.read_text()}"
            time.sleep(0.005)

    def actors(self) -> list[psutil.Process]:
        """The processes of the job's actors that recover; no other job may run beside it."""
        return workers("Recoverer")

    def kill(self) -> None:
        """SIGKILL to the driver alone, as a preemption would; returns once none of its actors is left to write."""
        actors = self.actors()
        self.process.kill()
        self.process.wait(DEADLINE_S)
        alive = psutil.wait_procs(actors, timeout=60)[1]  # one of Ray's may hang as it exits: see Cluster.__exit__
        assert not any(actor.name().endswith(".recover") for actor in alive), "actors outlive their driver"


@pytest.fixture
def start(small_file: Path, cluster: str) -> Iterator[Callable[..., Job]]:
    """Starts `memrec run` on the small experiment and the tests' cluster, or a local Ray of its own; whatever still
    runs is ended with the test."""
    jobs: list[Job] = []

    def start_job(
        run: Path, *options: object, experiment: Path = small_file, log: Path | None = None, local: bool = False
    ) -> Job:
        place = () if local else ("--address", cluster)
        jobs.append(Job(experiment, run, *place, *options, log=log))
        return jobs[-1]

    yield start_job
    for job in jobs:
        if job.process.is_running():
            job.kill()


def trained(undisturbed: Path, run: Path) -> Path:
    """`run`, with the checkpoints of a run that was undisturbed and nothing else."""
    shutil.copytree(undisturbed / "checkpoints", run / "checkpoints", ignore=shutil.ignore_patterns("state-*"))
    shutil.copy(undisturbed / "experiment.yaml", run)
    return run


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, small_file: Path) -> Path:
    """The folder of a run from start to finish, that nothing disturbed."""
    job = Job(small_file, tmp_path_factory.mktemp("runs") / "undisturbed")
    assert job.wait() == 0, job.log.read_text()
    return job.run
