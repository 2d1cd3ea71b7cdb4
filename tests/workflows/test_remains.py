"""What killed writers have left in a run's folder goes once it is old."""

import os
import time
from pathlib import Path

import pytest

from tests.conftest import make_run
from workflows.experiment import loading as experiments
from workflows.run.planning import Size
from workflows.run.remains import remove_unfinished
from workflows.run.store import Store

LEFT = [
    "checkpoints/fc10/.1e-08.safetensors.0123456789abcdef0123456789abcdef.tmp",
    "recovery/fc10/1e-08/center/known_mask/.unit.parquet.0123456789abcdef0123456789abcdef.tmp",
]
KEPT = ["checkpoints/fc10/1e-08.safetensors", "recovery/fc10/mine.tmp", ".rates.parquet.0123.tmp", "mine/.a.b.tmp"]


def write(root: Path, names: list[str], age_s: float) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age_s,) * 2)


def there(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize(("age_s", "left"), [(3700, []), (3500, LEFT), (-3700, LEFT)])
def test_files_that_were_being_written_go_once_they_are_an_hour_old(tmp_path: Path, age_s: float, left: list[str]):
    write(tmp_path, LEFT, age_s)
    write(tmp_path, KEPT, 1e6)
    remove_unfinished(Store(str(tmp_path)))
    assert there(tmp_path) == sorted([*left, *KEPT])


def test_next_driver_removes_them(memrec, small_file: Path, tmp_path: Path):
    run = make_run(experiments.load(str(small_file)), tmp_path / "run", lambda kind: Size(24, 24)).root
    write(Path(run), LEFT, 3700)
    assert memrec("run", small_file, "--run", run).status == 0
    assert [name for name in LEFT if name in there(Path(run))] == []


def test_run_that_has_not_begun_and_one_in_a_bucket_have_none(tmp_path: Path):
    remove_unfinished(Store(str(tmp_path / "new")))
    remove_unfinished(Store("memory://bucket/run"))
    assert list(tmp_path.iterdir()) == []
