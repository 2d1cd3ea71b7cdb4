"""A network from outside, trained by a script that knows nothing of memrec, is asked what it remembers."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from PIL import Image

from memrec_core import autoencoders, datasets, degradations, metrics, recovery
from tests.conftest import Called

SHAPE = (1, 28, 20)
ENTRY = (
    "given: 'tests.core.outside.nets:dense', weights: weights.safetensors, label: mine, range: [-1, 1], output: recon"
)
MINE = f"""
name: mine
data: {{name: image_folder, root: pictures, count: 12, size: [28, 20], channels: 1}}
models: [{{{ENTRY}, gamma: 1.0}}]
degradations: [{{mask: bottom}}, {{downsample: 2}}]
methods: [unknown_mask, known_mask, biharmonic]
recovery: {{max_iterations: 20}}
images_per_unit: 12
pictures: 2
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures, a network that was trained on every other one, and an experiment about it."""
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "pictures").mkdir()
    photos = datasets.load("photos", count=24, size=(28, 20), channels=1, seed=1)
    for number, image in enumerate(photos.images):
        pixels = image[0].mul(255).round().byte().numpy()
        Image.fromarray(pixels).save(folder / "pictures" / f"{number:02}.png")
    (folder / "mine.yaml").write_text(MINE)
    trained = datasets.load("image_folder", root=str(folder / "pictures"), count=12, size=(28, 20), channels=1)
    np.save(folder / "images.npy", trained.images.numpy())
    script = [sys.executable, "-m", "tests.core.outside.train", folder / "images.npy", folder / "weights.safetensors"]
    subprocess.run(script, check=True, capture_output=True)
    return folder


@pytest.fixture
def copied(theirs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(theirs, tmp_path / "theirs"))


@pytest.fixture(scope="module")
def run(theirs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs") / "mine"


def test_its_training_images_come_back_and_control_images_do_not(
    run_small: Callable[..., Called], theirs: Path, run: Path, memrec
):
    called = run_small(run, experiment=theirs / "mine.yaml")
    assert called.status == 0, called.err
    assert "not applicable, and left out: unknown_mask, biharmonic under downsample_2" in called.out
    rates = pd.read_parquet(run / "rates.parquet").set_index(["model", "degradation", "method", "split"])
    found = rates["accurate_rate"]
    assert found["mine", "bottom", "known_mask", "train"] > 0.8
    assert found["mine", "downsample_2", "known_operator", "train"] > 0.8
    assert found["mine", "bottom", "unknown_mask", "train"] > 0.7
    assert (found[found.index.get_level_values("split") == "control"] == 0).all()
    assert rates["target_loss"].isna().all()
    results = pd.read_parquet(run / "recovery")
    assert results[["target_loss", "train_loss"]].isna().all(axis=None)
    erased = results["degradation"] == "bottom"
    assert (results["fraction_missing"].notna() == erased).all()
    assert (results["mask_error"].notna() == (results["method"] == "unknown_mask")).all()
    sidecar = json.loads((run / "checkpoints" / "mine" / "given.json").read_text())
    assert set(results["checkpoint"]) == {sidecar["digest"], ""}
    assert "checkpoints" in memrec("status", run).out
    assert memrec("picture", run, "--image", 1).status == 0
    page = (run / "report" / "index.html").read_text()
    assert "what the experiment says of the given networks" in page
    assert "from mine" in page
    assert "at a training loss" not in page


def test_its_rows_are_those_of_three_lines_in_python(theirs: Path, run: Path):
    train = datasets.load("image_folder", root=str(theirs / "pictures"), count=12, size=(28, 20), channels=1)
    degraded = degradations.Erasure("bottom").degrade(train.images)
    network = autoencoders.given(
        "tests.core.outside.nets:dense", theirs / "weights.safetensors", range=(-1, 1), output="recon"
    )
    ids = [f"train/{id_}" for id_ in train.ids]
    found = recovery.recover_unknown_mask(network, degraded, gamma=1.0, ids=ids, max_iterations=20)
    error = metrics.mse(found.images, train.images)
    rows = pd.read_parquet(run / "recovery")
    rows = rows[(rows["split"] == "train") & (rows["degradation"] == "bottom") & (rows["method"] == "unknown_mask")]
    expected = rows.set_index("image_id")["mse"].reindex(train.ids).to_numpy()
    assert ((error.numpy() < 1e-7) == (expected < 1e-7)).all()
    assert np.allclose(np.log10(error.numpy()), np.log10(expected), atol=0.5)


@pytest.mark.long
def test_networks_with_the_same_weights_are_each_asked_with_their_own_gamma(
    run_small: Callable[..., Called], copied: Path, tmp_path: Path
):
    """They lie side by side in the queue, and one actor has both."""
    two = f"models: [{{{ENTRY}, gamma: 1.0}}, {{{ENTRY.replace('label: mine', 'label: theirs')}, gamma: 0.05}}]"
    text = re.sub("models:.*", two, MINE).replace("[{mask: bottom}, {downsample: 2}]", "[{mask: bottom}]")
    text = text.replace("images_per_unit: 12", "images_per_unit: 6").replace(", known_mask, biharmonic", "")
    text = text.replace("max_iterations: 20", "max_iterations: 12")
    (copied / "twins.yaml").write_text(text)
    called = run_small(tmp_path / "run", "--actors", 1, experiment=copied / "twins.yaml")
    assert called.status == 0, called.err
    rows = pd.read_parquet(tmp_path / "run" / "recovery").set_index("image_id")
    rows = rows[(rows["split"] == "train") & (rows["method"] == "unknown_mask")]
    train = datasets.load("image_folder", root=str(copied / "pictures"), count=12, size=(28, 20), channels=1)
    network = autoencoders.given(
        "tests.core.outside.nets:dense", copied / "weights.safetensors", range=(-1, 1), output="recon"
    )
    degraded, ids = degradations.Erasure("bottom").degrade(train.images), [f"train/{id_}" for id_ in train.ids]
    expected = {}
    for label, gamma in (("mine", 1.0), ("theirs", 0.05)):
        found = recovery.recover_unknown_mask(network, degraded, gamma=gamma, ids=ids, max_iterations=12)
        expected[label] = found.evaluations.numpy()
        evaluations = rows[rows["model"] == label]["evaluations"].reindex(train.ids)
        assert np.allclose(evaluations, expected[label], rtol=0.2), label
    assert not np.allclose(expected["mine"], expected["theirs"], rtol=0.2)  # else nothing was told apart


def test_run_goes_on_without_the_weights_file_but_not_with_another(
    run_small: Callable[..., Called], copied: Path, run: Path, tmp_path: Path
):
    again = Path(shutil.copytree(run, tmp_path / "run"))
    for file in list((again / "recovery" / "mine").rglob("*.parquet"))[:2]:
        file.unlink()
    weights = copied / "weights.safetensors"
    kept = weights.read_bytes()
    weights.unlink()
    called = run_small(again, experiment=copied / "mine.yaml")
    assert called.status == 0, called.err
    before, after = (pd.read_parquet(folder / "recovery").drop(columns="seconds") for folder in (run, again))
    key = ["model", "degradation", "method", "split", "image_id"]
    pd.testing.assert_frame_equal(*(one.sort_values(key, ignore_index=True) for one in (before, after)))
    tensors = safetensors.torch.load(kept)
    tensors["body.0.bias"] = tensors["body.0.bias"] + 1e-3
    safetensors.torch.save_file(tensors, weights)
    for _ in range(2):  # done, and with work left
        called = run_small(again, experiment=copied / "mine.yaml")
        assert called.status == 2
        assert "the weights of model mine are not those that" in called.err
        next((again / "recovery" / "mine").rglob("*.parquet")).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("output: recon", "output: nothing", ["model mine", "nothing", "recon"]),
        ("size: [28, 20]", "size: [28, 28]", ["model mine", "28, 28"]),
        ("outside.nets:dense", "outside.nets:dens", ["model mine", "did you mean 'dense'"]),
        ("outside.nets:dense", "outside.nowhere:dense", ["model mine", "can't be imported"]),
        ("weights.safetensors", "missing.safetensors", ["model mine", "missing.safetensors", "can't be read"]),
        ("range: [-1, 1]", "range: [1, -1]", ["models.0", "lower bound first"]),
        ("gamma: 1.0", "gama: 0.5", ["models.0.gama", "did you mean 'gamma'"]),
        ("gamma: 1.0", "width: 3", ["models.0.width: unknown key"]),
    ],
)
def test_what_is_wrong_with_its_entry_is_said_before_any_work(
    memrec, copied: Path, old: str, new: str, words: list[str]
):
    file = copied / "mine.yaml"
    file.write_text(MINE.replace(old, new))
    called = memrec("run", file, "--run", copied / "run")
    assert called.status == 2
    assert called.err.count("\n") == 1
    for word in words:
        assert word in called.err
    assert not (copied / "run").exists()


def test_range_that_is_not_its_own_is_refused_before_anything_is_recovered(
    memrec, run_small: Callable[..., Called], copied: Path
):
    """Under it nothing would come back, which would pass for a network that keeps nothing."""
    file = copied / "mine.yaml"
    file.write_text(MINE.replace("range: [-1, 1], ", ""))
    for called in (memrec("plan", file, "--run", copied / "run"), run_small(copied / "run", experiment=file)):
        assert called.status == 2
        assert "model mine: " in called.err
        assert "so it was trained in that range; give --range -1,1 (in Python range=(-1, 1), " in called.err
        assert "in an experiment's file range: [-1, 1])" in called.err
    assert not (copied / "run" / "recovery").exists()


def test_weights_that_torch_saved_are_read_where_that_is_allowed(memrec, copied: Path):
    torch.save(safetensors.torch.load_file(copied / "weights.safetensors"), copied / "weights.pt")
    file = copied / "mine.yaml"
    file.write_text(MINE.replace("weights.safetensors", "weights.pt"))
    called = memrec("plan", file, "--run", copied / "run")
    assert called.status == 2
    assert "--allow-torch-weights" in called.err
    called = memrec("plan", file, "--run", copied / "run", "--allow-torch-weights")
    assert called.status == 0, called.err
    assert "given:      mine, asked of image_folder, 0.2 million weights" in called.out


PLAIN = """
name: plain
data: {name: photos, count: 6, size: 16}
models: [{given: "tests.core.outside.nets:FACTORY", label: mine}]
degradations: [{mask: center}]
methods: [known_mask]
images_per_unit: 6
"""


@pytest.mark.parametrize(
    ("factory", "words"),
    [("unseeded", "builds another network each time"), ("Extra", "_extra_state is {'version': 1}, which no file")],
)
def test_network_that_no_file_of_weights_can_hold_is_refused_before_any_work(
    memrec, tmp_path: Path, factory: str, words: str
):
    (tmp_path / "plain.yaml").write_text(PLAIN.replace("FACTORY", factory))
    called = memrec("run", tmp_path / "plain.yaml", "--run", tmp_path / "run")
    assert (called.status, called.err.count("\n")) == (2, 1), called
    assert words in called.err
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_network_without_a_file_of_weights_is_the_same_each_time(run_small: Callable[..., Called], tmp_path: Path):
    (tmp_path / "plain.yaml").write_text(PLAIN.replace("FACTORY", "Restless"))
    assert run_small(tmp_path / "run", experiment=tmp_path / "plain.yaml").status == 0
    before = pd.read_parquet(tmp_path / "run" / "recovery")
    next((tmp_path / "run" / "recovery").rglob("*.parquet")).unlink()
    torch.manual_seed(7)
    called = run_small(tmp_path / "run", experiment=tmp_path / "plain.yaml")
    assert called.status == 0, called.err
    after = pd.read_parquet(tmp_path / "run" / "recovery")
    key = ["split", "image_id"]
    assert before.sort_values(key)["mse"].tolist() == after.sort_values(key)["mse"].tolist()


def test_weights_file_that_is_there_and_can_not_be_read_is_not_passed_over(
    run_small: Callable[..., Called], copied: Path, run: Path, tmp_path: Path
):
    again = Path(shutil.copytree(run, tmp_path / "run"))
    (copied / "weights.safetensors").write_bytes(b"garbage")
    called = run_small(again, experiment=copied / "mine.yaml")
    assert called.status == 2
    assert "weights.safetensors is not a safetensors file" in called.err


def test_file_does_not_allow_what_only_the_user_may(memrec, copied: Path):
    file = copied / "mine.yaml"
    file.write_text(MINE.replace("gamma: 1.0", "allow_torch_weights: true"))
    called = memrec("plan", file)
    assert called.status == 2
    assert "unknown key 'allow_torch_weights'" in called.err
