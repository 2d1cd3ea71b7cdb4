"""Batches that fit the memory, and units of a size that was measured."""

import re
import resource
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from memrec_core.device import is_out_of_memory
from tests.conftest import SMALL
from workflows.experiment import loading as experiment
from workflows.experiment.resolved import Experiment
from workflows.job.sizes import UNIT_SECONDS, UNITS_PER_ACTOR, sizes_of
from workflows.job.worker import halving
from workflows.run.audit_set import load_audit_set
from workflows.run.planning import Size
from workflows.run.unit import Kind
from workflows.work.measure import SMALLEST_BATCH, Cost, best_batch, measure


def device_for(most: int, tried: list[int]):
    """Recovers up to `most` images side by side, as a device of that memory does."""

    def recover(batch_size: int) -> str:
        tried.append(batch_size)
        if batch_size > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return "all of them"

    return recover


def test_batch_that_does_not_fit_is_halved_until_it_does():
    tried: list[int] = []
    assert halving(100, device_for(30, tried)) == ("all of them", 25)
    assert tried == [100, 50, 25]


def test_image_that_does_not_fit_alone_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        halving(512, device_for(0, []))


def test_error_of_another_kind_is_not_tried_again():
    tried = []

    def recover(batch_size: int) -> None:
        tried.append(batch_size)
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        halving(512, recover)
    assert tried == [512]


def test_memory_that_a_cpu_really_lacks_is_told_from_other_errors():
    script = (
        "import resource, torch; from memrec_core.device import is_out_of_memory\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({8 * 2**30}, {8 * 2**30}))\n"
        "try: torch.zeros(2**33)\n"
        "except RuntimeError as error: print(is_out_of_memory(error))"
    )
    called = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert called.stdout == "True\n"
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 8 * 2**30
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


FC10, FC10_KNOWN = ("photos", "fc10-leaky_relu", "unknown_mask"), ("photos", "fc10-leaky_relu", "known_mask")


def sizes(small: Experiment, seconds: dict[Kind, float], images: int | dict[str, int], actors: int = 1):
    """The sizes of units under one degradation, of one checkpoint."""
    one = replace(small, degradations=small.degradations[:1], training=replace(small.training, targets=(1e-3,)))
    images = images if isinstance(images, dict) else {"photos": images}
    costs = {kind: Cost(cost, 64) for kind, cost in seconds.items()}
    return sizes_of(costs, images, one, actors)


def test_units_take_the_time_that_was_measured_for_them(small):
    found = sizes(small, {FC10: 0.5, FC10_KNOWN: 0.05}, 100_000)
    assert found == {FC10: Size(UNIT_SECONDS / 0.5, 64), FC10_KNOWN: Size(UNIT_SECONDS / 0.05, 64)}


def test_quick_method_has_no_larger_units_than_an_actor_can_hold(small):
    costs = {FC10: Cost(1e-9, 64), FC10_KNOWN: Cost(1e-9, 32_000)}
    found = sizes_of(costs, {"photos": 10**6}, small, actors=1)
    assert found[FC10].recoveries * 3 * 16**2 * 4 <= 16 * 2**20
    assert found[FC10_KNOWN].recoveries == 2 * 32_000


def test_every_actor_has_its_share_of_units(small):
    for actors in (1, 8, 64):
        size = sizes(small, {FC10: 1e-6}, 10_000, actors)[FC10].recoveries
        assert -(-10_000 // size) >= UNITS_PER_ACTOR * actors


def test_slow_image_is_a_unit_of_its_own(small):
    assert sizes(small, {FC10: 1e4}, 10)[FC10].recoveries == 1


def test_unit_is_no_larger_than_its_own_data_set(small):
    other = ("svhn", "fc10-leaky_relu", "unknown_mask")
    two = replace(small, data=(*small.data, replace(small.data[0], label="svhn")))
    found = sizes(two, {FC10: 1e-3, other: 1e-3}, {"photos": 50, "svhn": 7}, actors=0)
    assert (found[FC10].recoveries, found[other].recoveries) == (50, 7)


def test_few_images_fill_a_unit_under_several_degradations(small):
    costs = {FC10: Cost(1e-3, 64)}
    assert sizes_of(costs, {"photos": 50}, small, actors=0) == {FC10: Size(50 * len(small.degradations), 64)}


def test_batch_grows_as_long_as_that_pays(monkeypatch: pytest.MonkeyPatch):
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)

    def network(saturated: int):
        """Takes equally long for any batch up to `saturated`, and then in proportion."""

        def apply(batch: torch.Tensor) -> None:
            nonlocal now
            now += max(1, len(batch) / saturated)

        return apply

    images = torch.zeros(4, 1, 2, 2)
    assert best_batch(network(128), images).batch_size == 128
    assert best_batch(network(1), images).batch_size == SMALLEST_BATCH


def test_measuring_a_cpu_leaves_the_gpus_alone(monkeypatch: pytest.MonkeyPatch):
    """Where there are some: the memory of somebody's GPU may be full."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert best_batch(lambda batch: batch, torch.zeros(4, 1, 2, 2)).batch_size >= SMALLEST_BATCH


def test_batch_does_not_grow_beyond_the_memory():
    def network(batch: torch.Tensor) -> None:
        if len(batch) > 64:
            raise torch.OutOfMemoryError("CUDA out of memory")
        time.sleep(0.002)

    assert best_batch(network, torch.zeros(4, 1, 2, 2)).batch_size == 64


def test_first_batch_that_does_not_fit_is_halved():
    def network(batch: torch.Tensor) -> None:
        if len(batch) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")

    most = 5
    assert best_batch(network, torch.zeros(4, 1, 2, 2)).batch_size <= 4
    most = 0
    with pytest.raises(torch.OutOfMemoryError):
        best_batch(network, torch.zeros(4, 1, 2, 2))


def pondering(images: torch.Tensor) -> torch.Tensor:
    """A linear operator that takes its time."""
    time.sleep(0.02)
    return images / 2


def test_what_a_known_operator_takes_is_part_of_the_cost():
    text = re.sub("degradations:.*", "degradations: [{custom: 'tests.workflows.job.test_worker:pondering'}]", SMALL)
    slow = experiment.parse(text, "slow")
    quick = experiment.parse(re.sub("custom:[^}]*", "downsample: 2", text), "quick")
    costs = []
    for one in (slow, quick):
        audit = load_audit_set(one.data[0], one.seed)
        costs.append(measure(one, one.models[0].label, audit, "cpu", within_s=0.01)["known_operator"].seconds)
    assert costs[0] > costs[1] + 10 * 0.02 / 12  # so many applications, shared by the batch's images
