"""Runs of earlier revisions.

run_of_0.1.0 was made by the revision before the pictures' content was kept, run_of_fixed_schema by the last one whose
files had all the columns of its schema and no others.
"""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from memrec_core.recovery import AutoencoderIterations
from workflows import open_run

OLD = Path(__file__).parent / "run_of_0.1.0"
FIXED = Path(__file__).parent / "run_of_fixed_schema"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "old"))


@pytest.mark.parametrize("command", ["aggregate", "report", "picture", "status"])
def test_earlier_run_gets_a_sentence_and_loses_nothing(memrec, old: Path, command: str):
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    called = memrec(command, old)
    assert (called.status, called.err.count("\n")) in ((2, 1), (0, 0))
    assert command == "status" or called.status == 2
    assert {path: path.read_bytes() for path in old.rglob("*") if path.is_file()} == before


@pytest.fixture
def fixed(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXED, tmp_path / "fixed"))


def test_run_of_the_fixed_schema_is_aggregated_to_the_same_rates(memrec, fixed: Path):
    for name in ("rates.parquet", "thresholds.parquet"):
        (fixed / name).unlink()
    called = memrec("aggregate", fixed)
    assert (called.status, called.err) == (0, ""), called
    for name in ("rates.parquet", "thresholds.parquet"):
        now, then = (pd.read_parquet(run / name) for run in (fixed, FIXED))
        if name == "rates.parquet":  # which had no column for a status that there was not
            assert (now.pop("cycling") == 0).all()
        pd.testing.assert_frame_equal(now, then)
        made_by = [["not recorded"] * 3] if name == "rates.parquet" else None  # which was not asked for then
        assert now.attrs.pop("made_by", None) == made_by
        assert now.attrs == then.attrs


def test_run_of_the_fixed_schema_has_no_claims(memrec, fixed: Path):
    """Its files lack the columns in which a method says what it believes."""
    beliefs = ["claimed", "confidence", "kept_share"]
    run = open_run(fixed)
    assert run.results(beliefs).isna().all(axis=None)
    called = memrec("aggregate", fixed)
    assert (called.status, called.err) == (0, ""), called
    assert "precision" not in called.out
    assert pd.read_parquet(fixed / "results")[beliefs].isna().all(axis=None)
    assert not (fixed / "claims.parquet").exists()
    assert run.claims().empty


def test_run_of_the_fixed_schema_is_reported_from_its_own_rates(memrec, fixed: Path):
    called = memrec("report", fixed)
    assert (called.status, called.err) == (0, ""), called
    page = (fixed / "report/index.html").read_text()
    assert "Incomplete:" not in page
    assert "Nothing is known" not in page
    assert "<dt>Duration</dt><dd>not recorded</dd>" in page
    assert page.count('<article class="card">') == 2 * 2  # masks, images of both splits


def test_run_of_the_fixed_schema_has_nothing_left_to_do(memrec, fixed: Path):
    before = {path: path.read_bytes() for path in fixed.rglob("recovery/**/*.parquet")}
    as_then = ("--set", "autoencoder_iterations.stop_cycles=false", "--set", "training.optimiser=adam")
    called = memrec("run", fixed / "experiment.yaml", "--run", fixed, *as_then)
    assert called.status == 0, called
    assert "all 6 units are done" in called.out
    assert {path: path.read_bytes() for path in fixed.rglob("recovery/**/*.parquet")} == before


def test_setting_that_is_newer_than_a_run_is_what_there_was_before_it(memrec, fixed: Path):
    """Images that cycle stop by now. The run's rows are of images that went on, and are not mixed with others."""
    as_then = ("--set", "training.optimiser=adam")
    called = memrec("run", fixed / "experiment.yaml", "--run", fixed, *as_then)
    assert called.status == 2
    assert "methods.autoencoder_iterations.stop_cycles is False there, and True here" in called.err
    assert called.err.count("\n") == 1
    assert open_run(fixed).experiment.method("autoencoder_iterations") == AutoencoderIterations(50, stop_cycles=False)


def test_network_of_an_earlier_run_is_not_trained_further_by_another_recipe(memrec, fixed: Path):
    """What trains a network that names nothing has changed. The run's checkpoints are of what trained it then."""
    as_then = ("--set", "autoencoder_iterations.stop_cycles=false", "--set", "training.targets=[0.05, 0.03, 0.02]")
    called = memrec("run", fixed / "experiment.yaml", "--run", fixed, *as_then)
    assert called.status == 2
    assert "models.fc10-leaky_relu.optimiser is 'adam' there, and 'adam_quick' here" in called.err
    assert called.err.count("\n") == 1
    assert [model.recipe for model in open_run(fixed).experiment.trained_models] == ["adam, built, 0.001"]
