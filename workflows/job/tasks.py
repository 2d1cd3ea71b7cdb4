"""The tasks of a job: what any node may do, once. A task whose worker is killed again and again is given up."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

import ray
from ray import cloudpickle
from ray.exceptions import RayError
from ray.experimental.internal_kv import _internal_kv_put

from memrec_core.errors import InputError
from workflows.errors import JobError
from workflows.job.ray_errors import End, Mishap, mishap_of
from workflows.terminal import say

TRIES = 4
"""How often a task is begun, until whatever kills its workers is taken to be the task."""
LOSSES = 30
"""How often Ray begins it in all: for results that went away with their node, or before it could be counted."""
PATIENCE_S = 20.0
RAY_DIED = (
    "Ray on this machine has died, as it does where memory or the disk is short, or at the hands of somebody; give the "
    "same command again, which goes on from what is done"
)


class Task(NamedTuple):
    """What the task does, in words that begin a sentence; its results; and where its beginnings are counted."""

    what: str
    refs: list[ray.ObjectRef]
    count: str


def start(what: str, work: partial, *refs: ray.ObjectRef, num_returns: int = 1, **options: Any) -> Task:
    """Start `work` as a task with Ray's `options`; its last arguments are what `refs` stand for. Results whose node
    goes away are made again."""
    options |= {"name": work.func.__name__, "num_returns": num_returns, "max_retries": LOSSES}
    count = f"memrec task {uuid4()}"
    pickled = cloudpickle.dumps(work)  # pyright: ignore[reportPrivateImportUsage] (the module is public, unmarked)
    # A process that had a GPU ends with its task, or it would keep that GPU's memory; 0 is as often as it likes. Ray
    # sees to it by itself only where the decorator names the GPU.
    once = 1 if options.get("num_gpus") else 0
    counted: Any = ray.remote(max_calls=once)(_counting(TRIES, count))  # whose type would be that of no arguments
    found = counted.options(**options).remote(what, pickled, *refs)
    return Task(what, [found] if num_returns == 1 else found, count)


def wait_for(tasks: Sequence[Task]) -> list[Any]:
    """The first result of each task, in their order. Says so where the cluster has no room.

    Raises the InputError or the JobError of a task, if that is what it raised, and JobError where one can't be done.
    """
    refs = [task.refs[0] for task in tasks]
    if refs and not ray.wait(refs, num_returns=len(refs), timeout=PATIENCE_S)[0]:
        say("waiting for a node with room ...")
    return [_result(task) for task in tasks]


def _result(task: Task) -> Any:
    try:
        result = ray.get(task.refs[0])
    except RayError as error:
        mishap = mishap_of(error)
        if isinstance(mishap.error, InputError | JobError):
            raise mishap.error from None
        raise _not_done(task.what, mishap) from error
    _internal_kv_put(f"{task.count} returned", b"")  # later beginnings are for results that were lost
    return result


def _not_done(what: str, mishap: Mishap) -> JobError:
    match mishap.end:
        case End.RAISED:
            return JobError(f"{what} failed ({mishap.reason})")
        case End.RAY_DIED:
            return JobError(RAY_DIED)
        case End.OUT_OF_MEMORY | End.DIED:
            return given_up(what, "many")
    return JobError(f"{what} failed ({mishap.reason}); see that the cluster is well, and give the same command again")


def _counting(tries: int, count: str) -> Callable[..., Any]:
    """Does work, unless that has been begun so many times and never come to an end.

    Ray's own count won't do: it is of lost results too, and endless where a cluster's memory monitor kills. What it
    returns is pickled whole, and the work apart: there may be no memory for what they import, and that counts too.
    """

    def counted(what: str, work: bytes, *arguments: Any) -> Any:
        from ray import cloudpickle
        from ray.experimental.internal_kv import _internal_kv_exists, _internal_kv_get, _internal_kv_put

        begun = int(_internal_kv_get(count) or 0) + 1
        _internal_kv_put(count, str(begun))
        if begun > tries:
            from workflows.job.tasks import given_up

            raise given_up(what, tries)
        result = cloudpickle.loads(work)(*arguments)
        if _internal_kv_exists(f"{count} returned"):  # until then, handing the result over may be what kills
            _internal_kv_put(count, b"0")
        return result

    return counted


def given_up(what: str, tries: int | str) -> JobError:
    return JobError(
        f"{what} was tried {tries} times, and its process was killed each time, as happens where memory is short; give "
        "the machine or its container more memory, or choose fewer or smaller images (data.count, data.size) and "
        "another --run, and give the command again"
    )
