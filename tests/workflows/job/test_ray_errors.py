"""What Ray's own errors are taken to say."""

import pytest
from ray import exceptions

from memrec_core.errors import InputError, TrainingError
from workflows.errors import CheckpointError, StoreError
from workflows.job.ray_errors import End, mishap_of


@pytest.mark.parametrize(
    "error",
    [
        InputError("the data is odd"),
        StoreError("disk full"),
        CheckpointError("torn", "fc10", 1e-3),
        TrainingError("nan"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_that_say_in_a_sentence_what_is_wrong_are_kept_as_they_are(error: Exception):
    mishap = mishap_of(exceptions.RayTaskError("work", "Traceback ...", error))
    assert (mishap.end, mishap.error) == (End.RAISED, error)


def test_any_other_error_of_the_work_is_told_in_a_line():
    mishap = mishap_of(exceptions.RayTaskError("work", "Traceback ...", KeyError("no such\nlayer")))
    assert mishap.error is None
    assert mishap.reason == r"KeyError: 'no such\nlayer'"


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (exceptions.OutOfMemoryError("killed"), End.OUT_OF_MEMORY),
        (exceptions.WorkerCrashedError(), End.DIED),
        (exceptions.ActorDiedError(), End.DIED),
        (exceptions.RayActorError(error_msg="its node was preempted", preempted=True), End.LOST),
        (exceptions.ActorUnavailableError("no answer", None), End.LOST),
        (exceptions.ObjectLostError("0" * 56, "owner", "site"), End.LOST),
        (exceptions.LocalRayletDiedError(), End.RAY_DIED),
    ],
    ids=lambda thing: type(thing).__name__ if isinstance(thing, Exception) else "",
)
def test_death_is_told_from_what_is_nobodys_fault(error: exceptions.RayError, end: End):
    assert mishap_of(error).end is end
    assert "\n" not in mishap_of(error).reason
