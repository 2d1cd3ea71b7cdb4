"""What memrec says of itself and of a run before it: --version, list and plan."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import memrec_core
from memrec_core.autoencoders import ARCHITECTURES
from memrec_core.datasets import DATA_SETS
from memrec_core.degradations import DEGRADATIONS, FILLS, MASKS
from memrec_core.recovery import METHODS
from tests.conftest import SMALL, make_run
from workflows.experiment import loading as experiment
from workflows.run.planning import Size
from workflows.run.store import RECOVERY


def test_version_is_that_of_the_package(memrec):
    called = memrec("--version")
    assert (called.status, called.out) == (0, f"memrec {memrec_core.__version__}\n")


def test_list_has_a_line_for_everything_that_an_experiment_can_name(memrec):
    called = memrec("list")
    assert called.status == 0
    lines = dict(re.findall(r"^  (\S+) +(\S.*)$", called.out, re.MULTILINE))
    for name in (*experiment.shipped(), *ARCHITECTURES, *MASKS.values(), *FILLS, *DEGRADATIONS, *METHODS, *DATA_SETS):
        assert len(lines[name]) > 5, name
    assert "variants: short, cpu" in lines["figure3-unet-prelu"]
    assert "the paper's 3" in lines["random_80"]
    assert lines["known_mask"] == METHODS["known_mask"].does


def test_plan_says_what_a_run_would_do_and_leaves_nothing_behind(memrec, small_file: Path, tmp_path: Path):
    called = memrec("plan", small_file, "--run", tmp_path / "run")
    assert called.status == 0
    assert "photos: 6 training images, 6 control images, of 16 x 16 pixels" in called.out
    assert (
        "fc10-leaky_relu on photos, 0.1 million weights, down to 0.001, with 2 checkpoints; a step takes" in called.out
    )
    assert "144 recoveries in 36 units: 12 images, 2 degradations, 3 methods at each checkpoint" in called.out
    assert re.search(r"disk: +about \S+ MB: checkpoints \d+ kB", called.out)
    assert re.search(r"time: +recovery about \d+ (s|min) on the \d+ processors?", called.out)
    assert f"{tmp_path / 'run'}: not begun" in called.out
    assert not (tmp_path / "run").exists()


def test_plan_follows_variant_and_overrides(memrec, tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text(SMALL + "variants: {tiny: {data: {count: 3}}}\n")
    called = memrec("plan", file, "--variant", "tiny", "--set", "methods=[known_mask, biharmonic]")
    assert "photos: 3 training images, 3 control images" in called.out
    assert "1 method at each checkpoint and 1 method without a network" in called.out
    assert "36 recoveries" in called.out  # 6 images, 2 degradations, 2 checkpoints and once


def test_plan_without_a_size_of_units_measures_one(memrec, small_file: Path, tmp_path: Path):
    called = memrec("plan", small_file, "--run", tmp_path / "run", "--set", "images_per_unit=null")
    assert re.search(r"144 recoveries in [1-9]\d* units", called.out)


def test_plan_of_a_run_that_was_begun_says_what_is_done(memrec, small_file: Path, tmp_path: Path):
    store = make_run(experiment.load(str(small_file)), tmp_path / "run", lambda kind: Size(12, 12))
    for name in store.names(RECOVERY, ".parquet")[2:]:
        store.remove(name)
    called = memrec("plan", small_file, "--run", tmp_path / "run")
    assert f"{tmp_path / 'run'}: 2 of 2 checkpoints and 2 of 12 units are done" in called.out
    assert "with 2 checkpoints: done" in called.out
    other = memrec("plan", small_file, "--run", tmp_path / "run", "--set", "seed=7")
    assert (other.status, other.err.count("\n")) == (2, 1)
    assert "another experiment" in other.err


def test_plan_finds_that_there_are_too_few_images_before_anything_starts(memrec, small_file: Path, tmp_path: Path):
    called = memrec("plan", small_file, "--run", tmp_path / "run", "--set", "data.count=100000")
    assert (called.status, called.err.count("\n")) == (2, 1)
    assert re.search(r"\d+ images", called.err)
    assert "100000" in called.err


@pytest.mark.long
def test_plan_starts_no_ray(small_file: Path, tmp_path: Path):
    script = (
        "import sys, ray; from workflows import cli; sys.argv = ['memrec', 'plan', *sys.argv[1:]]\n"
        "try: cli.main()\nfinally: assert not ray.is_initialized()"
    )
    words = [sys.executable, "-c", script, small_file, "--run", tmp_path / "run", "--set", "images_per_unit=null"]
    called = subprocess.run(words, capture_output=True, text=True, check=False)
    assert called.returncode == 0, called
