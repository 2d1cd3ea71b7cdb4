"""Which pictures of a run its page has: a sample that fits and says what it is, or all of them on several pages."""

import base64
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.conftest import SMALL, make_run
from workflows.experiment import loading as experiments
from workflows.report import gallery, write_report
from workflows.report.facts import facts_of
from workflows.report.gallery import FIGURES, Sources, all_pictures, gallery_of
from workflows.report.sections.gallery import shown
from workflows.report.sections.making import trainings
from workflows.report.sheets import MOST_SIDE, Grid, Sheet
from workflows.run.opened import OpenRun
from workflows.run.planning import Size
from workflows.run.rates import aggregate


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> OpenRun:
    text = SMALL.replace("pictures: 2", "pictures: 5") + "methods: [known_mask, autoencoder_iterations, biharmonic]\n"
    experiment = experiments.parse(text, "small")
    run = OpenRun(experiment, make_run(experiment, tmp_path_factory.mktemp("run"), lambda kind: Size(12, 512)))
    aggregate(run)
    return run


@pytest.fixture
def sources(run: OpenRun) -> Sources:
    facts = facts_of(run)
    return Sources(run, facts.done, dict(facts.catalogues), facts.rows)


def test_small_run_is_shown_whole(run: OpenRun, sources: Sources):
    found = gallery_of(sources)
    assert found is not None
    assert (len(found.images), found.kept, found.levels, found.ladder) == (10, 10, 2, 2)
    kept = pd.read_parquet(str(run.store.path("recovery"))).query("original.notna()")
    assert {(image.key.split, image.key.id) for image in found.images} == set(
        zip(kept["split"], kept["image_id"], strict=True)
    )
    networked = kept[kept["model"] != "generic"]
    assert len(found.cards) == len(networked) / 2  # methods
    assert all(len(card.results) == 3 for card in found.cards)


@pytest.mark.parametrize(("mse", "threshold"), [(9.997e-8, 1e-7), (4.9996e-4, 5e-4), (1e-7, 1e-7)])
def test_page_holds_an_error_against_a_threshold_to_its_last_digit(
    run: OpenRun, sources: Sources, mse: float, threshold: float
):
    found = gallery_of(sources)
    assert found is not None
    found.cards[0].results[0].figures["mse"] = mse
    markup = shown(facts_of(run), found, "", "", [])
    [data] = re.findall(r'<script type="application/json" id="gallery-data">(.*?)</script>', markup, re.S)
    _, _, _, *figures = json.loads(data)["cards"][0][-1][0]
    assert (figures[FIGURES.index("mse")] < threshold) == (mse < threshold)


def test_sample_has_what_came_back_worst_and_best_of_both_splits(
    run: OpenRun, sources: Sources, monkeypatch: pytest.MonkeyPatch
):
    whole = gallery_of(sources)
    assert whole is not None
    monkeypatch.setattr(gallery, "PICTURE_BYTES", whole.bytes / 2.6)
    found = gallery_of(sources)
    assert found is not None
    assert 4 <= len(found.images) < 10
    assert found.levels == 1
    assert {card.loss for card in found.cards} == {1e-3}
    rows = sources.rows[sources.rows["model"] != "generic"]
    errors = rows.assign(log=np.log(rows["mse"])).groupby(["split", "image_id"])["log"].mean()
    first = [image.key for image in found.images[:4]]
    assert [key.split for key in first] == ["train", "control", "train", "control"]
    for split, (worst, best) in (("train", (0, 2)), ("control", (1, 3))):
        own = errors[split].loc[[name for name in kept_ids(run, split)]]
        assert (first[worst].id, first[best].id) == (own.idxmax(), own.idxmin())
    write_report(run)
    page = Path(run.store.path("report/index.html")).read_text()
    assert f"Here are {len(found.images)} of 10 images of which the run kept pictures" in page
    assert "at 1 of 2 training losses" in page
    assert "--all-pictures" in page


def kept_ids(run: OpenRun, split: str) -> list[str]:
    kept = pd.read_parquet(str(run.store.path("recovery"))).query("original.notna()")
    return list(kept[kept["split"] == split]["image_id"].unique())


def test_all_pictures_are_on_as_many_pages_as_it_takes_each_once(sources: Sources, monkeypatch: pytest.MonkeyPatch):
    whole = gallery_of(sources)
    assert whole is not None
    monkeypatch.setattr(gallery, "PICTURE_BYTES", whole.bytes / 2.6)
    monkeypatch.setattr(gallery, "READ_AT_ONCE", 7)
    pages = list(all_pictures(sources))
    assert len(pages) > 2
    keys = [image.key for page in pages for image in page.images]
    assert sorted(keys) == sorted(image.key for image in whole.images)
    assert sum(len(page.cards) for page in pages) == len(whole.cards)
    assert all(page.levels == 2 for page in pages)


