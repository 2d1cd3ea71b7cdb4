"""How much is asked of an object store: what is done is known by listing, and each file is asked for once."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.aggregation import Shape, write_run
from tests.distributed import s3
from tests.distributed.proxy import Proxy, unreliable
from workflows.run.opened import open_run
from workflows.run.rates import aggregate
from workflows.run.store import Store

SHAPE = Shape(images=100, masks=5, checkpoints=5, recoveries=5)
UNITS, CHECKPOINTS = 1500, 5
RUN = f"s3://{s3.BUCKET}/run"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "run"
    write_run(Store(str(folder)), SHAPE)
    return folder


@pytest.fixture
def bucket(written: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """What counts the requests to a server that has the run."""
    with s3.s3_server() as port, unreliable(port, errors=0, delays=0) as proxy:
        for name, value in s3.environment(proxy.url).items():
            monkeypatch.setenv(name, value)
        store = Store(RUN)
        store.fs.put(str(written), store.root, recursive=True)
        yield proxy


def asked(bucket: Proxy) -> tuple[list[str], list[str]]:
    """The requests since this was asked last: for units' files, and others."""
    found, bucket.asked = bucket.asked, []
    of_units = [request for request in found if "/run/recovery/" in request.partition("?")[0]]
    return of_units, [request for request in found if request not in of_units]


@pytest.mark.long
def test_requests_are_few_but_for_the_rows_and_these_are_asked_for_once(bucket: Proxy, written: Path):
    asked(bucket)
    status = open_run(RUN).status()
    assert (status.units_done, status.units_planned, status.checkpoints_done) == (UNITS, UNITS, CHECKPOINTS)
    of_units, others = asked(bucket)
    assert of_units == []
    assert len([request for request in others if "list-type" in request]) < 20
    assert len(others) < 40 + CHECKPOINTS

    rates = aggregate(open_run(RUN))
    of_units, others = asked(bucket)
    assert sorted(set(of_units)) == sorted(of_units)
    assert len(of_units) == UNITS
    assert all(request.startswith("GET") for request in of_units)
    assert len(others) < 60 + 2 * CHECKPOINTS
    pd.testing.assert_frame_equal(rates, aggregate(open_run(str(written))))
    asked(bucket)

    pd.testing.assert_frame_equal(aggregate(open_run(RUN)), rates)
    of_units, others = asked(bucket)
    assert of_units == []
    assert len(others) < 60 + 2 * CHECKPOINTS

    rows = pd.read_parquet(f"{RUN}/results")
    assert (len(rows), len(asked(bucket)[1]) < 10 * CHECKPOINTS) == (UNITS * SHAPE.recoveries, True)
