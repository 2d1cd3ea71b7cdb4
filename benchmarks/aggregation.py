"""Aggregating 75 million rows, of 25,000 images x 6 masks x 3 methods x 167 checkpoints."""

import json
import subprocess
import sys
import tempfile
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from benchmarks.rows import Row
from workflows.experiment.loading import experiment_from
from workflows.run.catalogue import Catalogue, Image
from workflows.run.checkpoint_files import checkpoint_file, sidecar_file
from workflows.run.images import keep_catalogues
from workflows.run.plan import Plan, save_plan, with_checkpoints
from workflows.run.planning import Size, make_plan
from workflows.run.run import Run
from workflows.run.schema import SCHEMA, schema_of
from workflows.run.store import EXPERIMENT, Store
from workflows.run.unit import Unit


class Shape(NamedTuple):
    """How large a synthetic run is, of three methods; a unit holds so many `recoveries`."""

    images: int
    masks: int
    checkpoints: int
    recoveries: int


LARGE = Shape(25_000, 6, 167, 25_000)
AGGREGATE = """
import resource, sys, time
began = time.perf_counter()
import workflows
from workflows.run.rates import aggregate
rates = aggregate(workflows.open_run(sys.argv[1]))
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, rates["images"].sum())
"""


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        written = write_run(Store(folder))
        called = subprocess.run(
            [sys.executable, "-c", AGGREGATE, folder], capture_output=True, text=True, check=True, timeout=1800
        )
    took, peak, counted = map(float, called.stdout.splitlines()[-1].split())
    if counted != written:
        raise AssertionError(f"{counted} of {written} rows were aggregated")
    what = f"aggregation of {written / 1e6:.0f} million rows"
    return [
        Row(f"{what}: time", took, 60.0, took / 60, 1.0, at_most=True, note="rival: what is allowed"),
        Row(f"{what}: peak memory", peak, 2.0, peak / 2, 1.0, at_most=True, unit="GiB", note="rival: what is allowed"),
    ]


def write_run(store: Store, shape: Shape = LARGE) -> int:
    """A run as it would be, of pictures that are gone by now, with measured columns that are drawn at random; returns
    how many rows it has."""
    experiment = experiment_from(
        {
            "name": "synthetic",
            "data": {
                "name": "image_folder",
                "root": "elsewhere",
                "size": 64,
                "count": shape.images,
                "control_count": 0,
            },
            "models": [{"architecture": "fc10"}],
            "training": {"targets": np.geomspace(1e-3, 1e-8, shape.checkpoints).tolist()},
            "degradations": [{"mask": number} for number in range(1, shape.masks + 1)],
        }
    )
    store.write(EXPERIMENT, experiment.to_yaml().encode())
    ids = tuple(f"image_{i:05}" for i in range(shape.images))
    catalogue = Catalogue(tuple(Image("train", id_, None, id_) for id_ in ids))
    catalogues = {experiment.data[0].label: catalogue}
    keep_catalogues(store, catalogues)
    plan = save_plan(
        Run(experiment, store),
        Plan(tuple(make_plan(experiment, catalogues, lambda kind: Size(shape.recoveries, 512)))),
    )
    [model] = experiment.models
    digests = {}
    for number, target in enumerate(experiment.training.targets):
        digests[model.label, target] = f"{number:016}"
        entry = {"digest": f"{number:016}", "model": model.label, "target": target, "loss": target}
        entry |= {**model.described(experiment.seed), "trained_on": catalogue.fingerprint("train")}
        store.write(sidecar_file(checkpoint_file(model.label, target)), json.dumps(entry).encode())
    units, _ = with_checkpoints(plan.units, digests)
    random = np.random.default_rng(42)
    for unit in units:
        store.write_table(unit.file, table(unit, ids[unit.start : unit.stop], random))
    return sum(map(len, units))


def table(unit: Unit, ids: tuple[str, ...], random: np.random.Generator) -> pa.Table:
    count = len(unit)
    mse = 10 ** random.uniform(-9, -1, count)
    columns = {
        "model": unit.model,
        "checkpoint": unit.checkpoint,
        "target_loss": unit.target_loss,
        "train_loss": unit.target_loss,
        "data_set": unit.data_set,
        "split": "train",
        "image_id": ids,
        "degradation": unit.degradations[0],
        "fraction_missing": 0.25,
        "noise_std": 0.0,
        "method": unit.method,
        "seed": 42,
        "multiplicity": 1,
        "mse": mse,
        "psnr": -10 * np.log10(mse),
        "mse_missing": mse,
        "status": "converged",
        "outer_iterations": random.integers(1, 50, count),
        "evaluations": random.integers(39, 2000, count),
        "mask_error": random.random(count),
        "seconds": 0.1,
    }
    arrays = []
    for field in SCHEMA:
        value = columns.get(field.name)
        constant = value is None or isinstance(value, str | int | float)
        arrays.append(pa.array([value] * count if constant else value, field.type))
    return pa.Table.from_arrays(arrays, schema=schema_of(unit.name, unit.images))
