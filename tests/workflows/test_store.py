import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from memrec_core import weights_file
from memrec_core.atomic import write_bytes
from memrec_core.errors import InputError
from workflows.errors import StoreError
from workflows.experiment.resolved import Experiment
from workflows.run import checkpoint_files
from workflows.run.checkpoint_files import keep_checkpoint, sidecar_file
from workflows.run.identity import claim
from workflows.run.run import Run
from workflows.run.store import EXPERIMENT, Store


def test_writer_killed_half_way_leaves_the_old_file_and_nothing_that_readers_see(tmp_path: Path):
    target = tmp_path / "recovery" / "unit.parquet"
    write_bytes(target, b"old")
    script = (
        "import os, signal, memrec_core.atomic as atomic, pathlib, sys\n"
        "atomic.os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)\n"
        "atomic.write_bytes(pathlib.Path(sys.argv[1]), b'new' * 1000)"
    )
    assert subprocess.run([sys.executable, "-c", script, target], check=False).returncode < 0
    assert target.read_bytes() == b"old"
    assert Store(str(tmp_path)).names("recovery", "") == ["recovery/unit.parquet"]


def test_failed_write_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"No space left on device.*stays valid"):
        Store(str(tmp_path)).write("rates.parquet", b"x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["{tmp}", "memory://bucket/new"])
def test_of_several_writers_of_a_new_file_the_first_one_stays(tmp_path: Path, uri: str):
    store = Store(uri.format(tmp=tmp_path))
    assert store.write_new("a/plan.parquet", b"first")
    assert not store.write_new("a/plan.parquet", b"second")
    assert store.read("a/plan.parquet") == b"first"
    assert store.names("a", "") == ["a/plan.parquet"]


def test_folder_is_found_from_another_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    store = Store("runs/mine")
    store.write("a", b"1")
    monkeypatch.chdir("/")
    assert Store(store.location).read("a") == b"1"
    assert store.show("a") == "runs/mine/a"


def test_node_that_does_not_see_the_runs_folder_says_so(tmp_path: Path, small: Experiment):
    store = Store(str(tmp_path / "run"))
    with pytest.raises(InputError, match="does not see the run's folder"):
        store.check_shared()
    claim(Run(small, store))
    store.check_shared()


def test_file_that_is_set_aside_is_kept_where_readers_do_not_look(tmp_path: Path):
    store = Store(str(tmp_path))
    store.write("recovery/a/1.parquet", b"damaged")
    new = store.set_aside("recovery/a/1.parquet")
    assert store.names("recovery", "") == []
    assert store.read(new) == b"damaged"


def test_table_comes_back_and_its_rows_are_counted_from_the_footer(tmp_path: Path):
    store, table = Store(str(tmp_path)), pa.table({"a": [1, 2, 3]})
    store.write_table("t.parquet", table)
    assert store.read_table("t.parquet").equals(table)
    assert store.footer("t.parquet").rows == 3


@pytest.mark.parametrize("damage", ["truncated", "foreign", "empty", "footer"])
def test_damaged_parquet_has_no_rows_and_is_named_when_read(tmp_path: Path, damage: str):
    store = Store(str(tmp_path))
    store.write_table("t.parquet", pa.table({"a": list(range(1000))}))
    whole = (tmp_path / "t.parquet").read_bytes()
    footer = whole[:-40] + b"\xff" * 32 + whole[-8:]
    damaged = {"truncated": whole[:-9], "foreign": b"not parquet" * 9, "empty": b"", "footer": footer}
    (tmp_path / "t.parquet").write_bytes(damaged[damage])
    assert store.footer("t.parquet") is None
    with pytest.raises(InputError, match=r"t\.parquet is not readable Parquet"):
        store.read_table("t.parquet")


def test_run_folder_belongs_to_its_first_experiment(tmp_path: Path, small: Experiment):
    store = Store(str(tmp_path / "run"))
    claim(Run(small, store))
    claim(Run(small, store))
    claim(Run(replace(small, description="in other words"), store))
    with pytest.raises(InputError, match=r"belongs to another experiment \(seed is 42 there, and 43 here\)"):
        claim(Run(replace(small, seed=43), store))


def test_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path, small: Experiment):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="is not a run of memrec"):
        claim(Run(small, Store(str(tmp_path))))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_folder_in_which_a_driver_was_killed_at_its_first_file_is_a_new_one(tmp_path: Path, small: Experiment):
    (tmp_path / f".{EXPERIMENT}.0123abcd.tmp").write_text("seed: 4")
    claim(Run(small, Store(str(tmp_path))))
    assert Store(str(tmp_path)).read(EXPERIMENT) == small.to_yaml().encode()


