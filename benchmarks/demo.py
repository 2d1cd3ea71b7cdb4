"""Where the seconds of `memrec demo` go: its phases, and what an actor is at while it recovers."""

import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch

from benchmarks.rows import Row
from workflows.experiment import loading as experiments
from workflows.run.audit_set import load_audit_set
from workflows.run.checkpoint_files import load_checkpoint
from workflows.run.plan import planned_units
from workflows.run.run import Run
from workflows.run.store import Store
from workflows.work.recover import Held, recover_unit


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        command = [sys.executable, "-m", "benchmarks.demo", f"{folder}/run"]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        marks = {**json.loads(printed.splitlines()[-1]), "the end of the process": time.time()}
        phases, whole = [], time.time() - began
        for phase, end in marks.items():
            phases.append(Row(f"demo: {phase}", end - began, whole, (end - began) / whole, note="share of the whole"))
            began = end
        return [*phases, *shares_of_a_recovery(Store(f"{folder}/run"))]


def run_marked(run: str) -> dict[str, float]:
    """`memrec demo`, and when each of its phases ended."""
    import ray

    import workflows.report
    from workflows import cli
    from workflows.job.loop import Loop
    from workflows.job.pool import Pool
    from workflows.job.training_pool import TrainingPool
    from workflows.run import rates as aggregate

    marks: dict[str, float] = {}

    def mark(owner: Any, name: str, before: str | None = None, after: str | None = None) -> None:
        """The first call of a function ends the phase `before`; its last return the phase `after`."""
        function = getattr(owner, name)

        def marked(*arguments: Any, **options: Any) -> Any:
            if before is not None:
                marks.setdefault(before, time.time())
            result = function(*arguments, **options)
            if after is not None:
                marks[after] = time.time()
            return result

        setattr(owner, name, marked)

    mark(ray, "init", "imports and checks", "Ray's start")
    mark(TrainingPool, "start", "reading the images")
    mark(Loop, "_account_training", after="training, with the start of its actor")
    mark(Pool, "assign", "the start of the actors")
    mark(ray, "shutdown", "recovery", "Ray's end")
    mark(aggregate, "aggregate", after="rates")
    mark(workflows.report, "write_report", after="page")
    sys.argv = ["memrec", "demo", "--run", run]
    with suppress(SystemExit):
        cli.main()
    return marks


def shares_of_a_recovery(store: Store) -> list[Row]:
    """The units of the last checkpoint once more, in this process and one thread, as an actor does them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    experiment = experiments.load("demo")
    target = min(experiment.training.targets)
    network, metadata = load_checkpoint(store, experiment.models[0], target)
    audit, held = load_audit_set(experiment.data[0], experiment.seed), Held.of(experiment.models[0], network, metadata)
    units = [unit for unit in planned_units(Run(experiment, store))[0] if unit.target_loss == target]
    spent: dict[str, float] = defaultdict(float)
    network.forward = clocked(network.forward, spent, "the autoencoder")
    for unit in units:
        table = clocked(recover_unit, spent, unit.method)(unit, experiment, audit, held)
        clocked(store.write_table, spent, "writing Parquet")(f"again/{unit.name}.parquet", table)
    torch.set_num_threads(threads)
    methods = {unit.method for unit in units}
    whole = sum(spent[name] for name in (*methods, "writing Parquet"))
    spent["steps beside it, rows, pictures"] = whole - spent["the autoencoder"] - spent["writing Parquet"]
    names = [*sorted(methods), "the autoencoder", "steps beside it, rows, pictures", "writing Parquet"]
    note = "share of what an actor does at 1e-8"
    return [Row(f"demo, recovery: {name}", spent[name], whole, spent[name] / whole, note=note) for name in names]


def clocked(function: Callable[..., Any], spent: dict[str, float], name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spent[name] += time.perf_counter() - began

    return call


if __name__ == "__main__":
    print(json.dumps(run_marked(sys.argv[1])))
