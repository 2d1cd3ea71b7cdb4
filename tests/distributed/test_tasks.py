"""The tasks of a job, with real ones whose processes are killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import ray

from workflows.errors import JobError
from workflows.job.tasks import TRIES, start, wait_for

ROOT = str(Path(__file__).parents[2])


@pytest.fixture
def connected(cluster: str) -> Iterator[None]:
    ray.init(cluster, log_to_driver=False, logging_level="error", runtime_env={"env_vars": {"PYTHONPATH": ROOT}})
    yield
    ray.shutdown()


def killed(notes: Path, times: int) -> int:
    """Ends like a process for which there was no memory, the first few times."""
    with notes.open("a") as file:
        file.write("begun\n")
    if (begun := len(notes.read_text().splitlines())) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return begun


GPU_TASKS = """
import os
from functools import partial
import ray
from workflows.job.tasks import start, wait_for
ray.init("local", num_cpus=1, num_gpus=1, object_store_memory=80 * 2**20, include_dashboard=False, log_to_driver=False)
print(len({wait_for([start("asking", partial(os.getpid), num_gpus=1)])[0] for _ in range(3)}))
"""


@pytest.mark.long
def test_process_of_a_task_that_had_a_gpu_does_not_keep_it():
    """The GPU is Ray's book-keeping alone."""
    asked = subprocess.run([sys.executable, "-c", GPU_TASKS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert asked.stdout.split() == ["3"], asked


@pytest.mark.long
def test_task_whose_process_is_killed_each_time_is_given_up_by_its_name_and_another_is_tried_again(
    connected, tmp_path: Path
):
    hopeless = start("reading the images of data set mine", partial(killed, tmp_path / "hopeless", 1000), num_cpus=1)
    unlucky = start("reading another", partial(killed, tmp_path / "unlucky", TRIES - 1), num_cpus=1)
    assert wait_for([unlucky]) == [TRIES]
    with pytest.raises(JobError, match=rf"^reading the images of data set mine was tried {TRIES} times.*more memory"):
        wait_for([hopeless])
    assert len((tmp_path / "hopeless").read_text().splitlines()) == TRIES
