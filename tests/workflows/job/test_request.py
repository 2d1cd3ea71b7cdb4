"""What may be asked of a job."""

import pytest

from memrec_core.errors import InputError
from workflows.job.cluster import cpus_each
from workflows.job.request import Request


@pytest.mark.parametrize("share", [float("inf"), float("nan"), 1.5, 2, 1e-5, -1.0])
def test_share_of_a_gpu_that_can_not_be_given_is_refused(share: float):
    with pytest.raises(InputError, match=f"--gpus-per-actor {share} is no share of one GPU"):
        Request(gpus_per_actor=share)


@pytest.mark.parametrize("share", [None, 0.0, 1e-4, 0.25, 1.0, 1])
def test_shares_of_a_gpu_are_taken(share: float | None):
    assert Request(gpus_per_actor=share).gpus_per_actor == share


def test_more_actors_than_the_cpus_can_be_shared_among_are_refused():
    assert (cpus_each(2, 1), cpus_each(2, 3), cpus_each(2, 20_000)) == (2, 0.6666, 1e-4)
    with pytest.raises(InputError, match="--actors 100000 is more than 2 CPUs can be shared among; give 20000 at"):
        cpus_each(2, 100_000)


def test_command_line_says_it_in_a_line(memrec):
    called = memrec("run", "demo", "--gpus-per-actor", "inf")
    assert (called.status, called.err.count("\n")) == (2, 1)
    assert "--gpus-per-actor inf is no share" in called.err
