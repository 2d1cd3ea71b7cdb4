"""memrec audit from a network and two folders to a verdict: statuses, answers in files, and that it goes on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import memrec_core as memrec_in_python
import workflows
from memrec_core import datasets
from tests.conftest import Called
from tests.pictures import SIDE, overfit, read_photos, write_photos
from workflows.audit.conclusion import conclusion

SMALL = "tests.core.outside.nets:Grey"
FIGURES = ("verdict", "any_attack", "membership", "reconstruction", "instrument", "exchangeability", "duplicates")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of pictures, and the weights of a network that knows those of `train` by heart."""
    folder = tmp_path_factory.mktemp("theirs")
    write_photos(folder / "train", 12)
    write_photos(folder / "control", 12, "control")
    overfit(read_photos(folder / "train").images, folder / "weights.safetensors")
    return folder


@pytest.fixture
def audit(memrec: Callable[..., Called], cluster: str, theirs: Path) -> Callable[..., Called]:
    """Calls `memrec audit` on the two folders and the tests' cluster."""

    def call(run: Path, *options: object, model: str = SMALL, train: Path | None = None) -> Called:
        folders = ("--train", train or theirs / "train", "--control", theirs / "control")
        return memrec("audit", model, *folders, "--run", run, "--address", cluster, "--actors", 2, *options)

    return call


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audits") / "leaky"


def test_network_that_knows_its_images_by_heart_leaks_and_python_says_the_same(audit, theirs: Path, leaky: Path):
    called = audit(leaky, "--weights", theirs / "weights.safetensors", "--junit", leaky.parent / "leaky.xml")
    assert called.status == 3, called.err
    assert "This network leaks: 12 of 12 training images came back" in called.out
    assert "--train has 12 pictures, fewer than the 100 of --count" in called.out
    in_run = json.loads((leaky / "audit.json").read_text())
    sides = [
        datasets.load("image_folder", root=own, control_root=other, size=SIDE, channels=1)
        for own, other in ((theirs / "train", theirs / "control"), (theirs / "control", theirs / "train"))
    ]
    found = memrec_in_python.audit(SMALL, *sides, weights=theirs / "weights.safetensors")
    in_python = json.loads(found.to_json())
    assert {name: in_run[name] for name in FIGURES} == {name: in_python[name] for name in FIGURES}
    assert in_run["data"] == in_python["data"]
    assert in_run["settings"] == in_python["settings"]
    of_run = conclusion(workflows.open_run(leaky), None).evidence
    for mine, own in ((of_run.train, found.evidence.train), (of_run.control, found.evidence.control)):
        assert (mine.damage == own.damage).all()  # the same random numbers, bit for bit
        assert np.allclose(mine.reconstruction, own.reconstruction, rtol=1e-3, atol=1e-12)
        near = np.isclose(np.log10(mine.recovered), np.log10(own.recovered), atol=0.1)
        assert near.mean() > 0.95  # what is at the edge of an attractor may go either way, in another batch
    cases = ElementTree.parse(leaky.parent / "leaky.xml").getroot().findall("./testsuite/testcase")
    assert len(cases) == 13
    assert cases[-1].get("name") == "verdict"
    assert cases[-1].find("failure") is not None


def test_same_command_goes_on_and_prints_json_alone(audit, theirs: Path, leaky: Path, tmp_path: Path):
    again = Path(shutil.copytree(leaky, tmp_path / "run"))
    before = (again / "audit.json").read_text()
    lost = sorted((again / "recovery").rglob("*.parquet"))[:2]
    for file in lost:
        file.unlink()
    (again / "audit.json").unlink()
    called = audit(again, "--weights", theirs / "weights.safetensors", "--json", "-", "--report-only")
    assert called.status == 0, called.err
    printed = json.loads(called.out)
    assert printed["verdict"] == "leaks"
    assert "recovery: 240 of 288 recoveries are there" in called.err
    assert "Exit status 0, since the audit is only to report; else 3." in called.err
    assert (again / "audit.json").read_text() + "\n" == called.out
    assert printed == json.loads(before)


def test_page_begins_with_the_verdict(leaky: Path, memrec):
    page = (leaky / "report" / "index.html").read_text()
    assert page.index('<p class="word leaks">leaks</p>') < page.index('<section id="lowest"')
    assert "This network leaks: 12 of 12 training images" in page
    assert "Other attacks may recover more" in page
    memrec("report", leaky)
    assert '<p class="word leaks">leaks</p>' in (leaky / "report" / "index.html").read_text()


