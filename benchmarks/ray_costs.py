"""What Ray and the run's folder cost: actors against one process that does the same units."""

import multiprocessing
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from ray.cluster_utils import Cluster

from benchmarks.networks import network, photographs
from benchmarks.rows import Row, seconds
from workflows.experiment import loading as experiments
from workflows.experiment.resolved import Experiment
from workflows.job.driver import run_job
from workflows.job.request import Request, Steps
from workflows.run.audit_set import load_audit_set
from workflows.run.checkpoint_files import load_checkpoint
from workflows.run.plan import planned_units
from workflows.run.run import Run
from workflows.run.store import Store
from workflows.work.recover import Held, recover_unit

REPEATS = 2
BARE_APPLICATIONS = 1500
EXPERIMENT = """
name: ray-costs
data: {name: photos, count: 64, size: 32}
models: [{architecture: fc10, width: 512}]
training: {targets: [1.0e-4]}
degradations:
  - {mask: 1}
  - {mask: 2}
  - {mask: 3}
  - {mask: 4}
  - {mask: 1, noise_std: 0.01}
  - {mask: 2, noise_std: 0.01}
  - {mask: 3, noise_std: 0.01}
  - {mask: 4, noise_std: 0.01}
methods: [unknown_mask]
recovery: {max_iterations: 20}
images_per_unit: 64
"""


def rows() -> list[Row]:
    experiment = experiments.parse(EXPERIMENT, "the benchmark's experiment")
    with tempfile.TemporaryDirectory() as folder:
        trained = Path(folder) / "trained"
        run_job(Run(experiment, Store(str(trained))), Request(actors=2), Steps())
        ratios, speedups, bare, starts, shares, times = [], [], [], [], [], []
        for number in range(REPEATS):
            process_s, share = in_one_process(experiment, fresh(trained, f"process-{number}"))
            two_s, start_s = with_actors(experiment, fresh(trained, f"two-{number}"), cpus=2)
            one_s, _ = with_actors(experiment, fresh(trained, f"one-{number}"), cpus=1)
            ratios.append(two_s / process_s)
            speedups.append(one_s / two_s)
            bare.append(bare_speedup())
            starts.append(start_s)
            shares.append(share)
            times.append((two_s, process_s, one_s))
    written, machines = statistics.median(shares), statistics.median(bare)
    two, process, one = (statistics.median(column) for column in zip(*times, strict=True))
    return [
        Row("Ray: two actors against one process of two threads", two, process, statistics.median(ratios), 1.1, True),
        Row(
            "Ray: one actor against two, throughput",
            two,
            one,
            statistics.median(speedups),
            1.8,
            note=f"the second of two bare processes, without Ray, brings this machine to {machines:.2f} times one",
        ),
        Row("Ray: from the command to the first unit", statistics.median(starts), None, None, note="a local cluster"),
        Row("writing Parquet, of the recovery's time", written, 1.0, written, 0.01, True, unit=""),
    ]


def fresh(trained: Path, name: str) -> Path:
    """A run with the checkpoints and the plan of another, and no results."""
    run = Path(shutil.copytree(trained, trained.parent / name))
    shutil.rmtree(run / "recovery")
    return run


def with_actors(experiment: Experiment, run: Path, cpus: int) -> tuple[float, float]:
    """The seconds that the units took with as many actors of one thread as there are `cpus`, and those before."""
    node = {"num_cpus": cpus, "object_store_memory": 2**28, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        request = Request(address=cluster.address, actors=cpus)
        began = time.perf_counter()
        outcome = run_job(Run(experiment, Store(str(run))), request, Steps(train=False))
        return outcome.seconds, time.perf_counter() - began - outcome.seconds
    finally:
        cluster.shutdown()


def bare_speedup() -> float:
    """How many times as many applications two processes of one thread make as one, side by side: what the machine's
    second core is worth."""
    context = multiprocessing.get_context("spawn")
    paces = []
    for count in (1, 2):
        barrier, queue = context.Barrier(count), context.Queue()
        workers = [context.Process(target=apply_bare, args=(barrier, queue)) for _ in range(count)]
        for worker in workers:
            worker.start()
        paces.append(sum(1 / queue.get(timeout=300) for _ in workers))
        for worker in workers:
            worker.join()
    return paces[1] / paces[0]


@torch.no_grad()
def apply_bare(barrier: Any, queue: Any) -> None:
    """Puts the seconds of the benchmark's network at work on its batches into the queue, all processes at once."""
    torch.set_num_threads(1)
    model, images = network("fc10", 32, width=512), photographs(64, 32)
    barrier.wait()
    queue.put(seconds(lambda: [model(images) for _ in range(BARE_APPLICATIONS)]))


def in_one_process(experiment: Experiment, run: Path) -> tuple[float, float]:
    """The seconds that the same units take in this process, with two threads, and the share that went into writing."""
    store, [model], threads = Store(str(run)), experiment.models, torch.get_num_threads()
    torch.set_num_threads(2)
    audit = load_audit_set(experiment.data[0], experiment.seed)
    network, metadata = load_checkpoint(store, model, experiment.training.targets[0])
    held, writing, began = Held.of(model, network, metadata), 0.0, time.perf_counter()
    for unit in planned_units(Run(experiment, store))[0]:
        table = recover_unit(unit, experiment, audit, held)
        writing += seconds(lambda unit=unit, table=table: store.write_table(unit.file, table))
    whole = time.perf_counter() - began
    torch.set_num_threads(threads)
    return whole, writing / whole
