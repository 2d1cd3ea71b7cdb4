"""Runs of earlier revisions: run_of_0.1.0 was made by the revision before the pictures' content was kept."""

import shutil
from pathlib import Path

import pytest

OLD = Path(__file__).parent / "run_of_0.1.0"


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
