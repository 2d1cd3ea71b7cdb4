"""The pool of actors, with real ones that only wait."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from workflows.job.pool import Pool

ROOT = str(Path(__file__).parents[2])


class Waiter:
    """In the place of an actor that recovers: its units take as long as they say."""

    def __init__(self, *arguments: object) -> None:
        pass

    def node(self) -> str:
        return ray.get_runtime_context().get_node_id()

    def recover(self, seconds: float, weights: list) -> None:
        time.sleep(seconds)


@pytest.fixture
def pool(cluster: str) -> Iterator[Pool]:
    ray.init(cluster, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": ROOT}})
    pool = Pool(None, {}, SimpleNamespace(threads=1, actor_resources=lambda: {"num_cpus": 0.1}))
    pool.actor_class = ray.remote(Waiter)
    yield pool
    ray.shutdown()


def test_pool_that_is_to_shrink_lets_actors_go_as_they_end_their_units(pool: Pool):
    pool.resize(3)
    while pool.ready < 3:
        pool.settle(ray.wait(pool.refs())[0][0])
    for _ in range(3):
        pool.assign(0.2, [])
    pool.resize(1)
    assert pool.ready == 3  # none is interrupted
    for left in (2, 1, 1):
        assert pool.settle(ray.wait(pool.refs())[0][0]).reason == ""
        assert pool.ready == left
    assert len(pool.idle) == 1
