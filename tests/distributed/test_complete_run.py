"""What a run leaves behind: its rows, its rates, its page, and nothing to do for the next call."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset
import pytest

from tests.conftest import KEY, SMALL, SMALL_ROWS, make_run, results
from tests.distributed.conftest import trained
from workflows.experiment import loading as experiments
from workflows.run.planning import Size
from workflows.run.schema import SCHEMA
from workflows.work.measure import USUAL_BATCH


def times(run: Path) -> dict[Path, int]:
    files = [path for folder in ("recovery", "checkpoints") for path in (run / folder).rglob("*") if path.is_file()]
    return {path: path.stat().st_mtime_ns for path in files}


def test_one_row_for_each_checkpoint_degradation_method_and_image(undisturbed: Path):
    rows = pd.read_parquet(undisturbed / "recovery")
    assert len(rows) == SMALL_ROWS
    assert not rows.duplicated(KEY).any()
    assert set(rows.groupby(KEY[:3]).size()) == {12}
    assert rows.groupby("split")["image_id"].nunique().to_dict() == {"train": 6, "control": 6}


def test_rows_are_typed_as_documented(undisturbed: Path):
    files = pyarrow.dataset.dataset(undisturbed / "recovery")
    assert files.schema.equals(SCHEMA)
    assert all(field.metadata[b"description"] for field in SCHEMA)


def test_rows_hold_what_their_columns_promise(undisturbed: Path):
    rows = pd.read_parquet(undisturbed / "recovery")
    assert np.allclose(rows["psnr"], -10 * np.log10(rows["mse"]))
    assert ((rows["mse"] >= 0) & (rows["mse_missing"] >= 0) & (rows["seconds"] > 0)).all()
    assert (rows["mask_error"].notna() == (rows["method"] == "unknown_mask")).all()
    assert rows["fraction_missing"].between(0.2, 0.81).all()
    assert rows.groupby("degradation")["noise_std"].first().to_dict() == {"center": 0.0, "random_80-noise_0.02": 0.02}
    assert (rows["train_loss"] <= rows["target_loss"]).all()
    assert set(rows["recipe"]) == {"adam_quick, built, 0.001"}
    fitted = rows[rows["split"] == "train"].groupby(["train_loss", "degradation", "method"])["train_mse"].mean()
    assert np.allclose(fitted, fitted.index.get_level_values("train_loss"), rtol=1e-4)
    assert rows[rows["split"] == "control"]["train_mse"].min() > fitted.min()
    pictured = rows[rows["original"].notna()]
    assert pictured.groupby(["split", "image_id"]).ngroups == 4
    assert all(picture["bytes"].startswith(b"\x89PNG") for picture in pictured["recovered"])


def test_rates_are_those_of_the_rows(undisturbed: Path):
    rows = pd.read_parquet(undisturbed / "recovery")
    rates = pd.read_parquet(undisturbed / "rates.parquet")
    key = ["checkpoint", "degradation", "method", "split"]
    expected = rows.groupby(key).agg(
        images=("mse", "size"),
        accurate=("mse", lambda mse: (mse < 1e-7).mean()),
        approximate=("mse", lambda mse: (mse < 5e-4).mean()),
        psnr=("psnr", "mean"),
        evaluations=("evaluations", "mean"),
    )
    found = rates.set_index(key).loc[expected.index]
    assert len(rates) == len(expected) == 2 * 2 * 3 * 2
    for ours, theirs in (
        ("images", "images"),
        ("accurate_rate", "accurate"),
        ("approximate_rate", "approximate"),
        ("mean_psnr", "psnr"),
        ("mean_evaluations", "evaluations"),
    ):
        assert np.allclose(found[ours], expected[theirs]), ours
    assert (found["approximate_low"] <= found["approximate_rate"]).all()
    assert (found["approximate_high"] >= found["approximate_rate"]).all()


def test_second_call_finds_the_work_done_and_changes_nothing(run_small, undisturbed: Path):
    before = times(undisturbed)
    again = run_small(undisturbed)
    assert again.status == 0, again
    assert times(undisturbed) == before
    assert "all 36 units are done" in again.out


def test_sharding_does_not_change_a_result(undisturbed: Path, tmp_path: Path):
    """Units of all images under both degradations, in this process, in place of a third of them under one."""
    other = experiments.parse(SMALL.replace("images_per_unit: 4", "images_per_unit: 24"), "other")
    make_run(other, trained(undisturbed, tmp_path / "run"), lambda kind: Size(24, USUAL_BATCH))
    assert len(list(tmp_path.glob("run/recovery/**/*.parquet"))) == 6
    one, many = results(tmp_path / "run"), results(undisturbed)
    exact = ["model", "split", "image_id", "degradation", "method", "target_loss", "label", "fraction_missing"]
    assert one[exact].equals(many[exact])
    # Batches of another size sum in another order, so the last bits of an iterate may differ.
    assert np.allclose(one["mse"], many["mse"], rtol=1e-3)
    assert (one["status"] == many["status"]).mean() > 0.98


@pytest.mark.long
def test_several_data_sets_in_one_run_give_what_each_gives_alone(run_small, tmp_path: Path):
    small = "{name: photos, label: small, count: 4, size: 8}"
    large = "{name: photos, label: large, count: 3, control_count: 5, size: 16}"
    text = SMALL.replace("pictures: 2", "pictures: 1\nmethods: [known_mask, adaptive, biharmonic]")
    both, large = (text.replace("{name: photos, count: 6, size: 16}", of) for of in (f"[{small}, {large}]", large))
    (file := tmp_path / "both.yaml").write_text(both)
    called = run_small(tmp_path / "both", experiment=file)
    assert called.status == 0, called
    make_run(experiments.parse(large, "large"), tmp_path / "large", lambda kind: Size(4, USUAL_BATCH))
    both = results(tmp_path / "both")
    assert both.groupby("data_set").size().to_dict() == {"small": 5 * 2 * 8, "large": 5 * 2 * 8}
    beliefs = ["claimed", "confidence", "kept_share"]
    adaptive = both["method"] == "adaptive"
    assert both[adaptive][beliefs].notna().all(axis=None)
    assert both[~adaptive][beliefs].isna().all(axis=None)
    claims = pd.read_parquet(tmp_path / "both/claims.parquet")
    assert set(claims["method"]) == {"adaptive"}
    assert claims["images"].tolist() == [8] * 8  # data sets, checkpoints, degradations
    assert claims["claimed"].sum() == both[adaptive]["claimed"].sum()
    identity = ["target_loss", "method", "degradation", "split", "image_id"]
    shared = both[both["data_set"] == "large"].sort_values(identity, ignore_index=True)
    alone = results(tmp_path / "large").sort_values(identity, ignore_index=True)
    assert shared[identity].equals(alone[identity])
    generic = (rows[rows["model"] == "generic"] for rows in (shared, alone))
    pd.testing.assert_frame_equal(*generic)
    for name in ("small", "large"):
        assert set(both[both["data_set"] == name]["model"]) == {f"fc10-leaky_relu-{name}", "generic"}
        [trained] = {
            json.loads(path.read_text())["data_set"]["label"]
            for path in (tmp_path / "both/checkpoints" / f"fc10-leaky_relu-{name}").glob("*.json")
        }
        assert trained == name
    page = (tmp_path / "both/report/index.html").read_text()
    for words in ("small at a training loss of", "biharmonic", "fc10-leaky_relu-large at a training loss of"):
        assert words in page