def test_pages_of_pictures_that_are_no_longer_asked_for_do_not_stay(run: OpenRun):
    stale = Path(run.store.path("report/pictures/0099.html"))
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.write_text("of before")
    write_report(run, pictured=True)
    assert sorted(path.name for path in stale.parent.iterdir()) == ["0001.html", "units.txt"]


def test_pages_of_pictures_stay_and_are_linked_as_long_as_they_are_of_the_runs_results(
    memrec, run: OpenRun, tmp_path: Path
):
    copy = Path(shutil.copytree(run.store.location, tmp_path / "copy"))
    page, pictures = copy / "report" / "index.html", copy / "report" / "pictures" / "0001.html"
    link = '<a href="pictures/0001.html">'
    assert memrec("report", copy, "--all-pictures").status == 0
    written = pictures.read_bytes()
    again = memrec("report", copy)
    assert link in page.read_text()
    assert pictures.read_bytes() == written
    assert "is removed" not in again.out
    next(copy.glob("recovery/fc10*/**/*.parquet")).unlink()
    assert memrec("aggregate", copy).status == 0
    after = memrec("report", copy)
    assert after.out.startswith(
        f"{copy}/report/pictures was of other results, or of an earlier revision, and is removed;"
    )
    assert link not in page.read_text()
    assert [*pictures.parent.iterdir()] == []


def test_pages_of_pictures_of_an_earlier_revision_do_not_stay(memrec, run: OpenRun, tmp_path: Path):
    copy = Path(shutil.copytree(run.store.location, tmp_path / "copy"))
    pictures = copy / "report" / "pictures"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    (pictures / "0001.html").write_text("of before")
    assert "is removed" in memrec("report", copy).out
    assert [*pictures.iterdir()] == []


def test_run_without_pictures_has_no_gallery(tmp_path: Path):
    experiment = experiments.parse(SMALL.replace("pictures: 2", "pictures: 0"), "small", ["training.targets=[1e-2]"])
    run = OpenRun(experiment, make_run(experiment, tmp_path, lambda kind: Size(12, 512)))
    aggregate(run)
    write_report(run, pictured=True)
    page = (tmp_path / "report" / "index.html").read_text()
    assert 'id="gallery"' not in page
    assert not (tmp_path / "report" / "pictures").exists()


def png(side: int, seed: int) -> dict[str, bytes]:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue()}


def test_same_picture_is_on_a_sheet_once_and_a_large_one_is_smaller():
    sheet = Sheet()
    assert [sheet.place(png(300, seed)) for seed in (0, 1, 0, 2)] == [0, 1, 0, 2]
    assert sheet.place(None) == -1
    drawn = sheet.drawn(Grid.of(len(sheet.tiles)))
    assert (drawn.width, drawn.height) == (MOST_SIDE, MOST_SIDE)


def test_sheet_of_more_tiles_than_fit_below_each_other_has_them_beside_each_other():
    sheet = Sheet()
    for grey in range(2100):
        buffer = io.BytesIO()
        Image.new("RGB", (1, MOST_SIDE), (grey % 256, grey // 256, 0)).save(buffer, format="PNG")
        sheet.place({"bytes": buffer.getvalue()})
    grid = Grid.of(len(sheet.tiles))
    drawn = Image.open(io.BytesIO(base64.b64decode(sheet.drawn(grid).uri.partition(",")[2])))
    row, column = divmod(2099, grid.columns)
    assert drawn.convert("RGB").getpixel((column, row * MOST_SIDE)) == (2099 % 256, 2099 // 256, 0)
    assert grid.position(grid.columns) == f"0% {100 / (grid.rows - 1):.6g}%"


def test_page_says_in_how_many_steps_and_seconds_each_network_was_trained(run: OpenRun):
    table = trainings(facts_of(run))
    kept = [json.loads(run.store.read(f"checkpoints/fc10-leaky_relu/{loss}.json")) for loss in ("0.01", "0.001")]
    assert [str(row[3]) for row in table.rows] == [f"{sidecar['step']:,}" for sidecar in kept]
    assert 0 <= kept[0]["seconds"] <= kept[1]["seconds"]
    assert "not recorded" not in {str(row[4]) for row in table.rows}
