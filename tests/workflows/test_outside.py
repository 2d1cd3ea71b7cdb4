"""What a user adds, a line in a registry each, goes from the experiment's file to rates, tables and page."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from memrec_core.errors import InputError
from tests.conftest import SMALL, make_run
from workflows.experiment import loading as experiment
from workflows.report import write_report
from workflows.run.audit_set import load_audit_set
from workflows.run.planning import Size
from workflows.run.rates import aggregate
from workflows.run.run import Run

USES = "imports: [tests.workflows.outside]\n"
pytestmark = pytest.mark.usefixtures("added_here_alone")


def rates_of(text: str, tmp_path: Path) -> pd.DataFrame:
    """The rates of the run of an experiment's file."""
    (tmp_path / "mine.yaml").write_text(USES + text)
    mine = experiment.load(str(tmp_path / "mine.yaml"))
    assert experiment.resolved(mine.to_yaml(), "again") == mine
    store = make_run(mine, tmp_path / "run", lambda kind: Size(12, 512))
    rates = aggregate(Run(mine, store))
    write_report(Run(mine, store))
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


def test_a_data_set_of_ones_own_with_an_option(tmp_path: Path):
    rates = rates_of(SMALL.replace("name: photos", "name: squares, brightest: 0.5"), tmp_path)
    assert set(rates["data_set"]) == {"squares"}
    assert set(rates["images"]) == {6}
    [data] = experiment.load(str(tmp_path / "mine.yaml")).data
    assert load_audit_set(data, seed=1).pixels.max() < 129
    with pytest.raises(InputError, match=r"data\.brightness: unknown key.*did you mean 'brightest'"):
        experiment.parse(USES + SMALL.replace("name: photos", "name: squares, brightness: 0.5"), "exp.yaml")


def test_method_and_data_set_of_ones_own_on_ray_from_the_command_line(run_small, tmp_path: Path):
    text = SMALL.replace("name: photos", "name: squares") + "methods: [known_mask, copy]\n"
    text = text.replace("images_per_unit: 4", "images_per_unit: 12").replace("[1e-2, 1e-3]", "[1e-2]")
    (tmp_path / "mine.yaml").write_text(USES + text)
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


ROLES = "methods: [{name: unknown_mask, max_iterations: 9}, known_mask]\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ROLES + "unknown_mask: {max_iterations: 7}\n", r"unknown_mask\.max_iterations does nothing"),
        ("unknown_mask: {max_iterations: 7}\n", r"recovery\.max_iterations does nothing"),
        (
            ROLES + "known_operator: {inner_iterations: 7}\n",
            "known_operator: it does nothing",
        ),
        ("methods: [{name: unknown_mask, label: known_mask}]\n", "another method's name"),
        ("methods: [{label: mine}]\n", "a method's mapping has a name"),
    ],
)
def test_setting_that_would_do_nothing_is_refused(text: str, words: str):
    with pytest.raises(InputError, match=words):
        experiment.parse(SMALL + text, "exp.yaml")


@pytest.mark.parametrize("section", ["unknown_mask.max_iterations=2", "recovery.inner_iterations=2"])
def test_section_changes_nothing_of_a_runs_own_file_and_is_refused(section: str):
    kept = experiment.parse(SMALL, "small").to_yaml()
    with pytest.raises(InputError, match="does nothing"):
        experiment.parse(kept, "kept", [section])


@pytest.mark.parametrize(
    ("degradations", "words"),
    [
        ("[{downsample: 2, factor: 4}]", "factor is given twice"),
        ("[{blur: {std: 1.0}, std: 2.0}]", "std is given twice"),
        ("[{mask: random_5}, {mask: random_05}]", "twice"),
        ("[{mask: center, fill: {noise: 1}}]", "noise has no settings"),
        ("[{blur: {std: 1.0e-9}}]", "from 0.1"),
        ("[{mask: center, blur: 1}]", "one of the keys"),
        ("[center]", "mapping such as"),
    ],
)
def test_degradation_that_says_two_things_or_none_is_refused(degradations: str, words: str):
    with pytest.raises(InputError, match=words):
        experiment.parse(re.sub("degradations:.*", f"degradations: {degradations}", SMALL), "exp.yaml")


def test_known_mask_and_known_operator_stand_for_each_other_and_neither_is_lost():
    both = re.sub("degradations:.*", "degradations: [{mask: center}, {blur: 1.0}]", SMALL)
    for method in ("known_mask", "known_operator"):
        found = experiment.parse(f"{both}methods: [{method}]\n", "exp.yaml")
        assert set(found.titles) == {"known_mask", "known_operator"}
    masks = experiment.parse(SMALL + "methods: [known_operator]\n", "exp.yaml")
    assert list(masks.titles) == ["known_mask"]
    with pytest.raises(InputError, match="known_operator accepts none"):
        experiment.parse(SMALL + "methods: [known_mask, {name: known_operator, label: other}]\n", "exp.yaml")
    blurred = re.sub("degradations:.*", "degradations: [{blur: 1.0}]", SMALL)
    with pytest.raises(InputError, match=r"unknown_mask accepts none.*known_operator"):
        experiment.parse(blurred + "methods: [unknown_mask]\n", "exp.yaml")
    assert list(experiment.parse(blurred, "exp.yaml").titles) == ["known_operator", "autoencoder_iterations"]


def test_masks_that_miss_other_shares_of_each_image_are_one_row_of_the_rates(tmp_path: Path):
    rates = rates_of(SMALL.replace("mask: center", "holes: 0.5") + "methods: [known_mask]\n", tmp_path)
    holes = rates[(rates["degradation"] == "holes_0.5") & (rates["split"] == "train")]
    assert holes["images"].tolist() == [6, 6]  # a row a checkpoint
    results = pd.read_parquet(tmp_path / "run" / "recovery")
    own = results[(results["degradation"] == "holes_0.5") & (results["split"] == "train")]["fraction_missing"]
    assert own.nunique() > 1
    assert holes["fraction_missing"].to_numpy() == pytest.approx(own.mean())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("pictures: 2", "methods: [undecorated]", "undecorated is no dataclass"),
        ("pictures: 2", "methods: [misnamed]", "another name than its class's own, right"),
        ("mask: center", "mask: restless", "another one each time"),
        ("mask: center", "mask: failing", "failed .KeyError"),
        ("mask: center", "astray: 1", "can't name a folder"),
    ],
)
def test_what_is_wrong_with_what_a_user_adds_is_one_sentence(memrec, tmp_path: Path, old: str, new: str, words: str):
    (tmp_path / "mine.yaml").write_text("imports: [tests.workflows.outside_wrong]\n" + SMALL.replace(old, new))
    called = memrec("plan", tmp_path / "mine.yaml", "--run", tmp_path / "run")
    assert called.status == 2, called
    assert called.err.count("\n") == 1
    assert re.search(words, called.err), called.err


def test_what_a_method_of_ones_own_returns_is_looked_at(tmp_path: Path):
    for method in ("hollow", "boastful"):
        (tmp_path / method).mkdir()
        text = f"imports: [tests.workflows.outside_wrong]\n{SMALL}methods: [{method}]\n"
        with pytest.raises(InputError, match=f"method {method} must return a Recovery with finite images"):
            make_run(experiment.parse(text, "wrong"), tmp_path / method, lambda kind: Size(12, 512))
