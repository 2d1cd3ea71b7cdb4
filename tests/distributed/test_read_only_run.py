"""A run that one may only read."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.distributed.another_user import as_another_user

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("command", "status", "file"),
    [("status", 0, ""), ("aggregate", 1, "thresholds.parquet"), ("report", 1, "index.html")],
)
def test_its_tables_are_printed_and_what_can_not_be_written_is_named(
    undisturbed: Path, tmp_path: Path, command: str, status: int, file: str
):
    run = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": "/nonexistent"}
    program = [*as_another_user(), sys.executable, "-m", "workflows", command, run]
    called = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert (called.returncode, called.stderr.count("\n")) == (status, 1 if file else 0), called
    assert f"{file} can't be written (Permission denied)" in called.stderr or not file
    assert ("recovery units" if command == "status" else "accurate recovery, % of the images") in called.stdout
