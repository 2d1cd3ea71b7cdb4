"""A run whose experiment grows, shrinks and moves: what is there stays, and what is missing alone is done."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import workflows
from tests.conftest import Called, make_run
from tests.distributed.test_evidence import fill
from workflows.experiment import loading as experiments
from workflows.run.planning import Size
from workflows.run.rates import aggregate
from workflows.run.run import Run

SMALL = """
name: small
data: {name: photos, count: 6, size: 16}
models: [{architecture: fc10, width: 48}]
training: {targets: [1e-2, 1e-3]}
degradations: [{mask: center}, {mask: random_80, noise_std: 0.02}]
methods: [unknown_mask, known_mask]
recovery: {max_iterations: 5}
images_per_unit: 24
pictures: 1
"""
GROWN = {
    "method": ("known_mask]", "known_mask, autoencoder_iterations]"),
    "degradation": ("[{mask: center}", "[{mask: stripes}, {mask: center}"),
    "target": ("1e-3]", "1e-3, 4e-4]"),
    "model": ("width: 48}", "width: 48}, {architecture: fc10, width: 40, label: other}"),
    "data set": (
        "data: {name: photos, count: 6, size: 16}",
        "data: [{name: photos, count: 6, size: 16}, {name: photos, label: eight, count: 4, size: 8}]",
    ),
}
LONG = pytest.mark.long
KEY = ["data_set", "model", "target_loss", "degradation", "method", "split", "image_id"]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the small experiment."""
    return finish(SMALL, tmp_path_factory.mktemp("grown") / "run")


def finish(text: str, run: Path) -> Path:
    """A finished run of an experiment's text, made in this process."""
    made = experiments.parse(text, "small")
    aggregate(Run(made, make_run(made, run, lambda kind: Size(24, 24))))
    return run


@pytest.fixture
def run_of(run_small: Callable[..., Called], tmp_path: Path) -> Callable[..., Called]:
    """Calls `memrec run` on an experiment's text."""

    def call(text: str, run: Path, *options: object) -> Called:
        file = tmp_path / "experiment.yaml"
        file.write_text(text)
        return run_small(run, *options, experiment=file)

    return call


@pytest.fixture
def run(begun: Path, tmp_path: Path) -> Path:
    """A copy of it, for the test to grow."""
    return Path(shutil.copytree(begun, tmp_path / "run"))


def files(run: Path) -> dict[str, int]:
    """The unit files among the results, and when they were written."""
    found = sorted((run / "recovery").rglob("*.parquet"))
    return {str(path.relative_to(run)): path.stat().st_mtime_ns for path in found}


def rows(run: Path) -> pd.DataFrame:
    return pd.read_parquet(run / "recovery").sort_values(KEY, ignore_index=True)


@LONG
@pytest.mark.parametrize("grown", [["method", "degradation", "target"], ["model", "data set"]], ids=" and ".join)
def test_what_is_new_alone_is_done_and_gives_what_a_fresh_run_gives(run_of, run: Path, tmp_path: Path, grown: list):
    before, text = files(run), SMALL
    for what in grown:
        text = text.replace(*GROWN[what])
    called = run_of(text, run)
    assert called.status == 0, called
    assert "recovery: 96 of " in called.out
    assert {name: files(run).get(name) for name in before} == before, "what was there is as it was"
    assert "set aside" not in called.out
    finish(text, tmp_path / "fresh")
    both, fresh = rows(run), rows(tmp_path / "fresh")
    labels = {"fc10-leaky_relu-photos": "fc10-leaky_relu"}  # what a run calls its networks it goes on calling them
    fresh = fresh.assign(model=fresh["model"].replace(labels)).sort_values(KEY, ignore_index=True)
    assert both[KEY].equals(fresh[KEY])
    assert both["status"].equals(fresh["status"])
    assert np.allclose(both["mse"], fresh["mse"], rtol=1e-3)  # batches of other sizes sum in another order
    assert len(workflows.open_run(str(run)).rates()) == len(both.groupby([*KEY[:-1]], dropna=False))


