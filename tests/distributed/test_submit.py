"""`memrec submit` to a Ray cluster that runs on this machine, on loopback."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
import requests
from ray.job_submission import JobSubmissionClient

from tests.conftest import SMALL, TINY, results
from tests.distributed.proxy import Proxy, unreliable
from workflows.job.cluster import IDLE_MS
from workflows.job.submit import POLL_S

PROGRAMS = Path(sys.executable).parent
pytestmark = pytest.mark.long


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Head(NamedTuple):
    """A head node: its address, the URLs of its dashboard and of its metrics, a client, and the environment with its
    token."""

    address: str
    url: str
    metrics: str
    client: JobSubmissionClient
    environment: dict[str, str]


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    port, dashboard_port, agent_port, metrics_port = (free_port() for _ in range(4))
    token = secrets.token_hex(32)
    log = tmp_path_factory.mktemp("head") / "head.log"
    command = [PROGRAMS / "ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}"]
    command += [f"--dashboard-port={dashboard_port}", "--dashboard-host=127.0.0.1", "--include-dashboard=true"]
    command += [f"--dashboard-agent-listen-port={agent_port}", f"--metrics-export-port={metrics_port}", "--num-cpus=2"]
    command += [f"--object-store-memory={2**27}", "--disable-usage-stats"]
    environment = os.environ | {
        "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_metrics_report_interval_ms": "500",
        "RAY_idle_worker_killing_time_threshold_ms": str(IDLE_MS),
    }
    with log.open("wb") as out:
        node = psutil.Popen(list(map(str, command)), stdout=out, stderr=subprocess.STDOUT, env=environment)
    url = f"http://127.0.0.1:{dashboard_port}"
    try:
        metrics = f"http://127.0.0.1:{metrics_port}/metrics"
        wait_for(lambda: answers(metrics), node, log)
        client = wait_for(lambda: connect(url, token), node, log)
        yield Head(f"127.0.0.1:{port}", url, metrics, client, environment)
    finally:
        family = [node, *node.children(recursive=True)]
        node.send_signal(signal.SIGTERM)
        for process in psutil.wait_procs(family, timeout=20)[1]:
            process.kill()


def wait_for(look: Callable[[], Any], node: psutil.Popen, log: Path) -> Any:
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + 90
    while not (found := look()):
        assert node.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.5)
    return found


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).ok
    except requests.ConnectionError:
        return False


def connect(url: str, token: str) -> JobSubmissionClient | None:
    try:
        client = JobSubmissionClient(url, headers={"Authorization": f"Bearer {token}"})
        client.list_jobs()
    except (ConnectionError, RuntimeError):
        return None
    return client


@pytest.fixture(scope="module")
def submit(head: Head) -> Callable[..., subprocess.CompletedProcess]:
    """Calls `memrec submit` to the head's cluster, with its token unless told otherwise."""

    def call(
        experiment: Path, run: Path, environment: dict[str, str] | None = None, url: str = head.url
    ) -> subprocess.CompletedProcess:
        command = [PROGRAMS / "memrec", "submit", experiment, "--run", run, "--address", url, "--actors", "2"]
        environment = head.environment if environment is None else environment
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    return call


class Submitted(NamedTuple):
    """What `memrec submit` said of a whole run, on a network that failed for a while, and the metrics of that time."""

    called: subprocess.CompletedProcess
    run: Path
    failures: int
    metrics: list[str]


