"""What fails, and what is refused: recorded, named, and no hindrance to the rest."""

import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from memrec_core import autoencoders, checkpoints
from tests.conftest import SMALL, results
from tests.distributed.conftest import Job, trained
from tests.distributed.nodes import nodes_of_one_cpu


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, too small for a run."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1100k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.long
def test_full_disk_ends_the_run_with_a_word_and_the_run_goes_on_once_there_is_room(
    start, small_disk: Path, undisturbed: Path
):
    run = trained(undisturbed, small_disk / "run")
    log = small_disk.parent / "log"
    job = start(run, log=log)
    assert job.wait() == 1, log.read_text()
    assert re.search(r"^error: .*can't be written \(No space left on device\).*stays valid$", log.read_text(), re.M)
    assert "Traceback" not in log.read_text()
    before = {path: path.stat().st_mtime_ns for path in job.units()}
    subprocess.run(["mount", "-o", "remount,size=100m", small_disk], check=True)
    job = start(run, log=log)
    assert job.wait() == 0, log.read_text()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert results(run).equals(results(undisturbed))


def spoil(run: Path) -> None:
    """Put a network for larger images in the place of the last checkpoint, sound in itself."""
    file = run / "checkpoints" / "fc10-leaky_relu" / "0.001.safetensors"
    metadata = json.loads(file.with_suffix(".json").read_text())
    checkpoints.save(file, autoencoders.build("fc10", (3, 64, 64), width=48), metadata)


@pytest.mark.long
def test_units_that_keep_failing_are_given_up_named_and_taken_up_again_when_asked(
    run_small, memrec, undisturbed: Path, tmp_path: Path
):
    run = trained(undisturbed, tmp_path / "run")
    sound = {path.name: path.read_bytes() for path in (run / "checkpoints" / "fc10-leaky_relu").iterdir()}
    spoil(run)
    called = run_small(run)
    assert called.status == 1, called
    assert called.err.count("the autoencoder can't be applied to") == 18  # of 36 units; the others are done
    assert "--retry-failed" in called.err
    assert len(list(run.glob("recovery/**/*.parquet"))) == 18
    status = memrec("status", run)
    assert re.search(r"recovery units\s+│\s+18 │\s+18", status.out)
    assert status.out.count("can't be applied") == 18
    assert "(3 attempts)" in status.out
    assert (run / "report" / "index.html").exists()

    recorded = {path: path.stat().st_mtime_ns for path in (run / "failures").iterdir()}
    assert run_small(run).status == 1
    assert {path: path.stat().st_mtime_ns for path in recorded} == recorded  # not tried again unless asked to
    assert run_small(run, "--retry-failed").status == 1
    assert all(path.stat().st_mtime_ns > before for path, before in recorded.items())

    for name, data in sound.items():
        (run / "checkpoints" / "fc10-leaky_relu" / name).write_bytes(data)
    mended = run_small(run)  # units of another checkpoint, to which the failures of the spoiled one mean nothing
    assert mended.status == 0, mended
    assert memrec("status", run).out.count("failed:") == 0
    assert results(run).equals(results(undisturbed))


@pytest.mark.long
def test_training_that_can_not_reach_its_target_does_not_stop_the_others(
    run_small, memrec, cluster: str, tmp_path: Path
):
    two = tmp_path / "two.yaml"
    models = (
        "models: [{architecture: fc10, width: 48}, {architecture: fc20, activation: softplus, width: 5, label: narrow}]"
    )
    text = SMALL.replace("models: [{architecture: fc10, width: 48}]", models)
    two.write_text(text.replace("targets: [1e-2, 1e-3]", "targets: [1e-2, 1e-3], max_steps: 600"))
    called = run_small(tmp_path / "run", experiment=two)
    assert called.status == 1, called
    assert called.out.count("training: narrow failed: training has not reached") == 1  # as soon as it did
    assert len(list(tmp_path.glob("run/recovery/**/*.parquet"))) == 36  # all of the one that could be trained
    # What only a training could mend stays on record, and in nobody's way.
    called = memrec("recover", two, "--run", tmp_path / "run", "--address", cluster, "--retry-failed")
    assert called.status == 1, called
    status = memrec("status", tmp_path / "run")
    assert status.out.count("failed: training-narrow") == 1
    assert "raise max_steps" in status.out
    assert "Incomplete: 36 of 72 work units" in memrec("aggregate", tmp_path / "run").out


