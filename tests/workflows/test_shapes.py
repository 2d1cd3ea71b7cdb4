"""Experiments on pictures that are no RGB squares: from the file to rates, page and drawings."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from memrec_core import datasets, degradations
from memrec_core.datasets import DATA_SETS, DataSet, ImageSet
from memrec_core.errors import InputError
from tests.conftest import make_run
from tests.core.test_data_set import stripes
from workflows.experiment import data_folder
from workflows.experiment import loading as experiments
from workflows.experiment.resolved import Experiment
from workflows.report import write_report
from workflows.report.course import draw_course
from workflows.run.audit_set import load_audit_set
from workflows.run.identity import claim, continued
from workflows.run.planning import Size
from workflows.run.rates import aggregate
from workflows.run.run import Run
from workflows.run.store import Store

EXPERIMENT = """
name: shapes
data: {name: photos, count: 4, size: [28, 20], channels: 1}
models: [{architecture: fc10, width: 24}]
training: {targets: [0.05]}
degradations: [{mask: center}, {mask: random_80, noise_std: 0.02, per_image: true}]
methods: [unknown_mask, known_mask, autoencoder_iterations]
recovery: {max_iterations: 2, max_autoencoder_iterations: 5}
pictures: 2
"""
ROWS = 2 * 3 * 8  # degradations, methods, images of both splits


def experiment_with(*overrides: str) -> Experiment:
    return experiments.parse(EXPERIMENT, "shapes", list(overrides))


def run_of(experiment: Experiment, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, Store]:
    """The rows, the rates, and the run's store, with its page."""
    store = make_run(experiment, folder, lambda kind: Size(8, 8))
    rates = aggregate(Run(experiment, store))
    write_report(Run(experiment, store))
    return pd.read_parquet(folder / "recovery"), rates, store


def opened(picture: dict[str, bytes]) -> Image.Image:
    return Image.open(io.BytesIO(picture["bytes"]))


def png(picture: dict[str, bytes]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture["bytes"])))


@pytest.mark.parametrize(
    ("channels", "mode"),
    [
        (1, "L"),
        pytest.param(2, "LA", marks=pytest.mark.long),
        pytest.param(3, "RGB", marks=pytest.mark.long),
        (4, "RGBA"),
    ],
)
def test_whole_run_on_pictures_of_any_channels(tmp_path: Path, channels: int, mode: str):
    experiment = experiment_with(f"data.channels={channels}")
    rows, rates, store = run_of(experiment, tmp_path)
    assert len(rows) == ROWS
    assert rates["images"].sum() == ROWS
    kept = rows[rows["original"].notna()]
    assert len(kept) == ROWS / 2
    for name in ("original", "degraded", "recovered"):
        for picture in kept[name]:
            image = Image.open(io.BytesIO(picture["bytes"]))
            assert (image.mode, image.size) == (mode, (20, 28))
    page = (tmp_path / "report" / "index.html").read_text()
    sheets = re.findall(r"--sheet:url\(data:image/webp;base64,([^)]+)\);--ratio:20/28", page)
    assert len(sheets) == len(kept[["split", "image_id"]].drop_duplicates()) == 4
    for sheet in sheets:
        tiles = Image.open(io.BytesIO(base64.b64decode(sheet)))
        first = np.asarray(tiles.crop((0, 0, 20, 28)))
        assert any((np.asarray(opened(own).convert(tiles.mode)) == first).all() for own in kept["original"])
    for drawn in draw_course(Run(experiment, store)):
        assert Image.open(tmp_path / drawn).size > (100, 100)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "L"), (3, "RGB"), (4, "RGB")])
