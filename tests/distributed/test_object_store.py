"""A run whose folder is a bucket: of an S3 server that is slow and now and then answers 500, or of Google's."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest

from tests.conftest import KEY, TINY, make_run, results
from tests.distributed import s3
from tests.distributed.gcs import gcs_server
from tests.distributed.proxy import Proxy, unreliable
from workflows.experiment import loading as experiments
from workflows.run.planning import Size
from workflows.run.store import Store
from workflows.work.measure import USUAL_BATCH

RUN, GOOGLES_RUN = f"s3://{s3.BUCKET}/run", f"gs://{s3.BUCKET}/run"
LAST = ("rates.parquet", "thresholds.parquet", "report/index.html", "progress.json")
"""What a run writes in the end, or as it goes."""


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with s3.s3_server() as port, unreliable(port, errors=0.03, delays=0.1) as proxy:
        yield proxy


@pytest.fixture
def bucket(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    for name, value in s3.environment(proxy.url).items():
        monkeypatch.setenv(name, value)
    return proxy


def shown(page: str, run: str) -> str:
    """A page without the folder of its run, and without when and how fast that was made, which is in its last part."""
    before, how, _ = page.partition('<section id="making"')
    assert how
    return before.replace(run, "")


def call(*arguments: object) -> subprocess.CompletedProcess:
    """What `memrec` did with the arguments; fails with the place where each of its threads is, should it hang."""
    command = [sys.executable, "-X", "faulthandler", "-m", "workflows", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        pytest.fail("\n".join(["hangs", *process.communicate()]))
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def put(run: Path, store: Store, *without: str) -> None:
    """Put the files of a run into a bucket, without those whose names begin so."""
    for path in run.rglob("*"):
        name = path.relative_to(run).as_posix()
        if path.is_file() and not name.startswith(without):
            store.write(name, path.read_bytes())


def test_bucket_gives_the_rows_rates_and_page_of_a_folder(bucket: Proxy, small_file: Path, undisturbed: Path):
    run = f"s3://{s3.BUCKET}/begun"  # with what comes of the last checkpoint and one mask still to do
    put(undisturbed, Store(run), "recovery/fc10-leaky_relu/0.001/center", *LAST)
    called = call("run", small_file, "--run", run, "--actors", 2)
    assert called.returncode == 0, called
    assert bucket.injected > 5
    rows = pd.read_parquet(f"{run}/recovery").drop(columns="seconds").sort_values(KEY, ignore_index=True)
    pd.testing.assert_frame_equal(rows, results(undisturbed))
    rates = pd.read_parquet(f"{run}/rates.parquet").drop(columns="seconds")
    pd.testing.assert_frame_equal(rates, pd.read_parquet(undisturbed / "rates.parquet").drop(columns="seconds"))
    with fsspec.open(f"{run}/report/index.html", "r") as file:
        page = file.read()
    assert shown(page, run) == shown((undisturbed / "report/index.html").read_text(), str(undisturbed))

    status = call("status", run)
    assert status.returncode == 0, status
    assert re.search(r"recovery units\s+│\s+36 │\s+0", status.stdout)
    with fsspec.open(f"{run}/progress.json") as file:
        assert json.load(file)["units_done"] == 36


@pytest.mark.long
def test_run_that_begins_in_a_bucket_gives_the_rows_of_a_folder(bucket: Proxy, tmp_path: Path):
    before, run, here = bucket.injected, f"s3://{s3.BUCKET}/new", tmp_path / "here"
    (tiny := tmp_path / "tiny.yaml").write_text(TINY)
    called = call("run", tiny, "--run", run, "--actors", 2)
    assert called.returncode == 0, called
    assert bucket.injected > before
    make_run(experiments.load(str(tiny)), here, lambda kind: Size(4, USUAL_BATCH))
    found, expected = (pd.read_parquet(f"{place}/recovery").sort_values(KEY[1:]) for place in (run, here))
    for name in (*KEY[1:], "status"):
        assert found[name].tolist() == expected[name].tolist()
    assert np.allclose(found["mse"], expected["mse"], rtol=1e-3)  # of a network that was trained by other threads
    with fsspec.open(f"{run}/report/index.html", "r") as file:
        assert "Incomplete:" not in file.read()


@pytest.mark.long
def test_bucket_of_google_is_a_runs_folder_as_any_other(
    monkeypatch: pytest.MonkeyPatch, small_file: Path, undisturbed: Path
):
    with gcs_server() as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        monkeypatch.setenv("NO_GCE_CHECK", "true")  # else it looks for credentials where Google's machines have them
        google = Store(GOOGLES_RUN)
        put(undisturbed, google, *LAST)
        called = call("run", small_file, "--run", GOOGLES_RUN)
        assert (called.returncode, "all 36 units are done" in called.stdout) == (0, True), called
        rates = google.read_table("rates.parquet").to_pandas()
        pd.testing.assert_frame_equal(rates, pd.read_parquet(undisturbed / "rates.parquet"))
        page = google.read("report/index.html").decode()
        assert shown(page, GOOGLES_RUN) == shown((undisturbed / "report/index.html").read_text(), str(undisturbed))


@pytest.mark.parametrize("command", ["run", "status"])
def test_bucket_that_does_not_exist_is_named(bucket: Proxy, small_file: Path, command: str):
    place = (small_file, "--run", "s3://nobucket/run") if command == "run" else ("s3://nobucket/run",)
    called = call(command, *place)
    assert (called.returncode, called.stderr.count("\n")) == (2, 1), called
    assert "the bucket nobucket of s3://nobucket/run does not exist" in called.stderr


def test_bucket_without_credentials_gets_one_sentence(bucket: Proxy, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    called = call("status", RUN)
    assert (called.returncode, called.stderr.count("\n")) == (1, 1), called
    assert f"{RUN}/experiment.yaml can't be read (Unable to locate credentials)" in called.stderr
