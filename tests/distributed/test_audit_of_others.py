"""Networks that memrec did not build, overfitted: the command and three lines of Python say the same of them."""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import memrec_core as memrec_in_python
from memrec_core import datasets, metrics
from memrec_core.autoencoders import forms
from tests import onnx_files, overfitted
from tests.conftest import Called
from tests.core.outside import nets
from tests.core.outside.nets import Telling
from tests.overfitted import Overfitted

SAME = ("verdict", "sentence", "decided_by", "any_attack", "attacks", "membership", "instrument", "exchangeability")


def sides_of(own: Overfitted) -> list[datasets.ImageSet]:
    """Both folders, as a user of Python reads them."""
    train, control = own.folder / "train", own.folder / "control"
    return [
        datasets.load("image_folder", root=folder, control_root=other, size=own.side, channels=1)
        for folder, other in ((train, control), (control, train))
    ]


def called_on(memrec: Callable[..., Called], cluster: str, own: Overfitted, *options: object) -> Called:
    folders = ("--train", own.folder / "train", "--control", own.folder / "control", "--run", own.folder / "run")
    return memrec("audit", own.model, *folders, *own.flags, "--address", cluster, "--actors", 2, *options)


def by_command(memrec: Callable[..., Called], cluster: str, own: Overfitted, *options: object) -> dict[str, Any]:
    called = called_on(memrec, cluster, own, *options)
    assert called.status == 3, called.err
    return json.loads((own.folder / "run" / "audit.json").read_text())


def by_python(own: Overfitted, *sides: Any) -> dict[str, Any]:
    return json.loads(memrec_in_python.audit(own.model, *sides, weights=own.weights, **own.settings).to_json())


def enlarge(folder: Path) -> None:
    """Make each picture twice as large."""
    for path in folder.iterdir():
        with Image.open(path) as image:
            larger = image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST)
        larger.save(path)


@pytest.mark.long
def test_command_and_python_say_the_same(memrec, cluster: str, tmp_path: Path):
    own = overfitted.that_samples(tmp_path)
    enlarge(own.folder / "control")
    in_run, in_python = by_command(memrec, cluster, own), by_python(own, *sides_of(own))
    assert in_run["verdict"] == "leaks"
    assert in_run["any_attack"]["accurate"]["train"]["count"] == 12
    assert {name: in_run[name] for name in SAME} == {name: in_python[name] for name in SAME}
    assert in_run["data"] == in_python["data"]
    assert in_run["limitations"] == in_python["limitations"]
    assert any("12 of 12 control pictures are not of" in sentence for sentence in in_run["limitations"])
    for side, median in in_run["reconstruction"].items():
        assert median == pytest.approx(in_python["reconstruction"][side], rel=1e-3, abs=1e-12)


@pytest.mark.long
def test_membership_is_the_same_too_where_there_are_images_enough(memrec, cluster: str, tmp_path: Path):
    own = overfitted.dict_in_minus_one_to_one(tmp_path, 24, 110)
    in_run, in_python = by_command(memrec, cluster, own, "--count", "all"), by_python(own, *sides_of(own))
    assert in_run["membership"]["reconstruction"]["auc"] == 1
    assert {name: in_run[name] for name in SAME} == {name: in_python[name] for name in SAME}


@pytest.mark.long
def test_folder_of_diffusers_is_audited_as_its_network_is(memrec, cluster: str, tmp_path: Path):
    """Of few images, since this network is slow; test_audit_guide.py has one that was overfitted, in Python."""
    own = overfitted.of_diffusers(tmp_path)
    called = called_on(memrec, cluster, own)
    assert called.status == 4, called.err
    in_run = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert in_run["model"]["given"] == "memrec_core.autoencoders.diffusers_folder:AutoencoderKL"
    network = forms.named(own.model, **own.settings).built()
    for side, images in zip(("train", "control"), sides_of(own), strict=True):
        errors = metrics.mse(network(images.images), images.images)
        assert in_run["reconstruction"][f"{side}_median_mse"] == pytest.approx(errors.quantile(0.5).item(), rel=1e-3)


@pytest.mark.long
def test_model_of_onnx_is_audited_as_its_network_is(memrec, cluster: str, tmp_path: Path):
    own = overfitted.dict_in_minus_one_to_one(tmp_path)
    of_network = by_python(own, *sides_of(own))
    assert own.weights is not None
    weights = {name.removeprefix("body."): value.numpy() for name, value in load_file(own.weights).items()}
    path = onnx_files.written(tmp_path / "model.onnx", onnx_files.dense(weights, (1, 1, 28, 20)))
    own = Overfitted(str(path), tmp_path, own.side, settings={"range": (-1, 1)})
    in_run = by_command(memrec, cluster, own)
    assert in_run["any_attack"]["accurate"] == of_network["any_attack"]["accurate"]
    model = in_run["model"]
    assert (model["given"], model["weights"], model["trusted_code"]) == (
        "memrec_core.autoencoders.onnx_file:OnnxProgram",
        str(path),
        False,
    )
    path.unlink()  # the run has kept it
    page = tmp_path / "run" / "report" / "index.html"
    page.unlink()
    assert memrec("report", tmp_path / "run").status == 0
    assert '<p class="word leaks">leaks</p>' in page.read_text()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_program_that_is_trusted_is_run_and_the_report_says_so(memrec, cluster: str, tmp_path: Path):
    own = overfitted.that_samples(tmp_path)
    network = nets.Sampling()
    assert own.weights is not None
    network.load_state_dict(load_file(own.weights))
    path, run, ran = tmp_path / "model.pt", tmp_path / "run", tmp_path / "ran"
    torch.save(Telling(network, ran), path)
    own = Overfitted(str(path), tmp_path, own.side, settings=own.settings)
    called = called_on(memrec, cluster, own)
    assert (called.status, called.err.count("\n")) == (2, 1)
    assert "give --trust-code, which runs it" in called.err
    assert not run.exists()
    assert not ran.exists()
    in_run = by_command(memrec, cluster, own, "--trust-code")
    assert ran.exists()  # the test would tell
    assert in_run["model"]["trusted_code"]
    (said,) = (sentence for sentence in in_run["limitations"] if "--trust-code" in sentence)
    assert said.startswith("The network is a program from a file that was trusted")
    page = (run / "report" / "index.html").read_text()
    assert said in page
    assert "trusted_code True" in page
    jsonschema.validate(in_run, json.loads(files("memrec_core.auditing").joinpath("audit.schema.json").read_text()))
    assert by_command(memrec, cluster, own, "--trust-code") == in_run  # it goes on
    ran.unlink()  # a run's folder is not trusted for what it says of itself
    assert called_on(memrec, cluster, own).status == 2
    called = memrec("picture", run)
    assert (called.status, "to open it is to run what it says" in called.err) == (2, True)
    assert memrec("report", run).status == 0
    assert not ran.exists()
