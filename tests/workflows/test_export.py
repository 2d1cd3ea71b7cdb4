"""memrec export: a run's pictures as files that no name leads astray; memrec picture: an image by its id."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from memrec_core.errors import InputError
from tests.conftest import make_run
from tests.full_disk import files_of_at_most
from workflows.errors import StoreError
from workflows.experiment import loading as experiments
from workflows.export import FileNames, _as_file_name, export_pictures
from workflows.report.course import draw_course
from workflows.run.opened import open_run
from workflows.run.planning import Size

EXPERIMENT = """
name: exported
data:
  - {name: image_folder, root: ROOT/train, control_root: ROOT/control, count: 3, control_count: 2, size: 8}
models: [{architecture: fc10, width: 16}]
training: {targets: [0.05, 0.04]}
degradations: [{mask: center}, {mask: random_80}]
methods: [known_mask, autoencoder_iterations, biharmonic]
recovery: {max_autoencoder_iterations: 5}
pictures: 2
"""
NAMES = {"train": ["a/b.png", "a_b.png", "A/B.png"], "control": ["a/b.png", "c/x y.png"]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, random = tmp_path_factory.mktemp("exported"), np.random.default_rng(1)
    for split, names in NAMES.items():
        for name in names:
            path = root / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    folder = root / "run"
    make_run(experiments.parse(EXPERIMENT.replace("ROOT", str(root)), "exported"), folder, lambda kind: Size(3, 8))
    return folder


def test_every_kept_picture_is_a_file_and_a_row(run: Path, tmp_path: Path, memrec):
    called = memrec("export", run, "--pictures", tmp_path / "out")
    assert called.status == 0
    table = pd.read_csv(tmp_path / "out" / "pictures.csv")
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png"))
    assert sorted(table["file"]) == files
    counts = table["picture"].value_counts().to_dict()
    assert counts == {"original": 4, "degraded": 2 * 4, "recovered": 2 * (2 * 2 + 1) * 4}
    kept = open_run(run).pictures()
    for row in table[table["picture"] == "recovered"].to_dict("records"):
        fits = kept[kept["target_loss"].isna() | (kept["target_loss"] == row["target_loss"])]
        for name in ("split", "image_id", "method", "degradation", "model"):
            fits = fits[fits[name] == row[name]]
        [original] = fits.to_dict("records")
        written = Image.open(tmp_path / "out" / row["file"])
        np.testing.assert_array_equal(np.asarray(written), np.asarray(original["recovered"]))
        assert row["mse"] == pytest.approx(original["mse"])


def test_full_disk_leaves_no_part_of_a_picture(run: Path, tmp_path: Path):
    with (
        files_of_at_most(40),
        pytest.raises(StoreError, match=r"too large\); .* another --pictures"),
    ):
        export_pictures(open_run(run), str(tmp_path / "out"))
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_no_name_leads_out_of_its_folder_or_hides_its_file():
    for name in ("../../etc/passwd", "/etc/passwd", "..", ".", "", ".hidden", "a\x00b\n", "C:\\x", "é" * 500, "\ud800"):
        made = _as_file_name(name)
        assert made not in ("", ".", "..")
        assert not made.startswith(".")
        assert not set("/\\:\x00\n") & set(made)
        assert len(made.encode()) <= 120


def test_two_ids_never_share_a_file():
    names, ids = FileNames(), ["a/b", "a_b", "A_b", "a:b", "a_b-2", "é" * 500, "é" * 501]
    found = [names.of("image", id_) for id_ in ids]
    assert len({name.casefold() for name in found}) == len(ids)
    assert [names.of("image", id_) for id_ in ids] == found


def test_folder_that_holds_something_is_left_alone(run: Path, tmp_path: Path, memrec):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    for place in (tmp_path / "out", tmp_path / "out" / "mine.txt", tmp_path / "out" / "mine.txt" / "x", "s3://b/x", ""):
        called = memrec("export", run, "--pictures", place)
        assert (called.status, called.err.count("\n")) == (2, 1)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_run_without_pictures_says_how_to_keep_some(run: Path, tmp_path: Path, memrec):
    plain = experiments.parse(EXPERIMENT.replace("ROOT", str(run.parent)).replace("pictures: 2", "pictures: 0"), "none")
    make_run(plain, tmp_path / "run", lambda kind: Size(3, 8))
    called = memrec("export", tmp_path / "run", "--pictures", tmp_path / "out")
    assert called.status == 2
    assert "--set pictures=8" in called.err
    assert not (tmp_path / "out").exists()


def test_picture_is_drawn_by_id_by_name_and_by_number(run: Path):
    opened = open_run(run)
    ids = [
        image["image_id"]
        for image in opened.results(["image_id"], method="biharmonic", degradation="center").to_dict("records")
    ]
    by_number = {number: read(run, draw_course(opened, image=number)) for number in (1, 3)}
    assert read(run, draw_course(opened, image=ids[1])) == by_number[1]
    assert read(run, draw_course(opened, image="1")) == by_number[1]
    assert by_number[1] != by_number[3]
    assert read(run, draw_course(opened, image=f"control/{ids[3]}")) == by_number[3]
    [twice] = {id_ for id_ in ids if ids.count(id_) == 2}
    with pytest.raises(InputError, match=f"several images {twice}; choose --image train/{twice} or control/{twice}"):
        draw_course(opened, image=twice)


def read(run: Path, names: list[str]) -> list[bytes]:
    return [Image.open(io.BytesIO((run / name).read_bytes())).tobytes() for name in names]


@pytest.mark.parametrize("image", ["nothing.png", "5", "-1", "9" * 5000, ""])
def test_image_that_is_not_there_is_refused_in_a_sentence(run: Path, memrec, image: str):
    called = memrec("picture", run, "--image", image)
    assert (called.status, called.err.count("\n")) == (2, 1)
    assert "choose" in called.err
    assert ("the run has images 0 to " in called.err) == (image in ("5", "-1", "9" * 5000))
    assert len(called.err) < 500