@pytest.fixture(scope="module")
def submitted(submit, head: Head, small_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Submitted:
    run = tmp_path_factory.mktemp("submitted") / "run"
    metrics: list[str] = []
    done = threading.Event()

    def fail_while_the_job_runs(proxy: Proxy) -> None:
        while not (run / "plan.parquet").exists() and not done.wait(0.05):
            pass
        proxy.errors = 1.0
        time.sleep(2 * POLL_S)
        proxy.errors = 0.0

    def look_at_the_metrics() -> None:
        while not done.wait(0.5):
            text = requests.get(head.metrics, timeout=10).text
            metrics.extend(line for line in text.splitlines() if line.startswith("ray_memrec_"))

    with unreliable(int(head.url.rpartition(":")[2]), errors=0.0, delays=0.0) as proxy:
        beside = [
            threading.Thread(target=fail_while_the_job_runs, args=(proxy,)),
            threading.Thread(target=look_at_the_metrics),
        ]
        for thread in beside:
            thread.start()
        try:
            called = submit(small_file, run, url=proxy.url)
        finally:
            done.set()
            for thread in beside:
                thread.join()
    return Submitted(called, run, proxy.injected, metrics)


def test_submitted_job_is_followed_to_the_rows_of_a_local_run_though_the_network_fails_for_a_while(
    submitted: Submitted, undisturbed: Path
):
    called = submitted.called
    assert called.returncode == 0, called
    assert submitted.failures
    assert called.stdout.count("does not answer") == 1
    assert called.stdout.count("recovery: 36 units") == 1  # the job's own log, followed
    assert results(submitted.run).equals(results(undisturbed))


def test_rays_metrics_count_the_recovered_images(submitted: Submitted):
    counted = [line for line in submitted.metrics if line.startswith("ray_memrec_images_recovered")]
    assert any(float(line.split()[-1]) >= 4 for line in counted)
    assert all('method="' in line and 'model="fc10-leaky_relu"' in line for line in counted)
    assert any(line.startswith("ray_memrec_units_left") for line in submitted.metrics)


def test_job_that_fails_is_no_success_and_its_reason_is_seen(submit, small_file: Path, tmp_path: Path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("mine")
    called = submit(small_file, tmp_path / "thesis")
    assert called.returncode == 1, called
    assert "is not a run of memrec" in called.stdout
    assert "failed" in called.stderr


def test_job_that_is_stopped_is_no_success(submit, head: Head, tmp_path: Path):
    endless = tmp_path / "endless.yaml"
    endless.write_text(SMALL.replace("1e-3]}", "1e-12]}"))

    def stop_the_running_job() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for job in head.client.list_jobs():
                if job.status == "RUNNING":
                    head.client.stop_job(job.submission_id)
                    return
            time.sleep(0.2)

    stopper = threading.Thread(target=stop_the_running_job)
    stopper.start()
    called = submit(endless, tmp_path / "run")
    stopper.join()
    assert called.returncode == 1, called
    assert "stopped" in called.stderr


def test_cluster_that_asks_for_a_token_says_how_to_give_it(submit, head: Head, small_file: Path, tmp_path: Path):
    without = {name: value for name, value in head.environment.items() if not name.startswith("RAY_AUTH")}
    called = submit(small_file, tmp_path / "run", without | {"HOME": str(tmp_path)})
    assert called.returncode == 2, called
    assert called.stderr.count("\n") == 1
    assert "RAY_AUTH_TOKEN" in called.stderr


def test_run_on_a_cluster_that_asks_for_a_token_says_so(head: Head, tmp_path: Path):
    """Also where the home folder has one, which Ray uses for the address auto alone."""
    (tiny := tmp_path / "tiny.yaml").write_text(TINY)
    environment = {name: value for name, value in head.environment.items() if not name.startswith("RAY_AUTH")}
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(head.environment["RAY_AUTH_TOKEN"])
    command = [sys.executable, "-m", "workflows", "run", tiny, "--run", tmp_path / "run"]
    command += ["--address", head.address]

    def call(**more: str) -> subprocess.CompletedProcess:
        own = environment | {"HOME": str(tmp_path)} | more
        return subprocess.run(command, env=own, capture_output=True, text=True, timeout=120, check=False)

    called = call()
    assert called.returncode == 2, called
    assert f"the Ray cluster at {head.address} asks for a token; give RAY_AUTH_MODE=token" in called.stderr
    assert call(RAY_AUTH_MODE="token").returncode == 0
