"""memrec status --watch beside a job at work, from before its beginning to after its end."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.distributed.conftest import DEADLINE_S, Job, trained


@pytest.mark.long
def test_job_is_watched_from_before_its_beginning_to_its_end(start: Callable[..., Job], tmp_path: Path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "workflows", "status", str(run), "--watch", "--every", "0.3"]
    environment = {**os.environ, "COLUMNS": "120"}
    watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert watch.stdout is not None
        assert watch.stdout.readline().startswith(f"there is no run at {run} yet; waiting for it to begin")
        assert start(run).wait() == 0
        printed = watch.communicate(timeout=DEADLINE_S)[0]
    finally:
        watch.kill()
    assert watch.returncode == 0
    lines = printed.splitlines()
    assert any(line.startswith("training fc10-leaky_relu: loss ") for line in lines)
    assert "accurate so far, % (of so many images)" in map(str.strip, lines)
    assert "the last driver ended" in lines[-2]
    assert lines[-1].startswith("drivers have worked on it for ")


@pytest.mark.long
def test_driver_that_is_killed_ends_the_watch_with_a_word(start: Callable[..., Job], undisturbed: Path, tmp_path: Path):
    run = trained(undisturbed, tmp_path / "run")
    job = start(run)
    job.wait_for(lambda: len(job.units()) >= 1)
    command = [sys.executable, "-m", "workflows", "status", str(run), "--watch", "--every", "0.3"]
    watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        job.kill()
        printed = watch.communicate(timeout=DEADLINE_S)[0]
    finally:
        watch.kill()
    assert watch.returncode == 1
    assert "stopped without ending" in printed
