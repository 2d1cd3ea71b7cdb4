"""Runs on clusters of several nodes, of which parts are killed at random moments, over and over."""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import KEY, SMALL, make_run, results
from tests.distributed.conftest import DEADLINE_S, Job, trained
from tests.distributed.nodes import NODE, Nodes, nodes_of_one_cpu, workers
from workflows.experiment import loading as experiments
from workflows.run.planning import Size
from workflows.work.measure import USUAL_BATCH

# 72 units of two images.
EXPERIMENT = SMALL.replace("images_per_unit: 4", "images_per_unit: 2").replace(
    "recovery: {max_iterations: 5, inner_iterations: 10, max_autoencoder_iterations: 20}",
    "recovery: {max_iterations: 30, max_autoencoder_iterations: 1000}",
)
UNITS = 72


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with nodes_of_one_cpu(2) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def experiment_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("experiments") / "chaos.yaml"
    file.write_text(EXPERIMENT)
    return file


@pytest.fixture(scope="module")
def calm(experiment_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed, in this process."""
    run = tmp_path_factory.mktemp("runs") / "calm"
    make_run(experiments.load(str(experiment_file)), run, lambda kind: Size(2, USUAL_BATCH))
    return run


def kill_actor(job: Job, nodes: Nodes, chance: random.Random) -> None:
    for worker in workers("Recoverer") or workers("TrainingActor"):
        worker.kill()
        return


def kill_node(job: Job, nodes: Nodes, chance: random.Random) -> None:
    nodes.kill_one(chance)
    nodes.add()


def kill_driver(job: Job, nodes: Nodes, chance: random.Random) -> None:
    job.process.kill()
    job.process.wait(DEADLINE_S)


def kill_everything(job: Job, nodes: Nodes, chance: random.Random) -> None:
    kill_driver(job, nodes, chance)
    while nodes.nodes:
        nodes.kill_one(chance)
    nodes.add()
    nodes.add()


KILLS: list[Callable[[Job, Nodes, random.Random], None]] = [kill_actor, kill_node, kill_driver, kill_everything]


ROUNDS = int(os.environ.get("MEMREC_CHAOS_ROUNDS", 8))
"""`make chaos` has twenty."""


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_killed_at_random_over_and_over_ends_with_the_undisturbed_rows(
    nodes: Nodes, experiment_file: Path, calm: Path, tmp_path: Path
):
    chance, run = random.Random(ROUNDS), tmp_path / "run"
    kills = [KILLS[i % len(KILLS)] for i in range(ROUNDS)]
    chance.shuffle(kills)
    job = Job(experiment_file, run, "--address", nodes.address, actors=None)
    written: dict[Path, int] = {}
    for number, kill in enumerate(kills):
        share = (number + chance.random()) / ROUNDS  # so that all rounds find something to kill
        job.wait_for(lambda job=job, share=share: len(job.units()) >= int(share * UNITS * 0.95))
        time.sleep(chance.random())
        if job.process.poll() is None:
            kill(job, nodes, chance)
        for path in job.units():  # no unit that has its file is ever computed again
            assert written.setdefault(path, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
        if job.process.poll() is not None:
            job = Job(experiment_file, run, "--address", nodes.address, actors=None)
    assert job.wait() == 0, job.log.read_text()
    assert {path: path.stat().st_mtime_ns for path in written} == written
    rows = results(run)
    assert not rows.duplicated(KEY).any()
    assert len(job.units()) == UNITS
    assert rows.equals(results(calm))


def standing(run: Path) -> dict:
    file = run / "progress.json"
    return json.loads(file.read_text()) if file.exists() else {"actors": 0}


@pytest.mark.long
def test_node_that_joins_in_mid_run_is_used(experiment_file: Path, tmp_path: Path, nodes: Nodes):
    slow = ("--set", "recovery.inner_iterations=300")
    job = Job(experiment_file, tmp_path / "run", *slow, "--address", nodes.address, actors=None)
    try:
        job.wait_for(lambda: len(job.units()) >= 2)
        assert len(workers("Recoverer.recover")) <= 2
        nodes.add()
        job.wait_for(lambda: len(workers("Recoverer.recover")) == 3)  # all at work
    finally:
        kill_driver(job, nodes, random.Random(0))


@pytest.mark.long
def test_trainer_that_dies_goes_on_from_its_last_state(experiment_file: Path, tmp_path: Path, nodes: Nodes, calm: Path):
    """Though as many actors as there is room for wait for the place that the trainer leaves."""
    job = Job(experiment_file, tmp_path / "run", "--address", nodes.address, actors=None)
    job.wait_for(lambda: bool(workers("TrainingActor")))
    for worker in workers("TrainingActor"):
        worker.kill()
    assert job.wait() == 0, job.log.read_text()
    assert results(job.run).equals(results(calm))


@pytest.mark.long
def test_share_of_a_gpu_makes_room_for_as_many_actors(experiment_file: Path, tmp_path: Path, nodes: Nodes, calm: Path):
    """The GPU is Ray's book-keeping alone: there is none on most machines that run this."""
    node = nodes.cluster.add_node(**{**NODE, "num_cpus": 2, "num_gpus": 1})
    options = ("--address", nodes.address, "--gpus-per-actor", 0.5)
    job = Job(experiment_file, trained(calm, tmp_path / "run"), *options, actors=None)
    try:
        job.wait_for(lambda: standing(job.run)["actors"] == 2)
        assert len(workers("Recoverer.recover")) <= 2
        job.wait_for(lambda: len(job.units()) >= 2)
    finally:
        kill_driver(job, nodes, random.Random(0))
        nodes.cluster.remove_node(node)