def test_drivers_that_begin_one_run_at_once_all_have_it(tmp_path: Path, small: Experiment):
    for number in range(40):
        start = threading.Barrier(8)

        def begin(folder: str = f"{tmp_path}/{number}", start: threading.Barrier = start) -> None:
            start.wait()
            claim(Run(small, Store(folder)))

        with ThreadPoolExecutor(8) as drivers:
            for driver in [drivers.submit(begin) for _ in range(8)]:
                driver.result()


def test_object_store_behaves_as_a_folder_does(small: Experiment):
    store = Store("memory://bucket/run")
    claim(Run(small, store))
    store.write_table("recovery/a/1.parquet", pa.table({"a": [1]}))
    assert store.names("recovery", ".parquet") == ["recovery/a/1.parquet"]
    assert store.footer("recovery/a/1.parquet").rows == 1
    with pytest.raises(InputError, match=r"belongs to another experiment \(seed is 42 there, and 43 here\)"):
        claim(Run(replace(small, seed=43), Store("memory://bucket/run")))


def test_files_of_an_object_store_are_on_this_machine_for_the_length_of_a_block(tmp_path: Path):
    folder, bucket = Store(str(tmp_path)), Store("memory://bucket/copied")
    for store in (folder, bucket):
        store.write("recovery/a/1.parquet", b"1")
        store.write("recovery/b/1.parquet", b"2")
        with store.local_paths(["recovery/a/1.parquet", "recovery/b/1.parquet"]) as paths:
            found = [Path(path) for path in paths]
            assert [path.read_bytes() for path in found] == [b"1", b"2"]
        assert all(path.exists() == (store is folder) for path in found)
    with (
        pytest.raises(StoreError, match=r"went while it was read.*; give the same command again"),
        bucket.local_paths(["recovery/gone"]) as paths,
    ):
        print(paths[0])


def test_sidecar_is_of_the_weights_that_are_kept_and_of_no_other_driver(monkeypatch: pytest.MonkeyPatch):
    """One has written its weights alone as another comes: it is alive, and goes on, or was killed."""
    store, name, ours = Store("memory://two-drivers"), "checkpoints/fc10/0.01.safetensors", {"loss": 2e-3}
    theirs = json.dumps({"loss": 1e-3, "digest": weights_file.digest(b"theirs")}).encode()
    monkeypatch.setattr(checkpoint_files, "BETWEEN_S", 0.3)
    for is_alive in (True, False):
        store.remove_all([name, sidecar_file(name)])
        store.write_new(name, b"theirs")
        if is_alive:
            timer = threading.Timer(0.1, store.write_new, [sidecar_file(name), theirs])
            timer.start()
        keep_checkpoint(store, name, b"ours", ours)
        kept = json.loads(store.read(sidecar_file(name)))
        assert kept["digest"] == weights_file.digest(store.read(name))
        assert (kept["loss"], store.read(name)) == ((1e-3, b"theirs") if is_alive else (2e-3, b"ours"))


def test_damaged_record_of_a_failure_is_named(tmp_path: Path):
    store = Store(str(tmp_path))
    store.record_failure("unit", "it is odd")
    assert store.failures() == {"unit": "it is odd"}
    (tmp_path / "failures/unit.json").write_bytes(b'{"what": "un')
    with pytest.raises(InputError, match=r"failures/unit\.json .*remove it"):
        store.failures()


def test_run_folder_that_would_lie_elsewhere_is_refused():
    with pytest.raises(InputError, match="choose another --run"):
        Store("a::b")
