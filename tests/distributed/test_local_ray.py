"""A Ray of this machine's own, where the machine makes it hard, and where it dies."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import SMALL, TINY
from tests.distributed.another_user import UID, as_another_user
from tests.distributed.conftest import Job

ROOT = Path(__file__).parents[2]


@pytest.fixture
def crowded() -> Iterator[Path]:
    """A temporary folder in which Ray's place is somebody else's."""
    folder = Path(tempfile.mkdtemp(prefix="m", dir="/tmp"))
    folder.chmod(0o1777)
    (folder / "ray").mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["crowded", "long"])
def test_run_needs_no_home_no_name_and_no_short_temporary_folder_and_takes_only_its_processors(
    crowded: Path, tmp_path: Path, kind: str
):
    home, run, tiny = tmp_path / "home", tmp_path / "run", tmp_path / "tiny.yaml"
    tiny.write_text(TINY)
    run.mkdir()
    home.mkdir()
    os.chown(run, UID, UID)
    temporary = {"crowded": crowded, "long": tmp_path / ("x" * 100)}[kind]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    affinity = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}}); "
    script = affinity + "from workflows.entry import main; main()"
    command = [*as_another_user(), sys.executable, "-c", script, "run", tiny, "--run", run]
    called = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (called.returncode, called.stderr) == (0, ""), called
    assert "on 1 actors" in called.stdout
    assert list(home.iterdir()) == []
    if kind == "crowded":
        assert {path.name for path in crowded.iterdir()} >= {"ray", f"ray-{UID}"}
        assert not list((crowded / "ray").iterdir())


@pytest.mark.long
def test_job_whose_own_ray_dies_ends_with_a_sentence(start, memrec, tmp_path: Path):
    endless = tmp_path / "endless.yaml"
    endless.write_text(SMALL.replace("1e-3]}", "1e-12]}"))
    job: Job = start(tmp_path / "run", experiment=endless, local=True)
    job.wait_for(lambda: (job.run / "checkpoints").exists())
    for process in psutil.Process(job.process.pid).children(recursive=True):
        if process.name() == "raylet":
            process.kill()
    assert job.wait() == 1, job.log.read_text()
    said = job.log.read_text()
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("error: Ray on this machine has died")
    assert "give the same command again" in said.splitlines()[-1]
    assert not (job.run / "failures").exists()
    assert "stopped without ending" in memrec("status", job.run).out
