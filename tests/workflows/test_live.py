"""memrec status --watch: what it shows of a run, without a job at work."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memrec_core.metrics import ACCURATE
from tests.conftest import make_run
from workflows.experiment import loading as experiments
from workflows.live.look import Watched
from workflows.live.rates_so_far import Counted, RatesSoFar, Row
from workflows.live.words import rates_table, sparkline
from workflows.run.heartbeat import Heartbeat
from workflows.run.opened import open_run
from workflows.run.plan import planned_units
from workflows.run.planning import Size
from workflows.run.standing import Standing
from workflows.run.store import Store

EXPERIMENT = """
name: watched
data: {name: photos, count: 5, control_count: 3, size: 8}
models: [{architecture: fc10, width: 48}]
training: {targets: [1e-2, 1e-5]}
degradations: [{mask: center}, {mask: random_80}]
methods: [known_mask, autoencoder_iterations]
recovery: {max_autoencoder_iterations: 50}
pictures: 0
"""
COURSE = [(1, 0.5), (100, 1e-2), (1000, 1e-4)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watched") / "run"
    make_run(experiments.parse(EXPERIMENT, "watched"), folder, lambda kind: Size(8, 8))
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


def beat(run: Path, state: str, **standing: object) -> None:
    heartbeat = Heartbeat(state, datetime.now(UTC), "its reason", standing=Standing(**standing))  # pyright: ignore
    (run / "progress.json").write_bytes(heartbeat.to_json())


def test_rates_so_far_are_those_of_the_rows(run: Path):
    found = Watched(Store(str(run))).look()
    assert found is not None
    rows = open_run(run).results()
    assert (found.done, found.planned) == (8, 8)
    assert sum(count.images for count in found.rates.values()) == len(rows) == 8 * 8
    for row, count in found.rates.items():
        own = rows
        for column, value in row._asdict().items():
            own = own[own[column] == value]
        assert (count.images, count.accurate) == (len(own), (own["mse"] < ACCURATE).sum())


def test_no_file_is_read_twice_and_gone_ones_count_no_more(run: Path):
    opened = open_run(run)
    units, _ = planned_units(opened)
    rates = RatesSoFar(opened.store)
    first = sum(count.images for count in rates.update(units[:3]).values())
    assert first == 3 * 8
    for unit in units[:3]:
        (run / unit.file).write_bytes(b"not Parquet")
    assert sum(count.images for count in rates.update(units).values()) == 8 * 8
    assert rates.wrong == ""
    assert sum(count.images for count in rates.update(units[3:]).values()) == 5 * 8


def test_damaged_file_is_named_and_does_not_end_the_watch(run: Path):
    opened = open_run(run)
    units, _ = planned_units(opened)
    (run / units[0].file).write_bytes(b"not Parquet")
    rates = RatesSoFar(opened.store)
    assert rates.update(units) == {}
    assert units[0].file in rates.wrong


def test_courses_are_of_checkpoints_and_of_what_the_driver_says(run: Path):
    beat(run, "running", trainings={"fc10-leaky_relu": COURSE})
    found = Watched(Store(str(run))).look()
    assert found is not None
    steps = [json.loads(path.read_text()) for path in (run / "checkpoints").rglob("*.json")]
    expected = {**{entry["step"]: entry["loss"] for entry in steps}, **dict(COURSE)}
    assert found.courses == {"fc10-leaky_relu": expected}


def test_rates_of_a_sample_are_shown_as_such(run: Path):
    found = Watched(Store(str(run))).look()
    assert found is not None
    sampled = experiments.parse(EXPERIMENT.replace("control_count: 3", "control_count: 3, recover_count: 4"), "watched")
    assert rates_table(found, 5).title == "accurate so far, % (of so many images)"
    title = "accurate so far, % (of so many images, a sample of those trained on)"
    assert rates_table(found._replace(experiment=sampled), 5).title == title


def test_methods_without_a_network_are_shown_with_their_data_set_where_there_are_several(run: Path):
    found = Watched(Store(str(run))).look()
    assert found is not None
    two = EXPERIMENT.replace("data: {", "data: [{").replace("size: 8}", "size: 8}, {name: photos, label: other}]")
    rows = [Row(data, "generic", None, "known_mask", "center", "train") for data in ("photos", "other")]
    for described, rates, shown in (
        (two, rows, ["fc10-leaky_relu", "generic, other", "generic, photos"]),
        (two, rows[1:], ["fc10-leaky_relu", "generic, other"]),
        (EXPERIMENT, rows[:1], ["fc10-leaky_relu", "generic"]),
    ):
        of = {**found.rates, **dict.fromkeys(rates, Counted(5, 1))}
        table = rates_table(found._replace(experiment=experiments.parse(described, "watched"), rates=of), 9)
        assert [*dict.fromkeys(table.columns[1].cells)] == shown


def test_sparkline_falls_with_the_loss_on_a_logarithmic_scale():
    drawn = sparkline({0: 1.0, 50: 1e-4, 100: 1e-8}, 5)
    assert drawn == "█▆▄▃▁" or drawn == "█▆▅▃▁"
    assert sparkline({10: 0.1}) == "▁"
    assert sparkline({}) == sparkline({1: float("nan"), 2: float("inf"), 3: 0.0}) == ""


def test_ended_run_is_shown_at_once_and_the_status_tells_how_it_ended(run: Path, memrec):
    beat(run, "done", units_planned=8, units_done=8)
    called = memrec("status", run, "--watch")
    assert called.status == 0
    assert "accurate so far" in called.out
    assert "the last driver ended" in called.out
    beat(run, "stopped", units_planned=8, units_done=3)
    called = memrec("status", run, "--watch")
    assert (called.status, "its reason" in called.out) == (1, True)


def test_what_is_no_run_is_refused(tmp_path: Path, memrec):
    (tmp_path / "notes.txt").write_text("mine")
    called = memrec("status", tmp_path, "--watch")
    assert (called.status, called.err.count("\n")) == (2, 1)
    assert "is not a run of memrec" in called.err
    assert "--run" not in called.err


def test_every_without_watch_is_refused(run: Path, memrec):
    called = memrec("status", run, "--every", 1)
    assert (called.status, called.out, called.err.count("\n")) == (2, "", 1)
    assert "give --watch too" in called.err


def watching(run: Path, **streams: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "workflows", "status", str(run), "--watch", "--every", "0.2"]
    return subprocess.Popen(command, **streams)  # pyright: ignore


def test_lines_come_only_on_change_and_an_interruption_ends_it_with_130(run: Path, tmp_path: Path):
    log = tmp_path / "log"
    waiting = tmp_path / "later"
    with log.open("wb") as out:
        process = watching(waiting, stdout=out, stderr=out)
        try:
            wait_for(lambda: "to begin" in log.read_text())
            beat(run, "running", units_planned=8, trainings={"fc10-leaky_relu": COURSE})
            (run / "progress.json").write_text(own(run, process.pid))
            os.rename(run, waiting)
            wait_for(lambda: "8/8 units" in log.read_text())
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
        finally:
            process.kill()
    lines = log.read_text().splitlines()
    assert lines == [
        f"there is no run at {waiting} yet; waiting for it to begin (Ctrl-C ends the wait)",
        "8/8 units are done",
        lines[2],
        "error: interrupted; the watching ends, and a run goes on without it",
    ]
    assert lines[2].startswith("training fc10-leaky_relu: loss ")


def own(run: Path, pid: int) -> str:
    """The heartbeat, as of another machine: it can't be told whether its process lives."""
    return json.dumps({**json.loads((run / "progress.json").read_text()), "machine": "elsewhere", "pid": pid})


def test_terminal_has_curves_and_its_cursor_back(run: Path):
    beat(run, "running", units_planned=8, trainings={"fc10-leaky_relu": COURSE})
    (run / "progress.json").write_text(own(run, 1))
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40", "PYTHONIOENCODING": "utf-8"}
    process = watching(run, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while "accurate so far" not in shown.decode(errors="replace"):
            shown += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        while part := read(ours):
            shown += part
        assert process.wait(30) == 130
    finally:
        process.kill()
        os.close(ours)
    text = shown.decode(errors="replace")
    assert "█" in text
    assert "on the way to 1e-05" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


def wait_for(happened, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)
