"""A run whose parts are killed: the same rows in the end, and nothing done twice that was done."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import SMALL, results
from tests.distributed.conftest import Job, trained
from workflows import open_run


def checkpoints(job: Job) -> int:
    return len(list(job.run.glob("checkpoints/*/*.json")))


MOMENTS: dict[str, Callable[[Job], bool]] = {
    "claiming the folder": lambda job: (job.run / "experiment.yaml").exists(),
    "training": lambda job: checkpoints(job) >= 1,  # the next may come between two looks
}


@pytest.mark.long
def test_killed_before_it_recovers_and_started_again_ends_with_the_same_rows(start, undisturbed: Path, tmp_path: Path):
    """test_chaos.py kills it later."""
    worked, began = [0.0], time.monotonic()
    for number, happened in enumerate(MOMENTS.values()):
        job = start(tmp_path / "run", local=number == 1)  # whose nodes go with their driver; others outlive it
        job.wait_for(lambda happened=happened, job=job: happened(job))
        job.kill()
        worked.append(seconds_worked(job))
    last = start(tmp_path / "run")
    assert last.wait() == 0, last.log.read_text()
    assert results(tmp_path / "run").equals(results(undisturbed))
    worked.append(seconds_worked(last))
    assert worked == sorted(worked)
    assert worked[-2] < worked[-1] < time.monotonic() - began


def seconds_worked(job: Job) -> float:
    """Of all drivers so far; the first one may have been killed before it said anything."""
    return open_run(job.run).status().seconds or 0.0


@pytest.mark.long
def test_terminated_run_ends_with_a_sentence(start, undisturbed: Path, tmp_path: Path):
    job = start(trained(undisturbed, tmp_path / "run"), local=True)
    job.wait_for(lambda: len(job.units()) >= 2)
    job.process.send_signal(signal.SIGTERM)
    assert job.wait() == 130, job.log.read_text()
    said = job.log.read_text()
    assert said.splitlines()[-1] == "error: interrupted; what is done stays, and the same command goes on from there"
    assert "Traceback" not in said


@pytest.mark.long
def test_unit_that_keeps_killing_its_actor_is_given_up_named_and_done_later(memrec, start, tmp_path: Path):
    one_unit = tmp_path / "one.yaml"
    slow = "recovery: {max_autoencoder_iterations: 1000000}"  # an actor at work long enough to be killed
    one_unit.write_text(
        SMALL.replace("images_per_unit: 4", "images_per_unit: 12\nmethods: [autoencoder_iterations]")
        .replace("recovery: {max_iterations: 5, inner_iterations: 10, max_autoencoder_iterations: 20}", slow)
        .replace(", {mask: random_80, noise_std: 0.02}", "")
        .replace("targets: [1e-2, 1e-3]", "targets: [1e-3]")
    )
    job = start(tmp_path / "run", experiment=one_unit)
    for _ in range(3):
        job.wait_for(lambda: any("recover" in " ".join(actor.cmdline()) for actor in job.actors()))
        for actor in job.actors():
            actor.kill()
            actor.wait(60)
    assert job.wait() == 1, job.log.read_text()
    assert "its actor died" in job.log.read_text()
    said = memrec("status", tmp_path / "run")
    assert "its actor died" in said.out
    assert "3 attempts" in said.out
