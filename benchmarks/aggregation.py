"""Aggregating 75 million rows, of 25,000 images x 6 masks x 3 methods x 167 checkpoints."""

import io
import json
import sys
import tempfile
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image as Pixels

from benchmarks.processes import measured
from benchmarks.rows import Row
from workflows.experiment.loading import experiment_from
from workflows.run import planning
from workflows.run.catalogue import Catalogue, Image
from workflows.run.checkpoint_files import checkpoint_file, sidecar_file
from workflows.run.images import keep_catalogues
from workflows.run.plan import Plan, save_plan, with_checkpoints
from workflows.run.planning import Size, make_plan
from workflows.run.results import PICTURES
from workflows.run.run import Run
from workflows.run.schema import SCHEMA, schema_of
from workflows.run.store import EXPERIMENT, Store
from workflows.run.unit import Unit


class Shape(NamedTuple):
    """How large a synthetic run is, of three methods; a unit holds so many `recoveries`. `control` images and
    `pictures` of images of each split are beside, where they are asked for."""

    images: int
    masks: int
    checkpoints: int
    recoveries: int
    control: int = 0
    pictures: int = 0


LARGE = Shape(25_000, 6, 167, 25_000)
AGGREGATE = """
import sys, time
began = time.perf_counter()
import workflows
from workflows.run.rates import aggregate
rates = aggregate(workflows.open_run(sys.argv[1]))
print(time.perf_counter() - began, rates["images"].sum())
"""


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        written = write_run(Store(folder))
        called = measured([sys.executable, "-c", AGGREGATE, folder])
    took, counted = map(float, called.printed.splitlines()[-1].split())
    if counted != written:
        raise AssertionError(f"{counted} of {written} rows were aggregated")
    what, note = f"aggregation of {written / 1e6:.0f} million rows", "rival: what is allowed"
    return [
        Row(f"{what}: time", took, 60.0, took / 60, 1.0, at_most=True, note=note),
        Row(f"{what}: peak memory", called.peak, 2.0, called.peak / 2, 1.0, at_most=True, unit="GiB", note=note),
    ]


def write_run(store: Store, shape: Shape = LARGE, seed: int = 42) -> int:
    """A run as it would be, of pictures that are gone by now, with measured columns that are drawn at random, from a
    `seed`; returns how many rows it has."""
    experiment = experiment_from(
        {
            "name": "synthetic",
            "data": {
                "name": "image_folder",
                "root": "elsewhere",
                "size": 64,
                "count": shape.images,
                "control_count": shape.control,
            },
            "models": [{"architecture": "fc10"}],
            "training": {"targets": np.geomspace(1e-3, 1e-8, shape.checkpoints).tolist()},
            "degradations": [{"mask": number} for number in range(1, shape.masks + 1)],
            "pictures": shape.pictures,
        }
    )
    store.write(EXPERIMENT, experiment.to_yaml().encode())
    splits = ["train"] * shape.images + ["control"] * shape.control
    images = [Image(split, f"image_{i:05}", f"class {i % 200}", f"{i}") for i, split in enumerate(splits)]
    catalogue = Catalogue(tuple(images))
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
    random = np.random.default_rng(seed)
    for unit in units:
        store.write_table(unit.file, table(unit, images[unit.start : unit.stop], random, pictured(catalogue, unit)))
    return sum(map(len, units))


def pictured(catalogue: Catalogue, unit: Unit) -> list[bool]:
    """Of which of the unit's images pictures are kept."""
    keeps = planning.pictured(catalogue, unit, unit.pictures or 0)
    return [place in keeps for place in range(unit.start, unit.stop)]


def table(unit: Unit, images: list[Image], random: np.random.Generator, keeps: list[bool]) -> pa.Table:
    count = len(unit)
    mse = 10 ** random.uniform(-9, -1, count)
    columns = {
        "model": unit.model,
        "checkpoint": unit.checkpoint,
        "target_loss": unit.target_loss,
        "train_loss": unit.target_loss,
        "data_set": unit.data_set,
        "split": [image.split for image in images],
        "image_id": [image.id for image in images],
        "label": [image.label for image in images],
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
        **{name: [_noise(random) if kept else None for kept in keeps] for name in PICTURES if any(keeps)},
    }
    arrays = []
    for field in SCHEMA:
        value = columns.get(field.name)
        constant = value is None or isinstance(value, str | int | float)
        arrays.append(pa.array([value] * count if constant else value, field.type))
    return pa.Table.from_arrays(arrays, schema=schema_of(unit.name, unit.images))


def _noise(random: np.random.Generator) -> dict[str, bytes | None]:
    """A picture of 64 x 64 that no compression makes small."""
    buffer = io.BytesIO()
    pixels = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Pixels.fromarray(pixels).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue(), "path": None}
