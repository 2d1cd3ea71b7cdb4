"""What a driver's heartbeat tells of it, while it lives and afterwards."""

import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from workflows.experiment.resolved import Experiment
from workflows.job import pulse as pulses
from workflows.job.pulse import Pulse
from workflows.run.heartbeat import Heartbeat
from workflows.run.identity import claim
from workflows.run.opened import open_run
from workflows.run.run import Run
from workflows.run.standing import Standing, standing_note
from workflows.run.store import Store

ROOT = Path(__file__).parents[3]
KILLED = """
import os, signal, sys, time
from workflows.job import pulse
pulse.EVERY_S = 0.1
with pulse.Pulse(pulse.Store(sys.argv[1])) as beats:
    beats.begin(); time.sleep(1); os.kill(os.getpid(), signal.SIGKILL)
"""
EARLIER = {  # what earlier revisions wrote
    "state": "running",
    "time": "2026-01-01T00:00:00+00:00",
    "units_done": 3,
    "units_planned": 36,
    "images_recovered": 12,
    "images_per_second": 1.5,
    "seconds_left": 40.0,
    "actors": 2,
    "failed": 0,
}
CHANGES = (
    *({"time": "2026-01-01"}, {"seconds_left": "many"}),
    *({"seconds_worked": wrong} for wrong in ("many", -1, [], 1e999)),
)


@pytest.fixture
def store(small: Experiment, tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "run"))
    claim(Run(small, store))
    return store


def said(store: Store) -> str:
    """What the heartbeat says, however long ago."""
    return re.sub(r"\d+ s ago", "some s ago", Heartbeat.of(store.read("progress.json")).says())


def test_driver_that_waits_for_something_else_goes_on_writing(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pulses, "EVERY_S", 0.1)
    with Pulse(store) as pulse:
        pulse.standing = Standing("starting Ray")
        pulse.begin()
        time.sleep(0.5)
        assert said(store) == "running, some s ago: starting Ray"
        pulse.standing = Standing("training")
        time.sleep(0.5)
        assert said(store) == "running, some s ago: training"
    assert said(store) == "the last driver ended some s ago"


def test_run_that_is_not_claimed_yet_has_no_heartbeat(tmp_path: Path):
    with Pulse(Store(str(tmp_path / "run"))):
        pass
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("error", "words"), [(KeyboardInterrupt(), "interrupted"), (OSError("no room"), "no room")])
def test_driver_that_ended_early_says_why(store: Store, error: BaseException, words: str):
    def work() -> None:
        with Pulse(store) as pulse:
            pulse.standing = Standing(units_planned=36, units_done=3, actors=2)
            pulse.begin()
            raise error

    with pytest.raises(type(error)):
        work()
    stood = "3/36 units, 2 actors"
    assert said(store) == f"the last driver stopped some s ago ({words}), at {stood}; the same command resumes"


def test_killed_driver_has_stopped_without_ending(store: Store, memrec):
    subprocess.run([sys.executable, "-c", KILLED, store.location], cwd=ROOT, check=False)
    assert "the last driver stopped without ending (it wrote " in memrec("status", store.location).out


def test_time_of_all_drivers_counts_also_of_a_killed_one_and_none_between_them(store: Store, memrec):
    most = least = 0.0

    def seconds() -> float:
        found = open_run(store.location).status().seconds
        assert found is not None
        return found

    for killed in (False, True, False):
        time.sleep(1)  # nobody works
        began = time.monotonic()
        if killed:
            subprocess.run([sys.executable, "-c", KILLED, store.location], cwd=ROOT, check=False)
        else:
            with Pulse(store) as pulse:
                pulse.begin()
                time.sleep(1)
        most += time.monotonic() - began
        assert least + 0.5 < seconds() < most + 0.1
        least = seconds()
    assert f"drivers have worked on it for {seconds():.0f} s altogether" in memrec("status", store.location).out


def test_time_of_a_run_whose_earlier_drivers_did_not_record_theirs_is_not_known(store: Store, memrec):
    now = datetime.now(UTC).isoformat(timespec="seconds")
    store.write("progress.json", json.dumps({**EARLIER, "time": now}).encode())
    with Pulse(store) as pulse:
        pulse.begin()
    assert open_run(store.location).status().seconds is None
    assert "altogether" not in memrec("status", store.location).out


def test_time_of_a_run_with_checkpoints_and_no_heartbeat_is_not_known(store: Store):
    store.write("checkpoints/fc10-leaky_relu/0.01.json", b"{}")
    with Pulse(store) as pulse:
        pulse.begin()
    assert Heartbeat.of(store.read("progress.json")).seconds_worked is None


def test_other_process_with_the_drivers_id_is_not_the_driver():
    now = datetime.now(UTC)
    assert not Heartbeat("running", now).is_dead
    assert Heartbeat("running", now, started="1").is_dead
    zombie = subprocess.Popen(["true"])
    time.sleep(0.3)
    assert Heartbeat("running", now, pid=zombie.pid).is_dead
    zombie.wait()


def test_driver_on_another_machine_lives_as_long_as_it_writes():
    now = datetime.now(UTC)
    assert Heartbeat("running", now, machine="another", pid=1, started="1").says().startswith("running, ")
    silent = Heartbeat("running", now - timedelta(minutes=10), machine="another").says()
    assert silent == "no driver has written for 10 min; the last one stood at training; the same command resumes"


def test_progress_of_earlier_revisions_is_read(store: Store, memrec):
    now = datetime.now(UTC).isoformat(timespec="seconds")
    store.write("progress.json", json.dumps({**EARLIER, "time": now}).encode())
    assert "ago: 3/36 units, 2 actors, 1.5 images/s, 40 s left" in memrec("status", store.location).out


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"1", b"{}", b"\xff", b'{"state": "running"}', b'{"state": "running", "time": 5}']
    + [json.dumps({**EARLIER, **change}).encode() for change in CHANGES],
)
def test_damaged_progress_is_no_hindrance(store: Store, memrec, content: bytes):
    store.write("progress.json", content)
    called = memrec("status", store.location)
    assert (called.status, called.err) == (0, "")
    assert "progress.json is damaged; the next driver writes it anew" in called.out


def test_job_without_an_actor_says_what_it_waits_for_and_no_time():
    lost = Standing(units_done=3, units_planned=36, seconds_left=1.0, waiting="a node with room for 1 CPU")
    assert standing_note(lost) == "3/36 units, no actor is there, waiting for a node with room for 1 CPU"
    at_work = Standing(units_done=3, units_planned=36, seconds_left=1.0, images_per_second=2.0, actors=1)
    assert standing_note(at_work) == "3/36 units, 1 actor, 2 images/s, 1 s left"
