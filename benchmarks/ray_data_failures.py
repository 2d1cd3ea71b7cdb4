"""What memrec and a pipeline of Ray Data do where a unit fails for good, a node dies, and the run is started again:

    python -m benchmarks.ray_data_failures

prints a table of what came of it. It kills parts of Ray clusters that it starts itself, and takes some minutes.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
from ray.cluster_utils import Cluster
from rich.console import Console
from rich.table import Table

from benchmarks.ray_data_jobs import LIMIT_S, RECOVERIES, Job, memrec, ray_data, train
from benchmarks.watched import LOG

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
FAILS = "train/coffee-96-0"
LENIENT = ("--max-errored-blocks", "-1", "--forget-when-done")
PIPELINES: dict[str, Callable[..., Job]] = {
    "memrec": memrec,
    "Ray Data": ray_data,
    "Ray Data, lenient": lambda trained, place, **where: ray_data(trained, place, *LENIENT, **where),
}
"""The second stops at an error, and keeps what is done; the third goes on after errors, and deletes its checkpoint once
a run has ended well, as is Ray's default."""
Report = list[str]


def main() -> int:
    printed = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("what happens", "whose", "how it ended", "there", "double", "begun in vain"):
        printed.add_column(title)
    with tempfile.TemporaryDirectory() as folder:
        trained = train(Path(folder))
        for number, (what, scene) in enumerate(scenes().items()):
            for name in PIPELINES:
                place = Path(folder, f"{number}-{list(PIPELINES).index(name)}")
                place.mkdir()
                for report in scene(partial(PIPELINES[name], trained, place)):
                    printed.add_row(what, name, *report)
                    print(what, name, *report, sep=" | ", file=sys.stderr, flush=True)
    Console(width=150).print(printed)
    return 0


def scenes() -> dict[str, Callable[..., Iterator[Report]]]:
    return {
        "a unit fails for good": unit_fails,
        "a node dies": node_dies,
        "the driver is killed": driver_is_killed,
    }


def unit_fails(job_of: Callable[..., Job]) -> Iterator[Report]:
    """One image fails each time; then the same command again."""
    job = job_of()
    for words in ("", "again: "):
        yield seen(job, words + end_of(job.start(FAILS)))


def node_dies(job_of: Callable[..., Job]) -> Iterator[Report]:
    """One of three nodes, in the middle of a batch that it recovers."""
    log = job_of().log
    os.environ[LOG] = str(log)  # the nodes' processes have this one's environment
    with cluster() as nodes:
        job = job_of(address=nodes.address)
        process = job.start()
        wait_until(job, process, RECOVERIES // 4)
        kill_node(nodes, job)
        yield seen(job, end_of(process))


def driver_is_killed(job_of: Callable[..., Job]) -> Iterator[Report]:
    """In the middle; then the same command again, and once more when all is done."""
    job = job_of()
    process = job.start()
    wait_until(job, process, RECOVERIES // 2)
    process.kill()
    process.wait()
    wait_for_actors(job)
    yield seen(job, "killed")
    for words in ("again: ", "once more: "):
        yield seen(job, words + end_of(job.start()))


def seen(job: Job, end: str) -> Report:
    """What is there, and how many recoveries were begun beyond those."""
    counts = job.rows()
    begun = sum(call.count for call in job.calls())
    return [end, f"{len(counts)} of {RECOVERIES}", str(int((counts - 1).sum())), str(begun - len(counts))]


def end_of(process: "subprocess.Popen[bytes]") -> str:
    began = time.monotonic()
    try:
        status = process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"hung: ended after {LIMIT_S} s"
    return f"status {status} after {time.monotonic() - began:.0f} s"


def wait_until(job: Job, process: "subprocess.Popen[bytes]", recovered: int) -> None:
    """Returns once so many recoveries have ended, and another batch has begun."""
    while True:
        made = job.calls()
        if sum(call.count for call in made if call.ended) >= recovered and any(call.ended is None for call in made):
            return
        if process.poll() is not None:
            raise RuntimeError(f"it ended too early: {job.log.with_suffix('.out').read_text(encoding='utf-8')}")
        time.sleep(0.01)


def wait_for_actors(job: Job) -> None:
    """Ray ends them soon after their driver."""
    actors = []
    for number in {call.process for call in job.calls()}:
        try:
            actors.append(psutil.Process(number))
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(actors, timeout=60)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A head with a CPU, and three nodes with one each: enough for two actors, reading and writing without one of the
    three."""
    nodes = Cluster(initialize_head=True, head_node_args=NODE)
    try:
        for _ in range(3):
            nodes.add_node(**NODE)
        yield nodes
    finally:
        nodes.shutdown()


def kill_node(nodes: Cluster, job: Job) -> None:
    """One, other than the head, where a batch is being recovered."""
    raylets = {node.all_processes["raylet"][0].process.pid: node for node in nodes.worker_nodes}
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        for call in job.calls():
            if call.ended is None and (node := raylets.get(psutil.Process(call.process).ppid())):
                nodes.remove_node(node, allow_graceful=False)
                return
        time.sleep(0.01)
    raise RuntimeError("no node but the head was ever at work")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
