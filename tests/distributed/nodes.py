"""Ray clusters of several nodes on this machine, whose parts can be killed."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
OFTEN = {"health_check_period_ms": 300}
"""How often the head asks whether a node is there. A dead one's answer is an error at once; five make it lost."""


class Nodes:
    """A head without CPUs, which holds the cluster together, and nodes of one CPU each."""

    def __init__(self, count: int) -> None:
        self.cluster = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0, "_system_config": OFTEN})
        self.nodes = []
        for _ in range(count):
            self.add()

    @property
    def address(self) -> str:
        return self.cluster.address

    def add(self) -> None:
        self.nodes.append(self.cluster.add_node(**NODE))

    def kill_one(self, chance: random.Random) -> None:
        """SIGKILL to a node and all that runs on it."""
        node = self.nodes.pop(chance.randrange(len(self.nodes)))
        self.cluster.remove_node(node, allow_graceful=False)


def workers(title: str) -> list[psutil.Process]:
    """The processes of actors, of those that this process started or had started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.name().startswith("ray::") and title in process.name() + " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@contextmanager
def nodes_of_one_cpu(count: int) -> Iterator[Nodes]:
    nodes = Nodes(count)
    try:
        yield nodes
    finally:
        nodes.cluster.shutdown()