def test_sentence_names_what_is_new(run_of, run: Path):
    text = SMALL.replace(*GROWN["method"]).replace(*GROWN["degradation"])
    assert (
        "96 of 216 recoveries are there; 120 to do: degradation stripes, method autoencoder_iterations\n"
        in run_of(text, run).out
    )


def test_what_is_not_asked_for_is_set_aside_and_comes_back(run_of, run: Path):
    """Whatever it is: test_growth.py has the others, without Ray."""
    whole = rows(run)
    called = run_of(SMALL.replace("{mask: center}, ", ""), run)
    assert (called.status, "48 of 48 recoveries are there; nothing is to do" in called.out) == (0, True), called
    left = rows(run)
    assert len(left) == 48
    pd.testing.assert_frame_equal(left, whole.merge(left[KEY], on=KEY)[left.columns])
    called = run_of(SMALL, run)
    assert (called.status, "96 of 96 recoveries are there; nothing is to do" in called.out) == (0, True), called
    pd.testing.assert_frame_equal(rows(run), whole)


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("width: 48}", "width: 48, gamma: 0.3}", "models.fc10-leaky_relu.gamma is 0.5 there, and 0.3 here"),
        ("width: 48}", "width: 47}", "models.fc10-leaky_relu.width is 48 there, and 47 here"),
        ("max_iterations: 5", "max_iterations: 6", "methods.unknown_mask.max_iterations is 5 there, and 6 here"),
        ("count: 6", "count: 5", "data.photos.count is 6 there, and 5 here"),
        (
            "[1e-2, 1e-3]",
            "[1e-2, 1e-3], learning_rate: 0.01",
            "leaky_relu.learning_rate is 0.001 there, and 0.01 here",
        ),
        ("name: small", "seed: 3\nname: small", "seed is 42 there, and 3 here"),
        ("photos, count", "photos, label: mine, count", r"of its data \(photos\) this one has none \(mine\)"),
    ],
)
def test_what_would_give_a_row_another_value_is_refused(run_of, run: Path, was: str, now: str, said: str):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    called = run_of(SMALL.replace(was, now), run)
    assert (called.status, called.err.count("\n")) == (2, 1), called
    assert said.replace("\\", "") in called.err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@LONG
def test_more_pictures_are_kept_of_what_is_there(run_of, run: Path):
    whole = rows(run)
    assert run_of(SMALL.replace("pictures: 1", "pictures: 3"), run).status == 0
    grown = rows(run)
    assert grown[grown["original"].notna()].groupby("split")["image_id"].nunique().to_dict() == {
        "train": 3,
        "control": 3,
    }
    assert grown[KEY].equals(whole[KEY])
    assert np.allclose(grown["mse"], whole["mse"], rtol=1e-3)
    assert run_of(SMALL, run).status == 0  # fewer are wished for, and none is thrown away
    pd.testing.assert_frame_equal(rows(run), grown)


@pytest.fixture
def moved(tmp_path: Path) -> tuple[Path, Path, str]:
    """A finished run whose folder and data have moved: its experiment's file, its folder and the place of its data."""
    fill(tmp_path / "here", *range(8))
    data = f"{{name: image_folder, root: {tmp_path / 'here'}, size: 8}}"
    text = SMALL.replace("{name: photos, count: 6, size: 16}", data)
    finish(text, tmp_path / "run")
    shutil.move(tmp_path / "here", tmp_path / "there")
    shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    (tmp_path / "again.yaml").write_text(text)
    return tmp_path / "again.yaml", tmp_path / "elsewhere", f"data.root={tmp_path / 'there'}"


def test_run_whose_folder_and_data_have_moved_is_done_already_without_ray(memrec, moved):
    file, run, place = moved
    nobody = "127.0.0.1:1"
    called = memrec("run", file, "--run", run, "--set", place, "--address", nobody)
    assert (called.status, "units are done already" in called.out) == (0, True), called
    assert memrec("picture", run).status == 0, "the run knows where its pictures are now"


@LONG
def test_that_a_run_is_done_already_is_known_in_seconds(memrec, moved):
    file, run, place = moved
    began = time.monotonic()
    assert memrec("run", file, "--run", run, "--set", place).status == 0
    assert time.monotonic() - began < 5
