"""What ends a job before its time, through nobody's mistake in what was asked: the same command resumes it."""


class JobError(RuntimeError):
    """A job ended, and not well. The run's folder can be resumed."""


class StoreError(JobError):
    """The run's folder can't be read or written: a full disk, a refusal. What is written already stays valid."""


class CheckpointError(JobError):
    """The files of a checkpoint (`model`, `target`; None for a network that is given) are damaged, or don't fit each
    other: it must be trained again."""

    def __init__(self, message: str, model: str, target: float | None) -> None:
        super().__init__(message, model, target)
        self.model, self.target = model, target

    def __str__(self) -> str:
        return str(self.args[0])


class ResultsError(JobError):
    """The rows of a unit are damaged, or not the unit's. Its file is set aside as the run is aggregated, and the next
    job recovers it again."""


class ActorsError(JobError):
    """No actor can be started on the cluster."""


def first_line(error: BaseException) -> str:
    """The beginning of an error's message, which may be a traceback's."""
    return (str(error).strip().splitlines() or ["no message"])[0][:300]