def test_network_that_keeps_nothing_is_inconclusive_of_few_images_and_bounded_under_a_high_limit(audit, tmp_path: Path):
    same = "tests.core.outside.nets:same"
    called = audit(tmp_path / "run", "--json", tmp_path / "answer.json", model=same)
    assert called.status == 4, called.err
    assert json.loads((tmp_path / "answer.json").read_text())["verdict"] == "inconclusive"
    called = audit(tmp_path / "run", "--max-rate", 0.5, "--junit", tmp_path / "answer.xml", model=same)
    assert called.status == 0, called.err
    assert "recovery: all" in called.out  # only the limit is another
    assert "Bounded under these attacks" in called.out
    suite = ElementTree.parse(tmp_path / "answer.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "0")


@pytest.mark.long
def test_where_work_failed_there_is_no_verdict(audit, theirs: Path, tmp_path: Path):
    run = tmp_path / "run"
    choosy = "tests.core.outside.nets:Choosy"
    called = audit(run, "--weights", theirs / "weights.safetensors", "--report-only", model=choosy)
    assert called.status == 1
    assert "failed: " in called.err
    assert "there is no verdict" in called.err
    (run / "audit.json").write_text('{"verdict": "leaks"}')  # of a time when all was there
    assert audit(run, "--weights", theirs / "weights.safetensors", model=choosy).status == 1
    assert not (run / "audit.json").exists()
    assert 'class="word' not in (run / "report" / "index.html").read_text()


@pytest.mark.long
def test_report_that_may_leave_has_neither_pictures_nor_names(audit, theirs: Path, tmp_path: Path):
    named = tmp_path / "named"
    (named / "surname").mkdir(parents=True)
    for picture in (theirs / "train").iterdir():
        shutil.copy(picture, named / "surname" / f"forename-{picture.name}")
    (named / "forename.txt").write_text("no picture")
    run = tmp_path / "run"
    hiding = ("--hash-names", "--pictures", 0, "--json", tmp_path / "answer.json")
    called = audit(run, *hiding, model="tests.core.outside.nets:same", train=named)
    assert called.status == 4, called.err
    results, images = (pd.read_parquet(run / name) for name in ("results", "images.parquet"))
    assert results[["label", "original", "degraded", "recovered"]].isna().all(axis=None)
    assert images["label"].isna().all()
    key = tmp_path / "run.names-key"
    assert key.stat().st_mode & 0o077 == 0
    options = {"control_root": theirs / "control", "size": SIDE, "channels": 1, "names_key": key}
    ids = datasets.load("image_folder", root=named, **options).ids
    assert set(results.query("split == 'train'")["image_id"]) == set(ids) == set(images.query("split == 'train'")["id"])
    told = [called.out, called.err, (tmp_path / "answer.json").read_text(), images.to_csv(), results.to_csv()]
    told += [file.read_text() for file in run.rglob("*") if file.suffix in (".json", ".html", ".yaml", ".csv")]
    assert not any("forename" in text or "surname" in text for text in told)
    assert "image/webp" not in (run / "report" / "index.html").read_text()
    assert audit(run, *hiding, model="tests.core.outside.nets:same", train=named).status == 4
    key.write_bytes(bytes(32))
    called = audit(run, *hiding, model="tests.core.outside.nets:same", train=named)
    assert called.status == 2
    assert "not those that" in called.err


@pytest.mark.long
def test_pictures_of_a_patient_count_as_one_and_python_says_the_same(audit, theirs: Path, tmp_path: Path):
    for split in ("train", "control"):
        for place, path in enumerate(sorted((theirs / split).iterdir())):
            patient = tmp_path / split / f"{split}-{place // 2}"
            patient.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, patient)
    options = ("--weights", theirs / "weights.safetensors", "--control", tmp_path / "control", "--report-only")
    called = audit(tmp_path / "run", *options, "--group", "folder", train=tmp_path / "train")
    assert called.status == 0, called.err
    in_run = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert in_run["any_attack"]["accurate"]["train"] == {**in_run["any_attack"]["accurate"]["train"], "images": 6}
    assert (in_run["data"]["train"]["images"], in_run["data"]["train"]["groups"]) == (12, 6)
    sides = [
        datasets.load("image_folder", root=tmp_path / own, control_root=tmp_path / other, size=SIDE, channels=1)
        for own, other in (("train", "control"), ("control", "train"))
    ]
    groups = {"train_groups": sides[0].labels, "control_groups": sides[1].labels}
    found = memrec_in_python.audit(SMALL, *sides, weights=theirs / "weights.safetensors", **groups)
    in_python = json.loads(found.to_json())
    assert {name: in_run[name] for name in FIGURES} == {name: in_python[name] for name in FIGURES}
    # By another pattern the same recoveries are summed up anew.
    called = audit(tmp_path / "run", *options, "--group", "^[a-z]+-[012]", train=tmp_path / "train")
    assert (called.status, "is in no group" in called.err) == (2, True)
    called = audit(tmp_path / "run", *options, "--group", "^([a-z]+)-", train=tmp_path / "train")
    assert called.status == 0, called.err
    assert json.loads((tmp_path / "run" / "audit.json").read_text())["data"]["train"]["groups"] == 1
