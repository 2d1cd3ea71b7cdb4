"""Batches that fit the memory, and units of a size that was measured."""

import resource
import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pytest
import torch

from workflows.job.sizes import UNIT_SECONDS, UNITS_PER_ACTOR, sizes_of
from workflows.job.worker import in_batches, is_out_of_memory
from workflows.plan import Unit

UNIT = Unit("photos", "fc10", 1e-8, "center", "unknown_mask", 20, 120, "images", "digest")


def device_for(most: int, tried: list[int]):
    """Recovers up to `most` images side by side, as a device of that memory does."""

    def recover(part: Unit) -> pa.Table:
        tried.append(len(part))
        if len(part) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return pa.table({"image": list(range(part.start, part.stop))})

    return recover


def test_batch_that_does_not_fit_is_halved_until_it_does_and_no_image_is_lost():
    tried: list[int] = []
    table, batch = in_batches(UNIT, 512, device_for(30, tried))
    assert table["image"].to_pylist() == list(range(20, 120))
    assert batch == 25
    assert tried == [100, 50, 25, 25, 25, 25]


def test_image_that_does_not_fit_alone_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        in_batches(UNIT, 512, device_for(0, []))


def test_error_of_another_kind_is_not_tried_again():
    tried = []

    def recover(part: Unit) -> pa.Table:
        tried.append(part)
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        in_batches(UNIT, 512, recover)
    assert len(tried) == 1


def test_memory_that_a_cpu_really_lacks_is_told_from_other_errors():
    script = (
        "import resource, torch; from workflows.job.worker import is_out_of_memory\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({8 * 2**30}, {8 * 2**30}))\n"
        "try: torch.zeros(2**33)\n"
        "except RuntimeError as error: print(is_out_of_memory(error))"
    )
    called = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert called.stdout == "True\n"
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 8 * 2**30
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


FC10, FC10_KNOWN = ("photos", "fc10", "unknown_mask"), ("photos", "fc10", "known_mask")


def images(count: int) -> dict[str, int]:
    return {"photos": count}


def once(method: str) -> int:
    return 1


def test_units_take_the_time_that_was_measured_for_them():
    sizes = sizes_of({FC10: 0.5, FC10_KNOWN: 0.01}, images(100_000), once, actors=1)
    assert sizes[FC10] == UNIT_SECONDS / 0.5
    assert sizes[FC10_KNOWN] == UNIT_SECONDS / 0.01


def test_every_actor_has_its_share_of_units():
    cost = {FC10: 1e-6}
    for actors in (1, 8, 64):
        size = sizes_of(cost, images(10_000), once, actors)[FC10]
        assert -(-10_000 // size) >= UNITS_PER_ACTOR * actors


def test_slow_image_is_a_unit_of_its_own():
    assert sizes_of({FC10: 1e4}, images(10), once, actors=1) == {FC10: 1}


def test_unit_is_no_larger_than_its_own_data_set():
    other = ("svhn", "fc10", "unknown_mask")
    sizes = sizes_of({FC10: 1e-3, other: 1e-3}, {"photos": 50, "svhn": 7}, once, actors=0)
    assert sizes == {FC10: 50, other: 7}


def test_part_of_a_unit_has_the_units_name():
    assert replace(UNIT, start=30, stop=40).name == UNIT.name
