"""What Ray's errors say of the work that gave no result. Nowhere else are they told apart."""

from dataclasses import dataclass
from enum import Enum, auto

from ray.exceptions import (
    ActorUnavailableError,
    LocalRayletDiedError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)

from memrec_core.errors import InputError, TrainingError
from workflows.errors import JobError, first_line


class End(Enum):
    """How work ended without a result."""

    RAISED = auto()
    """The work itself raised an error."""
    OUT_OF_MEMORY = auto()
    """Ray killed its process, since its node was short of memory."""
    DIED = auto()
    """Its process died: of the work, or with its node."""
    LOST = auto()
    """Its node was taken away or is out of reach, or whatever else is not the work's fault."""
    RAY_DIED = auto()
    """The part of Ray on this machine has died."""


@dataclass(frozen=True)
class Mishap:
    """Why work gave no result: how it ended, the `reason` in a line, and, where it raised an error of memrec's own,
    that error, which says in a sentence what is wrong."""

    end: End
    reason: str
    error: InputError | JobError | TrainingError | None = None


def mishap_of(error: RayError) -> Mishap:
    """What happened, by the error that ray.get raised."""
    if isinstance(error, RayTaskError):
        cause = error.cause
        known = cause if isinstance(cause, InputError | JobError | TrainingError) else None
        return Mishap(End.RAISED, f"{type(cause).__name__}: {first_line(cause)}", known)
    return Mishap(_end(error), first_line(error))


def _end(error: RayError) -> End:
    if isinstance(error, LocalRayletDiedError):
        return End.RAY_DIED
    if isinstance(error, OutOfMemoryError):
        return End.OUT_OF_MEMORY
    if isinstance(error, WorkerCrashedError):
        return End.DIED
    if isinstance(error, RayActorError) and not isinstance(error, ActorUnavailableError) and not error.preempted:
        return End.DIED
    return End.LOST
