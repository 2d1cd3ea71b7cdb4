"""The cookbook of results does what it says: each of its examples runs, on a folder and on a bucket, and all of them
find the same."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import datasets
import duckdb
import fsspec
import pytest

from tests.conftest import make_run
from tests.distributed import s3
from workflows.experiment import loading as experiments
from workflows.run.heartbeat import Heartbeat
from workflows.run.opened import open_run
from workflows.run.planning import Size
from workflows.run.rates import aggregate
from workflows.run.store import Store

GUIDE = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.M | re.S)
COMMANDS = [line for block in re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.M | re.S) for line in block.splitlines()]
EXPERIMENT = """
name: NAME
data: {name: photos, count: 6, control_count: 3, size: 8}
models: [{architecture: fc10, width: 48, activation: NAME}]
training: {targets: [1e-2, 1e-5]}
degradations: [{mask: center}, {mask: bottom}]
methods: [unknown_mask, known_mask, autoencoder_iterations]
recovery: {max_iterations: 5, max_autoencoder_iterations: 100}
pictures: 2
"""
LONG = pytest.mark.long
BUCKET = f"s3://{s3.BUCKET}/"


def name_of(example: str) -> str:
    """What it imports first."""
    name = example.split()[1]
    return "compare" if "import compare" in example else f"{name} in a bucket" if BUCKET in example else name


def made(folder: Path) -> Path:
    """The folder, in which runs/demo and runs/prelu lie then."""
    for name, activation in (("demo", "leaky_relu"), ("prelu", "prelu")):
        run = folder / "runs" / name
        make_run(experiments.parse(EXPERIMENT.replace("NAME", activation), name), run, lambda kind: Size(12, 9))
        aggregate(open_run(run))
        (run / "progress.json").write_bytes(Heartbeat("done", datetime.now(UTC)).to_json())
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("cookbook"))


@contextmanager
def in_a_bucket(runs: Path) -> Iterator[None]:
    """The runs are there, of a server that the environment names, for the length of a block."""
    with s3.named_by_the_environment():
        for path in (path for path in (runs / "runs").rglob("*") if path.is_file()):
            store = Store(f"{BUCKET}{path.relative_to(runs / 'runs').parts[0]}")
            store.write(path.relative_to(runs / "runs").as_posix().partition("/")[2], path.read_bytes())
        yield


@pytest.fixture(scope="module")
def bucket(runs: Path) -> Iterator[str]:
    with in_a_bucket(runs):
        duckdb.register_filesystem(fsspec.filesystem("s3"))
        yield BUCKET
        duckdb.unregister_filesystem("s3")


@pytest.fixture(params=["folder", pytest.param("bucket", marks=LONG)])
def place(request: pytest.FixtureRequest, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What stands in place of `runs/`; what examples write goes to a folder of the test's."""
    (tmp_path / "runs").symlink_to(runs / "runs")
    monkeypatch.chdir(tmp_path)
    for name in ("HF_DATASETS_CACHE", "DOWNLOADED_DATASETS_PATH"):
        monkeypatch.setattr(datasets.config, name, str(tmp_path / name))
    return "runs/" if request.param == "folder" else request.getfixturevalue("bucket")


def expected(runs: Path) -> dict[str, float]:
    """The share of training images that came back at the lowest loss, by method."""
    rates = open_run(runs / "runs" / "demo").rates()
    rates = rates[(rates["split"] == "train") & (rates["target_loss"] == rates["target_loss"].min())]
    both = rates.groupby("method")[["accurate_count", "images"]].sum()
    return (both["accurate_count"] / both["images"]).to_dict()


@pytest.mark.parametrize("example", PYTHON, ids=name_of)
def test_example_finds_what_the_rates_say(example: str, place: str, runs: Path):
    names: dict[str, object] = {}
    if BUCKET in example and place == "runs/":
        pytest.skip("of a bucket")
    if "import ray" in example:
        pytest.skip("has a test of its own, test_ray_data.py, since it starts a Ray")
    if BUCKET in example:
        duckdb.unregister_filesystem("s3")  # it registers one itself
    exec(compile(example.replace("runs/", place), "docs/results.md", "exec"), names)
    if "compare" in names:
        assert len(names["compared"].differences) > 0  # pyright: ignore
    else:
        assert names["found"] == pytest.approx(expected(runs))
        assert max(expected(runs).values()) > 0  # else all of them could find nothing


@pytest.mark.parametrize("line", [pytest.param(line, marks=[LONG] if "--width" in line else []) for line in COMMANDS])
def test_command_does_what_it_says(line: str, place: str, memrec):
    _, *arguments = shlex.split(line.replace("runs/", place))
    called = memrec(*arguments)
    assert (called.status, called.err) == (0, "")
    assert called.out.strip()
    for option in ("--page", "--csv", "--changed", "--json", "--out", "--pictures"):
        if option in arguments:
            assert Path(arguments[arguments.index(option) + 1]).exists()


def test_cookbook_has_an_example_of_each_reader_and_command():
    assert {name_of(example) for example in PYTHON} >= {"workflows", "pandas", "duckdb", "polars", "datasets", "ray"}
    assert {line.split()[1] for line in COMMANDS} == {"query", "compare", "figures", "export", "picture", "status"}
