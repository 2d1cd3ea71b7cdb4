"""What tests of several packages share: a small experiment, and the command line as a user calls it."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import torch
from hypothesis import settings
from ray.cluster_utils import Cluster

from memrec_core import diffusion_prior
from workflows import cli
from workflows.experiment import loading as experiment
from workflows.experiment.methods import source_of
from workflows.experiment.resolved import Experiment
from workflows.job.cluster import IDLE_MS
from workflows.run.audit_set import load_audit_set
from workflows.run.checkpoint_files import load_checkpoint
from workflows.run.identity import claim
from workflows.run.images import keep_catalogues
from workflows.run.plan import Plan, planned_units, save_plan
from workflows.run.planning import Sizes, make_plan
from workflows.run.run import Run
from workflows.run.store import Store
from workflows.work.priors import priors_here
from workflows.work.recover import Held, recover_unit
from workflows.work.train import train_model

SMALL = """
name: small
data: {name: photos, count: 6, size: 16}
models: [{architecture: fc10, width: 48}]
training: {targets: [1e-2, 1e-3]}
degradations: [{mask: center}, {mask: random_80, noise_std: 0.02}]
recovery: {max_iterations: 5, inner_iterations: 10, max_autoencoder_iterations: 20}
images_per_unit: 4
pictures: 2
"""
TINY = SMALL.replace("1e-2, 1e-3", "1e-2") + "methods: [known_mask]\n"
SMALL_ROWS = 2 * 2 * 3 * 12  # checkpoints, degradations, methods, images of both splits
KEY = ["checkpoint", "degradation", "method", "split", "image_id"]


settings.register_profile("same cases each time", derandomize=True, database=None)
if os.environ.get("CI"):  # what fails there must fail here too
    settings.load_profile("same cases each time")
torch.set_num_threads(1)  # the tests' tensors are small, and on a busy machine threads wait for one another


COMMANDS = (
    *("audit_command", "bad_input", "earlier_runs", "entry", "floor", "forecast", "generic_methods"),
    *("outside", "plan", "quick_answers", "shipped_experiments", "submit", "terminal"),
)
JOBS = ("tests/distributed/", *(f"tests/workflows/test_{name}.py" for name in COMMANDS))
"""Where the tests are that start Ray, of which there is one at a time, or measure what a command takes."""
NICENESS = 15
"""That of Ray's workers, which would starve beside tests that have none."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Of two processes (`pytest -n 2`) one does all jobs first, the other what is left, file by file; whichever is
    done helps the other with that."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "jobs" if nodeid.startswith(JOBS) else nodeid.partition("::")[0]

        def _assign_work_unit(self, node: Any) -> None:
            if "jobs" in self.workqueue:
                self.workqueue.move_to_end("jobs", last=False)
            super()._assign_work_unit(node)

    return Scheduler(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The others make room for it."""
    if "PYTEST_XDIST_WORKER" in os.environ and not item.nodeid.startswith(JOBS):
        os.nice(max(0, NICENESS - os.nice(0)))


class Called(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def small() -> Experiment:
    return experiment.parse(SMALL, "small")


@pytest.fixture(scope="session")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("experiments") / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of one node, for the runs that can do without one of their own."""
    node = {"num_cpus": 2, "object_store_memory": 160 * 2**20, "include_dashboard": False}
    node["_system_config"] = {"idle_worker_killing_time_threshold_ms": IDLE_MS}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture
def memrec(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Called]:
    """Calls the console script with the arguments: its exit status and what it printed."""

    def call(*arguments: object) -> Called:
        monkeypatch.setattr(sys, "argv", ["memrec", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return Called(int(stop.value.code or 0), *capfd.readouterr())

    return call


@pytest.fixture
def run_small(memrec: Callable[..., Called], cluster: str, small_file: Path) -> Callable[..., Called]:
    """Calls `memrec run` on the small experiment, or another, and the tests' cluster: a run that nothing disturbs."""

    def call(run: Path, *options: object, experiment: Path = small_file) -> Called:
        return memrec("run", experiment, "--run", run, "--address", cluster, "--actors", 2, *options)

    return call


def make_run(experiment: Experiment, run: Path, sizes: Sizes) -> Store:
    """A run whose networks are trained and whose units are recovered, in this process; nothing is aggregated yet."""
    store, audits = Store(str(run)), {data.label: load_audit_set(data, experiment.seed) for data in experiment.data}
    catalogues = {label: audit.catalogue for label, audit in audits.items()}
    claim(Run(experiment, store))
    keep_catalogues(store, catalogues)
    for model in experiment.trained_models:
        train_model(Run(experiment, store), model, audits[model.data])
    save_plan(Run(experiment, store), Plan(tuple(make_plan(experiment, catalogues, sizes, priors_here(experiment)))))
    for unit in planned_units(Run(experiment, store))[0]:
        held, prior = Held(), getattr(experiment.method(unit.method), "prior", None)
        if unit.uses_network:
            model = experiment.model(unit.model)
            held = Held.of(model, *load_checkpoint(store, model, unit.target_loss))
        elif prior:
            held = Held(diffusion_prior.load(source_of(prior)))
        store.write_table(unit.file, recover_unit(unit, experiment, audits[unit.data_set], held))
    return store


def results(run: Path, folder: str = "recovery") -> pd.DataFrame:
    """The results as a user reads them, or those that are compacted, in an order of their own, without the times."""
    table = pd.read_parquet(run / folder).drop(columns="seconds")
    return table.sort_values(KEY, ignore_index=True)
