"""What ends a job before its time, through nobody's mistake in what was asked: the same command resumes it."""


class JobError(RuntimeError):
    """A job ended, and not well. The run's folder can be resumed."""


class StoreError(JobError):
    """The run's folder can't be read or written: a full disk, a refusal. What is written already stays valid."""


class ActorsError(JobError):
    """No actor can be started on the cluster."""


def first_line(error: BaseException) -> str:
    """The beginning of an error's message, which may be a traceback's."""
    return (str(error).strip().splitlines() or ["no message"])[0][:300]
