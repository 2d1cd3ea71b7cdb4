"""What a user adds, a line in a registry each, goes from the experiment's file to rates, tables and page."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from memrec_core.errors import InputError
from tests.conftest import SMALL, make_run
from workflows.experiment import loading as experiment
from workflows.report import write_report
from workflows.report.rates import aggregate
from workflows.run.plan import Size

USES = "imports: [tests.workflows.outside]\n"


def rates_of(text: str, tmp_path: Path) -> pd.DataFrame:
    """The rates of the run of an experiment's file."""
    (tmp_path / "mine.yaml").write_text(USES + text)
    mine = experiment.load(str(tmp_path / "mine.yaml"))
    assert experiment.resolved(mine.to_yaml(), "again") == mine
    store = make_run(mine, tmp_path / "run", lambda kind: Size(12, 512))
    rates = aggregate(mine, store)
    write_report(mine, store)
    return rates


@pytest.mark.parametrize(
    ("old", "new", "label"),
    [
        ("mask: center", "mask: diagonal", "diagonal"),
        ("mask: center", "mask: center, fill: mirror", "center-fill_mirror"),
        ("mask: center", "fading: 0.5", "fading_0.5"),
    ],
)
def test_a_mask_a_fill_and_a_degradation_of_ones_own(tmp_path: Path, old: str, new: str, label: str):
    rates = rates_of(SMALL.replace(old, new), tmp_path)
    assert label in set(rates["degradation"])
    assert (rates["degradation"] == label).sum() >= 2 * 2 * 2  # checkpoints, methods that apply, splits


def test_a_method_of_ones_own_in_two_settings(tmp_path: Path):
    methods = "methods: [known_mask, copy, {name: copy, label: doubled, factor: 2}]\n"
    rates = rates_of(SMALL + methods, tmp_path)
    assert set(rates["method"]) == {"known_mask", "copy", "doubled"}
    means = rates[rates["model"] == "generic"].groupby("method")["mean_psnr"].mean()
    assert means["copy"] > means["doubled"]
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "copy (doubled)" in page


def test_a_network_of_ones_own_without_an_activation(tmp_path: Path):
    rates = rates_of(SMALL.replace("architecture: fc10, width: 48", "architecture: linear"), tmp_path)
    assert set(rates["model"]) == {"linear"}


def test_a_data_set_of_ones_own(tmp_path: Path):
    rates = rates_of(SMALL.replace("name: photos", "name: squares"), tmp_path)
    assert set(rates["data_set"]) == {"squares"}
    assert set(rates["images"]) == {6}


def test_a_method_of_ones_own_on_ray_from_the_command_line(run_small, tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(USES + SMALL + "methods: [known_mask, copy]\n")
    called = run_small(tmp_path / "run", experiment=tmp_path / "mine.yaml")
    assert called.status == 0, called.err
    results = pd.read_parquet(tmp_path / "run" / "recovery")
    assert (results["method"] == "copy").sum() == 2 * 12  # degradations and images; not once a checkpoint
    assert results[results["method"] == "copy"]["mask_error"].isna().all()


def test_run_of_ones_own_method_is_read_where_nothing_was_registered_before(tmp_path: Path):
    rates_of(SMALL + "methods: [copy]\n", tmp_path)
    code = "import sys; from workflows.entry import main; sys.argv = ['memrec', *sys.argv[1:]]; main()"
    command = [sys.executable, "-c", code, "aggregate", str(tmp_path / "run")]
    called = subprocess.run(command, capture_output=True, text=True)
    assert called.returncode == 0, called.stderr
    assert "copy" in called.stdout


@pytest.mark.parametrize(
    ("imports", "words"),
    [("[no_such_module_of_mine]", "no_such_module_of_mine.*install"), ("3", "imports"), ("[3]", "imports")],
)
def test_module_that_is_not_there_is_named(imports: str, words: str):
    with pytest.raises(InputError, match=words):
        experiment.parse(f"imports: {imports}\n{SMALL}", "exp.yaml")
