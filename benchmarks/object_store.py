"""A run of 12,480 small units in a bucket that takes 50 ms to answer: what is left of it, its rates, its rows."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import s3_front
from benchmarks.aggregation import Shape, write_run
from benchmarks.rows import Row
from workflows.run.store import Store

SHAPE = Shape(images=208, masks=4, checkpoints=20, recoveries=4)
UNITS, ROWS = 12_480, 49_920
LATENCY_S = 0.05
RUN = f"s3://{s3_front.BUCKET}/run"
MEMREC = [sys.executable, "-m", "workflows"]
READ = {
    "pandas": "import pandas, sys; print(len(pandas.read_parquet(sys.argv[1])))",
    "DuckDB": (
        "import duckdb, fsspec, sys; duckdb.register_filesystem(fsspec.filesystem('s3'));"
        "print(duckdb.sql(f\"SELECT count(mse) FROM '{sys.argv[1]}/**/*.parquet'\").fetchall()[0][0])"
    ),
}


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        write_run(Store(f"{folder}/run"), SHAPE)
        with _front(folder) as url:
            return list(_measured(url, f"{folder}/run/experiment.yaml"))


def _measured(url: str, experiment: str) -> Iterator[Row]:
    what = f"S3, {UNITS:,} units, 50 ms a request"
    for step, command, allowed in (
        ("is anything left", [*MEMREC, "recover", experiment, "--run", RUN], 10.0),
        ("first aggregation", [*MEMREC, "aggregate", RUN], 60.0),
        ("second aggregation, of compacted files", [*MEMREC, "aggregate", RUN], None),
        *(
            (f"{name} reads results/", [sys.executable, "-c", code, f"{RUN}/results"], None)
            for name, code in READ.items()
        ),
    ):
        took, requests, said = _called(url, command)
        if is_reader(step) and int(said) != ROWS:
            raise AssertionError(f"{said} of {ROWS} rows were read")
        note = f"{sum(requests.values())} requests: {', '.join(f'{count} {kind}' for kind, count in requests.items())}"
        if allowed is None:
            yield Row(f"{what}: {step}", took, None, None, note=note)
        else:
            note = f"rival: what is allowed; {note}"
            yield Row(f"{what}: {step}", took, allowed, took / allowed, 1.0, at_most=True, note=note)


def is_reader(step: str) -> bool:
    return step.partition(" ")[0] in READ


def _called(url: str, command: list[str]) -> tuple[float, dict[str, int], str]:
    """How long a command takes as a process of its own, what it asked of the server, and its last line."""
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
    }
    _counts(url)
    began = time.perf_counter()
    called = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800, check=False)
    took = time.perf_counter() - began
    if called.returncode:
        raise AssertionError(f"{command} ended with {called.returncode}: {called.stderr}")
    return took, _counts(url), called.stdout.splitlines()[-1]


def _counts(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}{s3_front.COUNTS}") as answer:
        return json.load(answer)


@contextmanager
def _front(folder: str) -> Iterator[str]:
    """The URL of a server that has the folder as a bucket."""
    with tempfile.TemporaryDirectory() as place:
        port = Path(place, "port")
        server = subprocess.Popen([sys.executable, "-m", "benchmarks.s3_front", folder, port, str(LATENCY_S)])
        try:
            while not port.exists() or not port.read_text(encoding="utf-8"):
                if server.poll() is not None:
                    raise AssertionError("the S3 server did not start")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port.read_text(encoding='utf-8')}"
        finally:
            server.terminate()
            server.wait()
