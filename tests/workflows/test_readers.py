"""A run's results, read by others, by README's own lines: of a folder, and the same of a bucket.
tests/distributed/test_ray_data.py has Ray Data's."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import duckdb
import fsspec
import numpy as np
import pandas as pd
import polars
import pyarrow.parquet as pq
import pytest

from memrec_core import datasets as data_sets
from tests.conftest import KEY, make_run
from tests.distributed import s3
from workflows.experiment import loading as experiments
from workflows.run.planning import Size
from workflows.run.store import Store

README = Path(__file__).parents[2] / "README.md"
LINES = dict(re.findall(r'^rows = (\w+)(\..*?"\))', README.read_text(), re.MULTILINE))
"""How README reads the demo's results, by the reader."""
EXPERIMENT = """
name: readers
data: {name: photos, count: 4, size: 8}
models: [{architecture: fc10, width: 16}]
training: {targets: [0.05]}
degradations: [{mask: center}, {mask: bottom}]
methods: [known_mask, autoencoder_iterations, biharmonic]
recovery: {max_autoencoder_iterations: 5}
pictures: 2
"""
ROWS = 2 * 3 * 8  # degradations, methods, images of both splits
COLUMNS = [*KEY, "mse", "multiplicity"]
LONG = pytest.mark.long
PLACES = ["folder", pytest.param("bucket", marks=LONG)]
IN_ROWS: dict[str, Callable[[Any], pd.DataFrame]] = {
    "pandas": lambda rows: rows,
    "polars": lambda rows: pd.DataFrame(rows.collect().to_dicts()),
    "duckdb": lambda rows: rows.df(),
    "datasets": lambda rows: pd.DataFrame(rows.select_columns(COLUMNS).to_list()),
}


def made(place: Path) -> Path:
    """A run in the place of README's: some units of one degradation, some of both."""
    folder = place / "runs/demo"
    make_run(experiments.parse(EXPERIMENT, "readers"), folder, lambda kind: Size(16 if "known" in kind[2] else 3, 8))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("readers"))


@pytest.fixture(scope="module")
def bucket(run: Path) -> Iterator[str]:
    """The run in a bucket, of a server that the environment names."""
    with s3.named_by_the_environment():
        store = Store(f"s3://{s3.BUCKET}/run")
        for path in run.rglob("*.parquet"):
            store.write(path.relative_to(run).as_posix(), path.read_bytes())
        yield store.uri


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Where the run lies, as README has it, or in the bucket."""
    monkeypatch.chdir(run.parents[1])
    for name in ("HF_DATASETS_CACHE", "DOWNLOADED_DATASETS_PATH"):
        monkeypatch.setattr(datasets.config, name, str(tmp_path / name))
    if request.param == "folder":
        yield "runs/demo"
        return
    uri = request.getfixturevalue("bucket")
    duckdb.register_filesystem(fsspec.filesystem("s3"))
    yield uri
    duckdb.unregister_filesystem("s3")


def rows_of(reader: ModuleType, place: str) -> Any:
    """What README's line for that reader returns, for the run at that place."""
    name = reader.__name__
    return eval(f"{name}{LINES[name]}".replace("runs/demo", place), {name: reader})


def check_rows(found: pd.DataFrame, run: Path) -> None:
    """They are those of the units' files, each read alone."""
    each = [pq.ParquetFile(path).read(COLUMNS).to_pandas() for path in run.glob("recovery/**/*.parquet")]
    expected = pd.concat(each).sort_values(KEY, ignore_index=True)
    assert len(expected) == ROWS
    pd.testing.assert_frame_equal(
        found[COLUMNS].sort_values(KEY, ignore_index=True), expected, check_dtype=False, check_exact=True
    )


@pytest.mark.parametrize(
    ("reader", "place"),
    [
        *((reader, "folder") for reader in (pd, polars, duckdb, datasets)),
        (pd, "bucket"),
        *(pytest.param(reader, "bucket", marks=LONG) for reader in (polars, duckdb, datasets)),
    ],
    indirect=["place"],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_readers_line_reads_the_rows(reader: ModuleType, place: str, run: Path):
    check_rows(IN_ROWS[reader.__name__](rows_of(reader, place)), run)


def test_pictures_are_pictures_to_datasets(place: str):
    rows = rows_of(datasets, place)
    columns = ("original", "degraded", "recovered")
    assert [rows.features[name] for name in columns] == [datasets.Image()] * 3
    pictured = [row for row in rows if row["original"] is not None]
    assert len(pictured) == 2 * 3 * 4  # two images of each split
    assert {(row[name].mode, row[name].size) for row in pictured for name in columns} == {("RGB", (8, 8))}
    for split in ("train", "control"):
        images = data_sets.load("photos", count=4, size=8, seed=42, split=split)
        expected = dict(zip(images.ids, images.images.mul(255).round().byte().permute(0, 2, 3, 1).numpy(), strict=True))
        for row in (row for row in pictured if row["split"] == split):
            np.testing.assert_array_equal(np.asarray(row["original"]), expected[row["image_id"]])