def test_estimated_masks_are_pictures_that_hide_nothing(tmp_path: Path, channels: int, mode: str):
    experiment = experiment_with(f"data.channels={channels}", "degradations=[{mask: center}]")
    make_run(experiment, tmp_path, lambda kind: Size(8, 8))
    rows = pd.read_parquet(tmp_path / "recovery")
    masks = rows[rows["estimated_mask"].notna()]
    assert set(masks["method"]) == {"unknown_mask"}
    assert len(masks) == 2 * 2  # images of both splits
    true = degradations.mask("center", (1, 28, 20))[0].numpy() > 0
    for row in masks.itertuples():
        estimate = opened(row.estimated_mask)
        assert estimate.mode == mode
        if channels in (1, 3):
            pixels = np.asarray(estimate).reshape(28, 20, channels) > 127
            assert (pixels != true[:, :, None]).mean() == pytest.approx(row.mask_error)


@pytest.mark.parametrize("channels", [1, 4])
def test_pictures_of_the_results_are_the_images_pixel_by_pixel(tmp_path: Path, channels: int):
    store = make_run(experiment_with(f"data.channels={channels}"), tmp_path, lambda kind: Size(8, 8))
    rows = pd.read_parquet(store.root + "/recovery")
    for split in ("train", "control"):
        found = datasets.load("photos", count=4, size=(28, 20), channels=channels, split=split)
        for row in rows[rows["original"].notna() & (rows["split"] == split)].itertuples():
            pixels = (found.images[found.ids.index(row.image_id)] * 255).round().byte()
            assert np.array_equal(png(row.original).reshape(28, 20, channels), pixels.permute(1, 2, 0).numpy())
            missing = png(row.degraded).reshape(28, 20, channels)[7:21, 5:15]
            assert row.degradation != "center" or not missing.any()


def test_grey_in_a_drawing_is_that_of_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def dim(**asked: Any) -> ImageSet:
        found = stripes(**asked)
        return ImageSet(found.images * 0.2 + 0.4, found.ids, found.labels)

    monkeypatch.setitem(DATA_SETS, "mine", DataSet("mine", dim))
    experiment = experiment_with("data.name=mine", "degradations=[{mask: random_5}]")
    store = make_run(experiment, tmp_path, lambda kind: Size(8, 8))
    [iterates, _] = draw_course(Run(experiment, store))
    drawn = np.asarray(Image.open(tmp_path / iterates).convert("L"))
    original = drawn[:, int(drawn.shape[1] * 0.9) :]  # the last one of each row
    assert ((original > 95) & (original < 160)).mean() > 0.2
    assert ((original > 170) & (original < 240)).mean() < 0.02  # but for the edges of its letters


def test_pixels_of_a_data_set_of_ones_own_that_are_rounded_are_spoken_of(monkeypatch: pytest.MonkeyPatch):
    def fine(split: str, **asked: Any) -> ImageSet:
        found = stripes(split=split, **asked)
        part = 0.97 if split == "train" else 1
        return ImageSet(found.images.mul(255).round().div(255) * part, found.ids, found.labels)

    monkeypatch.setitem(DATA_SETS, "mine", DataSet("mine", fine))
    [data] = experiment_with("data.name=mine").data
    [remark] = load_audit_set(data, 42).catalogue.remarks
    assert remark.startswith("for a network that was trained elsewhere: 4 of 8 images have pixels that are no whole")


def test_drawing_of_a_mask_shows_what_is_missing_where_pictures_have_alpha(tmp_path: Path):
    experiment = experiment_with("data.channels=4", "degradations=[{mask: bottom}]")
    [_, mask] = draw_course(Run(experiment, make_run(experiment, tmp_path, lambda kind: Size(8, 8))))
    drawn = np.asarray(Image.open(tmp_path / mask).convert("L"))
    assert (drawn[:, int(drawn.shape[1] * 0.8) :] < 10).mean() > 0.1  # half of the true mask, which is the last one


def test_size_is_written_as_it_was_given():
    assert "size: 32\n" in experiment_with("data.size=32").to_yaml()
    experiment = experiment_with()
    again = experiments.resolved(experiment.to_yaml(), "again")
    assert again.data[0].size == (28, 20)
    assert again == experiment


