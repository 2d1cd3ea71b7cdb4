"""The tasks of a job: what any node may do, once. A task whose worker is killed again and again is given up."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

import ray
from ray.exceptions import LocalRayletDiedError, OutOfMemoryError, RayError, RayTaskError
from ray.experimental.internal_kv import _internal_kv_exists, _internal_kv_get, _internal_kv_put

from memrec_core.errors import InputError
from workflows.errors import JobError, first_line
from workflows.progress import say

TRIES = 4
"""How often a task is begun, until whatever kills its workers is taken to be the task."""
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


def start(what: str, function: Callable[..., Any], *arguments: Any, num_returns: int = 1, **options: Any) -> Task:
    """Start `function(*arguments)`, with Ray's `options`. Results whose node goes away are made again."""
    # Ray itself would try for ever, or leave lost results lost: its tries of both kinds are one number.
    task = ray.remote(_counted).options(name=function.__name__, num_returns=num_returns, max_retries=-1, **options)
    count = f"memrec task {uuid4()}"
    found = task.remote(what, count, function, *arguments)
    return Task(what, [found] if num_returns == 1 else found, count)


def wait_for(tasks: Sequence[Task]) -> list[Any]:
    """The first result of each task, in their order. Says so where the cluster has no room.

    Raises the InputError or the JobError of a task, if that is what it raised, and JobError where one can't be done.
    """
    refs = [task.refs[0] for task in tasks]
    if not ray.wait(refs, num_returns=len(refs), timeout=PATIENCE_S)[0]:
        say("waiting for a node with room ...")
    return [_result(task) for task in tasks]


def _result(task: Task) -> Any:
    try:
        result = ray.get(task.refs[0])
    except RayTaskError as error:
        if isinstance(error.cause, InputError | JobError):
            raise error.cause from None
        raise JobError(f"{task.what} failed ({type(error.cause).__name__}: {first_line(error.cause)})") from error
    except LocalRayletDiedError as error:
        raise JobError(RAY_DIED) from error
    except OutOfMemoryError as error:
        raise _given_up(task.what) from error
    except RayError as error:
        raise JobError(
            f"{task.what} failed ({first_line(error)}); see that the cluster is well, and give the same command again"
        ) from error
    _internal_kv_put(_returned(task.count), b"")
    return result


def _counted(what: str, count: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call the function, unless that has been begun too often and never come to an end."""
    begun = int(_internal_kv_get(count) or 0) + 1
    if begun > TRIES:
        raise _given_up(what)
    _internal_kv_put(count, str(begun))
    result = function(*arguments)
    if _internal_kv_exists(_returned(count)):  # until then, handing the result over may be what kills the worker
        _internal_kv_put(count, b"0")
    return result


def _returned(count: str) -> str:
    """Where it is noted that the driver has had the task's result: later beginnings are for results that were lost."""
    return f"{count} returned"


def _given_up(what: str) -> JobError:
    return JobError(
        f"{what} was tried {TRIES} times, and its process was killed each time, as happens where memory is short; give "
        "the machine or its container more memory, or choose fewer or smaller images (data.count, data.size) and "
        "another --run, and give the command again"
    )
