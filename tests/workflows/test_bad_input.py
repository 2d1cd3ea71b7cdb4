"""The user's mistakes: exit status 2, one sentence that names the thing, no traceback, nothing lost."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from memrec_core.errors import InputError
from tests.conftest import SMALL
from workflows.experiment.resolved import Experiment
from workflows.job.worker import read_weights
from workflows.run.checkpoint_files import load_checkpoint
from workflows.run.identity import claim
from workflows.run.run import Run
from workflows.run.store import Store
from workflows.run.unit import Unit


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, small_file: Path) -> Path:
    """A run whose network is trained, and nothing more."""
    from workflows.experiment import loading as experiment
    from workflows.run.audit_set import load_audit_set
    from workflows.run.images import keep_catalogues
    from workflows.work.train import train_model

    run = tmp_path_factory.mktemp("runs") / "trained"
    loaded, store = experiment.load(str(small_file)), Store(str(run))
    audit = load_audit_set(loaded.data[0], loaded.seed)
    claim(Run(loaded, store))
    keep_catalogues(store, {"photos": audit.catalogue})
    train_model(Run(loaded, store), loaded.models[0], audit)
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def assert_one_sentence(called, *words: str) -> None:
    assert called.status == 2, called
    assert called.err.startswith("error: ")
    assert called.err.count("\n") == 1
    assert "Traceback" not in called.out + called.err
    for word in words:
        assert word in called.err


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def folder_experiment(tmp_path: Path, root: Path) -> Path:
    file = tmp_path / "own.yaml"
    file.write_text(SMALL.replace("name: photos", f"name: image_folder, root: '{root}'"))
    return file


def test_data_folder_that_is_missing(memrec, tmp_path: Path):
    file = folder_experiment(tmp_path, tmp_path / "nowhere")
    assert_one_sentence(memrec("run", file, "--run", tmp_path / "run"), "nowhere", "folder of images")


def test_data_folder_without_images(memrec, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    file = folder_experiment(tmp_path, tmp_path / "empty")
    assert_one_sentence(memrec("run", file, "--run", tmp_path / "run"), "empty", ".png")


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_damaged_image(memrec, tmp_path: Path, damage: str):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(12):
        Image.effect_noise((40, 30), 50 + i).convert("RGB").save(folder / f"{i:02}.png")
    whole = (folder / "04.png").read_bytes()
    (folder / "04.png").write_bytes({"truncated": whole[: len(whole) // 2], "text": b"hello", "empty": b""}[damage])
    file = folder_experiment(tmp_path, folder)
    assert_one_sentence(memrec("run", file, "--run", tmp_path / "run"), "04.png", "replace the file")


def test_tar_member_that_would_escape(memrec, tmp_path: Path):
    (tmp_path / "wnids.txt").write_text("n1\n")
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        archive.add(tmp_path / "wnids.txt", "tiny-imagenet-200/wnids.txt")
        archive.add(tmp_path / "wnids.txt", "tiny-imagenet-200/../../escaped.txt")
    called = memrec(
        "run", "tiny-imagenet-100", "--set", f"data.root={tmp_path / 'evil.tar'}", "--run", tmp_path / "run"
    )
    assert_one_sentence(called, "evil.tar", "escaped.txt", "escape")
    assert not list(tmp_path.parent.rglob("escaped.txt"))


def test_tiny_imagenet_without_a_root_says_how_to_give_it(memrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEMREC_DATA", str(tmp_path))
    called = memrec("run", "tiny-imagenet-100", "--run", tmp_path / "run")
    assert_one_sentence(called, "--set data.root=PATH")


@pytest.mark.parametrize(
    ("override", "word"),
    [("data.cuont=3", "did you mean 'count'"), ("seed=often", "often"), ("data.name=fotos", "did you mean 'photos'")],
)
def test_wrong_key_type_or_name(memrec, small_file: Path, tmp_path: Path, override: str, word: str):
    assert_one_sentence(memrec("run", small_file, "--set", override, "--run", tmp_path / "run"), word)


@pytest.mark.parametrize(
    "override",
    ["models.0.architecture=fc11", "models.0.activation=gelu", "degradations.0.mask=centre", "data.count=100000"],
)
def test_wrong_name_or_count_leaves_no_run_behind(
    memrec, cluster: str, small_file: Path, tmp_path: Path, override: str
):
    called = memrec("run", small_file, "--set", override, "--run", tmp_path / "run", "--address", cluster)
    assert_one_sentence(called, override.partition("=")[2])
    assert not (tmp_path / "run").exists()  # so that the corrected experiment can have the folder


def test_run_folder_of_another_experiment(memrec, small_file: Path, run: Path):
    before = contents(run)
    called = memrec("run", small_file, "--set", "seed=7", "--run", run)
    assert_one_sentence(called, str(run), "another experiment", "choose another --run")
    assert contents(run) == before


def test_run_folder_that_is_a_file(memrec, small_file: Path, tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    assert_one_sentence(memrec("run", small_file, "--run", tmp_path / "file"), "file", "new or empty")
    assert (tmp_path / "file").read_text() == "mine"


def test_folder_that_can_not_be_written(memrec, cluster: str, small_file: Path):
    assert_one_sentence(
        memrec("run", small_file, "--run", "/proc/memrec", "--address", cluster), "/proc/memrec", "can't be written"
    )


def test_checkpoint_that_does_not_fit_its_sidecar(memrec, cluster: str, small_file: Path, run: Path):
    folder = run / "checkpoints" / "fc10-leaky_relu"
    shutil.copy(folder / "0.01.safetensors", folder / "0.001.safetensors")
    called = memrec("recover", small_file, "--run", run, "--actors", 1, "--address", cluster)
    assert_one_sentence(called, "0.001.safetensors", "does not fit its sidecar")
    assert (folder / "0.01.safetensors").exists()


def test_checkpoint_replaced_since_its_unit_was_planned_is_not_recovered_from(small: Experiment, run: Path):
    sidecar = json.loads((run / "checkpoints" / "fc10-leaky_relu" / "0.01.json").read_text())
    unit = Unit("photos", "fc10-leaky_relu", 1e-2, "unknown_mask", ("center",), 0, 6, "", "", 6, sidecar["digest"])
    assert read_weights(Run(small, Store(str(run))), unit)[1].data.size
    with pytest.raises(InputError, match=r"fc10-leaky_relu 0\.01 was replaced; give the command again"):
        read_weights(Run(small, Store(str(run))), replace(unit, checkpoint="another"))


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_pickle_in_the_place_of_a_checkpoint_is_not_opened(small: Experiment, run: Path, tmp_path: Path):
    file = run / "checkpoints" / "fc10-leaky_relu" / "0.001.safetensors"
    file.write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(InputError, match=r"0\.001\.safetensors.*pickle"):
        load_checkpoint(Store(str(run)), small.models[0], 1e-3)
    assert not (tmp_path / "exploded").exists()


def test_recover_before_train(memrec, small_file: Path, tmp_path: Path):
    called = memrec("recover", small_file, "--run", tmp_path / "run")
    assert_one_sentence(called, "0.01.safetensors", "memrec train")


@pytest.mark.parametrize("command", ["aggregate", "report", "status"])
def test_folder_that_is_no_run(memrec, tmp_path: Path, command: str):
    assert_one_sentence(memrec(command, tmp_path), str(tmp_path), "not a run of memrec")


@pytest.mark.parametrize(("command", "word"), [("aggregate", "no plan yet"), ("report", "rates.parquet")])
def test_step_before_its_turn(memrec, run: Path, command: str, word: str):
    assert_one_sentence(memrec(command, run), word)


def test_network_that_no_memory_could_hold(memrec, small_file: Path, tmp_path: Path):
    called = memrec("run", small_file, "--run", tmp_path / "run", "--set", "models.0.width=99999999999")
    assert_one_sentence(called, "models.0: autoencoder fc10", "choose a smaller one")


def test_more_gpus_than_this_machine_has(small_file: Path, tmp_path: Path):
    # In a process of its own: one that has been on this machine's own Ray gets no actors on another cluster any more.
    command = [sys.executable, "-m", "workflows", "run", small_file, "--run", tmp_path / "run"]
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    called = subprocess.run(
        [*command, "--gpus-per-actor", "1"], env=hidden, capture_output=True, text=True, check=False
    )
    assert (called.returncode, called.stderr.count("\n")) == (2, 1), called
    assert "--gpus-per-actor 1 is more than the 0 GPUs of this machine" in called.stderr
    assert not (tmp_path / "run").exists()


def test_cluster_that_does_not_answer(memrec, small_file: Path, tmp_path: Path):
    called = memrec("submit", small_file, "--run", tmp_path / "run", "--address", "http://127.0.0.1:9")
    assert_one_sentence(called, "127.0.0.1:9", "dashboard")