def test_files_that_are_no_units_are_named_and_set_aside(run_small, undisturbed: Path, tmp_path: Path):
    """Before the work; test_evidence.py has what is found after it, without --verify."""
    run = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    units = sorted(run.glob("recovery/**/*.parquet"))
    units[0].write_bytes(units[0].read_bytes()[:-20])
    (units[1].parent / "notes.txt").write_text("mine")
    pq.write_table(pq.read_table(units[2]).drop_columns(["mse"]), units[2])
    called = run_small(run, "--verify")
    assert called.status == 0, called
    assert all(f"set aside: {unit} " in called.out for unit in (units[0], units[2]))
    assert "notes.txt" in called.out
    assert len(list((run / "set_aside").iterdir())) == 3
    assert results(run).equals(results(undisturbed))
    assert results(run, "results").equals(results(run))


@pytest.mark.parametrize("command", ["aggregate", "report"])
def test_unit_damaged_within_a_sound_footer_is_named_set_aside_and_recovered_again(
    memrec, run_small, undisturbed: Path, tmp_path: Path, command: str
):
    run = Path(shutil.copytree(undisturbed, tmp_path / "run", ignore=shutil.ignore_patterns("set_aside")))
    units = run.glob("recovery/*/0.001/**/*.parquet")
    unit = next(path for path in units if pd.read_parquet(path).original.notna().any())
    whole = unit.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    unit.write_bytes(whole[:4] + b"\xa5" * (len(whole) - 4 - footer) + whole[-footer:])
    called = memrec(command, run)
    assert (called.status, called.err.count("\n")) == (1, 1), called
    assert str(unit) in called.err
    assert [path.name for path in (run / "set_aside").iterdir()] == [str(unit.relative_to(run)).replace("/", "_")]
    if command == "report":
        assert memrec("report", run).status == 0
        assert "the rates are of 36 work units, and 35 are there by now" in (run / "report/index.html").read_text()
        return
    again = run_small(run)
    assert again.status == 0, again
    assert "140 of 144 recoveries are there" in again.out
    assert results(run).equals(results(undisturbed))


@pytest.mark.long
def test_two_drivers_on_one_run_lose_and_duplicate_nothing(start, undisturbed: Path, tmp_path: Path):
    jobs = [start(tmp_path / "run", log=tmp_path / f"{name}.log") for name in ("first", "second")]
    assert [job.wait() for job in jobs] == [0, 0], [job.log.read_text() for job in jobs]
    assert len(jobs[0].units()) == 36
    assert not list((tmp_path / "run").glob("set_aside/*"))
    assert results(tmp_path / "run").equals(results(undisturbed))


@pytest.mark.long
def test_job_whose_nodes_are_all_lost_says_what_it_waits_for_and_goes_on_with_the_next(memrec, tmp_path: Path):
    slow = ("--set", "recovery.inner_iterations=100", "--set", "recovery.max_iterations=30")
    experiment = tmp_path / "small.yaml"
    experiment.write_text(SMALL)
    with nodes_of_one_cpu(1) as nodes:
        job = Job(experiment, tmp_path / "run", *slow, "--address", nodes.address, actors=None)
        job.wait_for(lambda: len(job.units()) >= 2)
        nodes.kill_one(random.Random(0))
        lack = "no actor is there, waiting for a node with room for 1 CPU"
        job.wait_for(lambda: lack in job.log.read_text())
        job.wait_for(lambda: lack in memrec("status", job.run).out)
        before = len(job.units())
        nodes.add()
        job.wait_for(lambda: len(job.units()) > before)
        job.kill()