@pytest.mark.parametrize(
    ("size", "channels", "shape"),
    [("32", 3, (3, 32, 32)), ("[28, 20]", 1, (1, 28, 20)), ("[1, 4096]", 4, (4, 1, 4096))],
)
def test_size_is_a_square_or_height_and_width(size: str, channels: int, shape: tuple[int, ...]):
    [data] = experiment_with(f"data.size={size}", f"data.channels={channels}").data
    assert data.image_shape == (data.channels, data.height, data.width) == shape


@pytest.mark.parametrize(
    "size", ["0", "4097", "[28]", "[28, 20, 3]", "[28, 0]", "[]", "28.5", '"28"', "true", "{a: 1}"]
)
def test_wrong_size_says_what_to_give(size: str):
    with pytest.raises(InputError) as caught:
        experiment_with(f"data.size={size}")
    assert "data.size: " in str(caught.value)
    assert "give the side of squares in pixels, from 1 to 4096, or [height, width], such as [28, 20]" in str(
        caught.value
    )


@pytest.mark.parametrize("channels", ["0", "5", "2.5", "true", "rgb"])
def test_wrong_number_of_channels_is_refused(channels: str):
    with pytest.raises(InputError, match=r"data\.channels: .*not"):
        experiment_with(f"data.channels={channels}")


@pytest.mark.parametrize("change", ["data.size=[20, 28]", "data.channels=2"])
def test_shape_is_part_of_what_a_run_is(change: str, tmp_path: Path):
    store = Store(str(tmp_path / "run"))
    claim(Run(experiment_with(), store))
    with pytest.raises(InputError, match=re.escape(change.partition("=")[0].rpartition(".")[2])):
        continued(experiment_with(change), store)


def test_plan_says_the_shape_and_counts_its_bytes(memrec, tmp_path: Path):
    file = tmp_path / "shapes.yaml"
    file.write_text(EXPERIMENT)
    called = memrec("plan", file, "--run", tmp_path / "run")
    assert "photos: 4 training images, 4 control images, of 28 x 20 pixels and 1 channel" in called.out, called.err


def test_data_set_from_outside_goes_from_the_experiment_to_the_rates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memrec
):
    monkeypatch.setitem(DATA_SETS, "mine", DataSet("mine", stripes, place="striped*"))
    (tmp_path / "data" / "striped-1").mkdir(parents=True)
    monkeypatch.setenv("MEMREC_DATA", str(tmp_path / "data"))
    file = tmp_path / "mine.yaml"
    file.write_text(EXPERIMENT.replace("name: photos", "name: mine"))
    experiment = experiments.load(str(file))
    assert experiment.data[0].root == str(tmp_path / "data" / "striped-1")
    rows, rates, _ = run_of(experiment, tmp_path / "run")
    assert set(rows["data_set"]) == {"mine"}
    assert rates["images"].sum() == len(rows) == ROWS
    assert re.search(r"^  mine +A data set from outside", memrec("list").out, re.MULTILINE)


def test_data_set_from_outside_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memrec):
    def fetch(folder: Path) -> None:
        (folder / "striped-1").mkdir(parents=True)

    monkeypatch.setitem(DATA_SETS, "mine", DataSet("mine", stripes, "striped*", fetch))
    monkeypatch.setenv("MEMREC_DATA", str(tmp_path / "data"))
    file = tmp_path / "mine.yaml"
    file.write_text(EXPERIMENT.replace("name: photos", "name: mine"))
    called = memrec("plan", file, "--run", tmp_path / "run")
    assert "data set mine is not in" in called.err
    assert "or fetch it with --download" in called.err
    data_folder.download(experiments.data_sets_of(str(file)))
    assert experiments.load(str(file)).data[0].root == str(tmp_path / "data" / "striped-1")
