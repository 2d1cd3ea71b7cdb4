"""Figures that can't be wrong without a word: pictures, files and checkpoints that are not a run's own are refused, or
set aside and made anew by the same command."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.conftest import make_run, results
from workflows.experiment import loading as experiments
from workflows.run.planning import Size
from workflows.work.measure import USUAL_BATCH

EXPERIMENT = """
name: pictures
data: {name: image_folder, root: pictures, size: 8}
models: [{architecture: fc10, width: 16}]
training: {targets: [0.05]}
degradations: [{mask: center}, {mask: bottom}]
methods: [known_mask]
images_per_unit: 2
"""
CHECKPOINT = "checkpoints/fc10-leaky_relu/0.05.safetensors"


def sizes(kind: object) -> Size:
    return Size(2, USUAL_BATCH)


def fill(folder: Path, *seeds: int) -> None:
    folder.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds):
        pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{number}.png")


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """An experiment on a folder of eight pictures, of which the last is the first one again, under another name."""
    fill(tmp_path / "pictures", *range(7), 0)
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT)
    return tmp_path / "experiment.yaml"


def test_pictures_that_were_replaced_since_the_training_are_refused(memrec, run_small, cluster, experiment, tmp_path):
    run, place = tmp_path / "run", ("--address", cluster)
    make_run(experiments.load(str(experiment)), run, sizes)
    shutil.rmtree(run / "recovery")  # as after the training
    fill(experiment.parent / "pictures", *range(3), *range(100, 105))
    for called in (run_small(run, experiment=experiment), memrec("train", experiment, "--run", run, *place)):
        assert called.status == 2
        assert called.err.count("\n") == 1
        assert re.search(r"of 8, 5 have other pixels \(first: train/p\d.png\)", called.err)
    assert not (run / "recovery").exists()


@pytest.mark.long
def test_copies_are_said_wherever_the_figures_stand(memrec, run_small, experiment, tmp_path):
    run = tmp_path / "run"
    called = run_small(run, experiment=experiment)
    said = "1 of 4 control images are near-duplicates of training images, and are left out"
    assert said in called.out
    assert said in memrec("aggregate", run).out
    assert said in memrec("status", run).out
    assert said in (run / "report" / "index.html").read_text()
    rates = pd.read_parquet(run / "rates.parquet")
    assert rates.groupby("split")[["images", "copies", "left_out"]].first().values.tolist() == [[3, 3, 1], [4, 4, 0]]
    make_run(experiments.load(str(experiment)).keeping_duplicates(), tmp_path / "kept", sizes)
    kept = run_small(tmp_path / "kept", "--keep-duplicates", experiment=experiment)
    assert "count as control all the same" in kept.out
    assert "Control images were never trained on" not in (tmp_path / "kept" / "report" / "index.html").read_text()
    assert pd.read_parquet(tmp_path / "kept" / "rates.parquet").groupby("split")["seen"].first().to_dict() == {
        "control": 1,
        "train": 0,
    }


@pytest.mark.long
def test_one_command_sets_aside_what_is_not_the_runs_own_and_makes_it_anew(run_small, experiment, tmp_path):
    run = tmp_path / "run"
    make_run(experiments.load(str(experiment)), run, sizes)
    whole = results(run)
    repeated, folder, sibling, missing, short, poor, *sound = sorted(run.glob("recovery/**/*.parquet"))
    before = {path: path.stat().st_mtime_ns for path in sound}
    assert len(before) == 2
    table = pq.read_table(repeated)
    pq.write_table(table.take([0] * len(table)), repeated)
    shutil.copy(folder, sibling)
    folder.unlink()
    (folder / "inner").mkdir(parents=True)
    shutil.copy(missing, folder / "inner" / "x.parquet")
    shutil.copy(missing, run / "recovery" / "stray.parquet")
    missing.unlink()
    short.write_bytes(short.read_bytes()[:-20])
    pq.write_table(pq.read_table(poor).drop_columns(["mse"]), poor)
    damaged = bytearray((run / CHECKPOINT).read_bytes())
    damaged[-3] ^= 1
    (run / CHECKPOINT).write_bytes(damaged)
    called = run_small(run, experiment=experiment)
    assert called.status == 0, called
    assert "does not fit its sidecar" in called.out
    assert "rows of other images than its unit's" in called.out
    assert f"{short} had damaged rows" in called.out
    assert f"{poor} had no column mse" in called.out
    assert {path: path.stat().st_mtime_ns for path in sound} == before
    pd.testing.assert_frame_equal(results(run), whole)
    aside = [path.name for path in (run / "set_aside").iterdir()]
    assert (
        sum(name.startswith("recovery_") for name in aside) == 6
    )  # stray file, folder, sibling, repeated, short, poor
    assert sum(name.startswith("checkpoints_") for name in aside) == 3  # the checkpoint's two, and the training's state


@pytest.mark.long
def test_checkpoint_of_which_a_file_is_a_folder_is_trained_again(run_small, experiment, tmp_path):
    run = tmp_path / "run"
    make_run(experiments.load(str(experiment)), run, sizes)
    whole = results(run)
    (run / CHECKPOINT).unlink()
    (run / CHECKPOINT).mkdir()
    called = run_small(run, experiment=experiment)
    assert called.status == 0, called
    assert "and it is made again" in called.out
    pd.testing.assert_frame_equal(results(run), whole)
