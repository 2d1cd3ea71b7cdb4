"""The experiments that memrec ships: each can be loaded, whole and as its cpu variant."""

from pathlib import Path

import pytest
import yaml

from memrec_core import autoencoders
from memrec_core.datasets import DATA_SETS
from memrec_core.degradations import MASKS
from memrec_core.errors import InputError
from tests.conftest import SMALL
from workflows.experiment import loading as experiments
from workflows.experiment.models import TrainedModel
from workflows.run.identity import claim
from workflows.run.run import Run
from workflows.run.store import Store

WHOLE_ALONE = ("demo", "tiny-imagenet-100")
"""Those that have no variant for two cores."""
WITH_CPU = [name for name in experiments.shipped() if name not in WHOLE_ALONE]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder in which every data set seems to lie."""
    for data_set in DATA_SETS.values():
        if data_set.place:
            (tmp_path / data_set.place.replace("*", "")).mkdir()
    monkeypatch.setenv("MEMREC_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("variant", [None, "cpu"])
@pytest.mark.parametrize("name", WITH_CPU)
def test_every_experiment_can_be_loaded_whole_and_for_two_cores(data: Path, name: str, variant: str | None):
    loaded = experiments.load(name, variant=variant)
    assert loaded.name == (f"{name}-{variant}" if variant else name)
    assert all(one.root is not None and Path(one.root).parent == data for one in loaded.data)
    for model in loaded.models:
        autoencoders.build(model.architecture, (3, 8, 8), **{**model.options, **({} if variant else narrow(model))})


@pytest.mark.parametrize("name", WHOLE_ALONE)
def test_experiments_without_a_variant_can_be_loaded(data: Path, name: str):
    assert experiments.load(name).name == name


def narrow(model: TrainedModel) -> dict[str, object]:
    """Options that make the full-sized network small enough for a test."""
    return {"channels": [4, 4]} if model.architecture == "unet" else {"width": 8}


def test_paper_sizes_are_stated():
    sizes = {name: yaml.safe_load((experiments.SHIPPED / f"{name}.yaml").read_text())["data"] for name in WITH_CPU}
    assert {sizes[name]["count"] for name in WITH_CPU if name.startswith("figure3-fc")} == {600}
    assert {sizes[name]["count"] for name in WITH_CPU if name.startswith("figure3-unet")} == {50}
    assert (sizes["table1"]["count"], sizes["table2"]["count"]) == (25000, 1000)


HOLES = [*MASKS.values(), "rectangle", "disc", "left_third"]


@pytest.mark.parametrize("variant", [None, "cpu"])
def test_fills_and_noise_ask_for_every_mask_with_each_of_them(data: Path, variant: str | None):
    fills, noise = (experiments.load(name, variant=variant) for name in ("fills", "noise"))
    names = ["", "-fill_colour_0.8_0.3_0.1", "-fill_noise", "-fill_patch"]
    assert {one.label for one in fills.degradations} == {f"{mask}{name}" for mask in HOLES for name in names}
    names = ["", "-noise_0.02", "-noise_0.05", "-noise_0.1"]
    assert {one.label for one in noise.degradations} == {f"{mask}{name}" for mask in MASKS.values() for name in names}
    for loaded in (fills, noise):
        assert [(model.label, model.data) for model in loaded.models] == [
            ("fc10", "tiny_imagenet"),
            ("fc20", "tiny_imagenet"),
            ("unet", "svhn"),
        ]
        assert loaded.training.targets == (1e-4, 1e-6, 1e-8)
        assert {"unknown_mask", "known_mask", "autoencoder_iterations"} <= set(loaded.titles)


def test_readme_of_the_experiments_names_each_of_them():
    text = (experiments.SHIPPED / "README.md").read_text()
    assert [name for name in WITH_CPU if f"`{name}`" not in text] == []


def test_unknown_variant_is_named(tmp_path: Path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL + "variants:\n  tiny: {data: {count: 3}, training: {targets: [1e-1]}}\n")
    with pytest.raises(InputError, match=r"unknown variant.*'tniy'.*tiny"):
        experiments.load(str(path), variant="tniy")
    loaded = experiments.load(str(path), ["data.size=8"], "tiny")
    [data] = loaded.data
    assert (loaded.name, data.count, data.size, data.name) == ("small-tiny", 3, 8, "photos")
    assert loaded.training.targets == (1e-1,)
    assert experiments.load(str(path)).data[0].count == 6


def test_data_set_that_is_nowhere_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEMREC_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"svhn is not in .*--set data\.root=PATH.*MEMREC_DATA.*--download"):
        experiments.load("figure3-unet-leaky_relu")


def test_download_of_what_cannot_be_fetched_is_refused(memrec, data: Path):
    called = memrec("train", "figure3-fc10-leaky_relu", "--download")
    assert called.status == 2
    assert "can fetch cifar10 and svhn, not tiny_imagenet" in called.err


def test_run_has_a_folder_of_its_own_name(memrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine.yaml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    claim(Run(experiments.load("mine.yaml"), Store("runs/small")))
    assert "run:        runs/small: 0 of 2 checkpoints" in memrec("plan", "mine.yaml").out
