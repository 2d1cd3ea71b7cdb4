"""The Ray cluster that a job runs on: the connection, and what its nodes have room for."""

import faulthandler
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import floor
from typing import Any

import ray
import torch
from ray._private import utils as ray_utils
from ray.exceptions import AuthenticationError

from memrec_core.errors import InputError, in_a_line
from workflows.errors import JobError
from workflows.experiment.resolved import Experiment
from workflows.interruption import raise_if_interrupted
from workflows.job.machine import SHARED_MEMORY, own_token, processors, ray_folder
from workflows.job.request import Request
from workflows.job.watch import Watch
from workflows.run.audit_set import AuditSet
from workflows.terminal import say

SETTLE_S, SHUTDOWN_S = 0.3, 120.0
LARGEST_OBJECT_STORE = 4 * 2**30
OBJECT_STORE_SPARE = 256 * 2**20
"""What a local cluster's object store holds beside the images: checkpoints."""
IDLE_MS = 60_000
"""How long a local cluster keeps a process that has done its task, for the next one. Ray would keep it for a second,
and a new one takes several to start and to import torch."""


Audits = dict[str, ray.ObjectRef[AuditSet]]
"""The images of each data set, by its label, in the nodes' shared memory."""


class Cluster:
    """A connection to Ray for the length of a block: to a running cluster, or to a local one of this machine.

    An actor has `gpus` of a GPU (a whole one where the cluster has some, unless the user says otherwise), or `cpus`
    CPUs, and `threads` threads. Raises InputError where no cluster answers.
    """

    def __init__(self, request: Request, experiment: Experiment) -> None:
        if request.address is not None and not request.address.strip():
            raise InputError("--address is empty; give a cluster's address, or leave it out for this machine's own Ray")
        self.request, self.experiment = request, experiment

    def __enter__(self) -> "Cluster":
        _connect(self.request.address or "local", self.experiment)
        self.watch = Watch(self.request.address).__enter__()
        try:
            self._divide(ray.cluster_resources())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave Ray. Its core deadlocks with itself where news of objects that were just let go is still queued when it
        ends (seen in a worker of Ray 2.60). So that has its time first, and an end that hangs all the same ends the
        process, status 1, rather than never; all that a job has written is there by then."""
        self.watch.__exit__()
        time.sleep(SETTLE_S)
        faulthandler.dump_traceback_later(SHUTDOWN_S, exit=True, file=sys.__stderr__ or sys.stderr)
        try:
            ray.shutdown()
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _divide(self, total: Mapping[str, float]) -> None:
        """What each actor has of the cluster's resources."""
        asked, gpus, cpus = self.request.gpus_per_actor, total.get("GPU", 0.0), total.get("CPU", 0.0)
        if asked and asked > gpus and not self.request.address:  # a cluster may grow, this machine does not
            raise InputError(
                f"--gpus-per-actor {asked:g} is more than the {gpus:g} GPUs of this machine; leave it out, or give 0 "
                "for CPUs"
            )
        self.gpus = asked if asked is not None else 1.0 if gpus else 0.0
        if self.gpus and not self.request.address and not torch.cuda.is_available():
            say(
                f"Ray sees {gpus:g} GPUs on this machine, and torch {torch.__version__} can use none: each actor works "
                "on one CPU core; install a torch for these GPUs, or give --gpus-per-actor 0 for all cores"
            )
        self.cpus, self.threads = 1.0, 1
        if not self.gpus and self.request.actors and cpus:
            share = cpus_each(cpus, self.request.actors)
            self.threads = int(max(1, min(share, self._largest_node())))
            self.cpus = min(share, float(self.threads))

    def wanted_actors(self, reserved: float = 0.0) -> int:
        """How many actors there should be: as many as were asked for, or as there is room for beside trainings that
        have `reserved` GPUs, or CPUs where there is no GPU."""
        if self.request.actors:
            return self.request.actors
        room = sum(self._room(node) for node in alive_nodes()) - reserved / (self.gpus or self.cpus)
        return max(int(room), 0 if reserved else 1)

    def training_threads(self, trainings: int) -> int:
        """The threads of each of so many trainings, which share the CPUs where there is no GPU."""
        if self.gpus:
            return 1
        share = ray.cluster_resources().get("CPU", 1) // max(trainings, 1)
        return int(max(1, min(share, self._largest_node())))

    def training_resources(self, trainings: int) -> dict[str, float]:
        """What Ray reserves for each training: a whole GPU, or its CPUs."""
        return {"num_gpus": 1 if self.gpus else 0, "num_cpus": self.training_threads(trainings)}

    def actor_resources(self) -> dict[str, Any]:
        return {"num_gpus": self.gpus, "num_cpus": self.cpus}

    def actor_words(self) -> str:
        """What an actor takes, in words."""
        count, kind = (self.gpus, "GPU") if self.gpus else (self.cpus, "CPU")
        return f"{count:g} {kind}{'' if count == 1 else 's'}"

    def has_room(self) -> bool:
        """Whether any node could have an actor, were it free."""
        return any(self._room(node) for node in alive_nodes())

    def _room(self, node: dict[str, float]) -> int:
        """How many actors fit on a node."""
        by_cpu = (node.get("CPU", 0) + 1e-6) // self.cpus
        return int(min(by_cpu, (node.get("GPU", 0) + 1e-6) // self.gpus) if self.gpus else by_cpu)

    def _largest_node(self) -> float:
        return max((node.get("CPU", 0) for node in alive_nodes()), default=1) or 1


def cpus_each(cpus: float, actors: int) -> float:
    """What each of so many actors has of the CPUs. Raises InputError where that is less than Ray can give."""
    share = floor(1e4 * (cpus / actors)) / 1e4  # Ray counts in ten-thousandths
    if not share:
        raise InputError(
            f"--actors {actors} is more than {cpus:g} CPUs can be shared among; give {1e4 * cpus:.0f} at the most, "
            "or leave it out"
        )
    return share


def _connect(address: str, experiment: Experiment) -> None:
    """Start Ray on this machine, for `local`, or connect to the cluster at `address`."""
    # An actor without GPUs still sees those of its node, and picks the CPU by itself; Ray need not warn of it.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    options: dict[str, Any] = {"logging_level": "error", "log_to_driver": False}
    if address == "local":
        options |= _local_options(experiment)
        own_token()
    try:
        with _own_sigterm():
            ray.init(address, **options)
    except Exception as error:  # Ray raises that class itself
        raise _not_connected(address, error) from error


def _not_connected(address: str, error: Exception) -> InputError | JobError:
    """The error in a sentence. Ray hides the want of a token behind other errors."""
    said = in_a_line(error)
    if address == "local":
        return JobError(
            f"Ray can't be started on this machine ({said}); see that there is memory and room on the disk, and give "
            "the same command again"
        )
    if any("InvalidAuthToken" in str(one) or isinstance(one, AuthenticationError) for one in _causes(error)):
        return InputError(
            f"the Ray cluster at {address} asks for a token; give RAY_AUTH_MODE=token where it is the one in "
            "~/.ray/auth_token, or else RAY_AUTH_TOKEN too"
        )
    return InputError(
        f"no Ray cluster answers at {address} ({said}); start one with ray start --head, or leave --address out"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep the process's answer to SIGTERM. Ray's own would end a local cluster under the driver that is at work, and
    gets lost where it comes in the middle of Ray's start."""
    handler, of_ray = signal.getsignal(signal.SIGTERM), ray_utils.set_sigterm_handler
    ray_utils.set_sigterm_handler = lambda handler: None
    try:
        yield
        raise_if_interrupted()
    finally:
        ray_utils.set_sigterm_handler = of_ray
        if threading.current_thread() is threading.main_thread():  # Python's condition
            signal.signal(signal.SIGTERM, handler)  # in place of that of Ray's C++


def alive_nodes() -> list[dict[str, float]]:
    """The resources of each node of the cluster."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def is_alive(node_id: str) -> bool:
    return any(node["Alive"] for node in ray.nodes() if node["NodeID"] == node_id)


def _local_options(experiment: Experiment) -> dict[str, Any]:
    """What a Ray of this machine's own is started with."""
    folder = ray_folder()
    options = {"include_dashboard": False, "num_cpus": processors(), "_temp_dir": folder}
    options["_system_config"] = {"task_oom_retries": 3, "idle_worker_killing_time_threshold_ms": IDLE_MS}
    if not os.access(SHARED_MEMORY, os.W_OK):  # Ray looks only at its size
        options["_plasma_directory"] = folder
    return options | _object_store_size(experiment)


def _object_store_size(experiment: Experiment) -> dict[str, int]:
    """The size of a local cluster's object store: twice the images of both splits, and something to spare. Ray's own
    choice where the number of images is not known, or they are too many."""
    size = OBJECT_STORE_SPARE
    for data in experiment.data:
        if data.count is None:
            return {}
        size += 2 * 2 * data.count * math.prod(data.image_shape)
    return {"object_store_memory": size} if size < LARGEST_OBJECT_STORE else {}
