"""What a local Ray may use of a machine that is not all the user's own."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from workflows.job.machine import LONGEST_FOLDER, processors, ray_folder

NO_GROUPS = Path("/nonexistent")


@pytest.fixture
def one_processor() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def test_only_processors_of_the_affinity_count(one_processor):
    assert processors(NO_GROUPS, NO_GROUPS) == 1


LAYOUTS = {
    "the container's own": ("0::/\n", "cpu.max", "{quota} 100000"),
    "of a group around the process's": ("0::/slice/service\n", "slice/cpu.max", "{quota} 100000"),
    "of version 1": ("4:cpu,cpuacct:/docker/abc\n3:memory:/\n", "cpu/docker/abc/cpu.cfs_quota_us", "{quota}"),
    "of version 1, seen from inside": ("4:cpu,cpuacct:/docker/abc\n", "cpu,cpuacct/cpu.cfs_quota_us", "{quota}"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_quota_of_a_control_group_counts_and_half_a_processor_is_one(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    groups, file, content = LAYOUTS[layout]
    (tmp_path / "groups").write_text(groups)
    quota = tmp_path / "mounted" / file
    quota.parent.mkdir(parents=True)
    quota.with_name("cpu.cfs_period_us").write_text("100000\n")
    for given, expected in ((300_000, 3), (250_000, 2), (50_000, 1), (-1 if "1" in layout else "max", 8)):
        quota.write_text(content.format(quota=given) + "\n")
        assert processors(tmp_path / "groups", tmp_path / "mounted") == expected


@pytest.fixture
def short() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="m", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def test_ray_keeps_its_usual_place_where_that_can_be_used(short: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(short))
    assert ray_folder() == f"{short}/ray"
    monkeypatch.setenv("RAY_TMPDIR", str(short / "other"))
    assert ray_folder() == f"{short}/other/ray"


@pytest.mark.parametrize("kind", ["too long", "can't be written", "relative, and too long"])
def test_another_folder_is_found_where_the_temporary_one_does_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    monkeypatch.chdir(tmp_path)
    long = "x" * LONGEST_FOLDER
    place = {"too long": tmp_path / long, "can't be written": "/proc", "relative, and too long": long}[kind]
    monkeypatch.setenv("TMPDIR", str(place))
    folder = ray_folder()
    assert len(folder) <= LONGEST_FOLDER
    assert not folder.startswith(str(place))
    assert os.access(folder, os.W_OK)


def test_place_of_another_user_is_left_alone(short: Path, monkeypatch: pytest.MonkeyPatch):
    (short / "ray").write_text("not a folder")
    monkeypatch.setenv("TMPDIR", str(short))
    assert ray_folder() == f"{short}/ray-{os.getuid()}"
    (short / f"ray-{os.getuid()}").rmdir()
    (short / "elsewhere").mkdir()
    (short / f"ray-{os.getuid()}").symlink_to(short / "elsewhere")
    os.lchown(short / f"ray-{os.getuid()}", 12345, 12345) if os.getuid() == 0 else None
    assert os.getuid() or not ray_folder().startswith(str(short))


def test_machine_without_any_folder_for_ray_says_so_in_a_sentence(small_file: Path, tmp_path: Path):
    if any(Path(place).is_relative_to("/tmp") for place in (sys.executable, __file__)):
        pytest.skip("this checkout lies in /tmp, which the test hides")
    mounts = "; ".join(f"mount -t tmpfs -o ro tmpfs {place}" for place in ("/var/tmp", "/dev/shm"))
    # torch takes dill where it is there, as it is for these tests, and dill wants a temporary folder.
    called = "import sys; sys.modules['dill'] = None; from workflows.entry import main; main()"
    program = f'{sys.executable} -c "{called}" run {tmp_path.name}/small.yaml --run {tmp_path.name}/run'
    # What the command needs lies under the temporary folder: it is reached from within, and can't be written.
    script = (
        f"{mounts}; mount --bind -o ro {tmp_path.parent} /tmp && mount -o remount,bind,ro /tmp && cd /tmp; {program}"
    )
    shutil.copy(small_file, tmp_path / "small.yaml")
    called = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": "/tmp", "PYTHONPATH": str(Path(__file__).parents[3])},
        check=False,
    )
    if "unshare" in called.stderr or "mount:" in called.stderr:
        pytest.skip(f"no mounts here: {called.stderr.strip()}")
    assert (called.returncode, called.stderr.count("\n")) == (1, 1), called
    assert "no folder can hold its sockets and logs (/tmp/ray: Read-only file system" in called.stderr
    assert "RAY_TMPDIR" in called.stderr
