"""What the user asks of a job: where it runs, and what of it to do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """The Ray cluster (a local one where there is no address), how many actors (as many as there is room for), and what
    share of a GPU each has (a whole one where the cluster has GPUs)."""

    address: str | None = None
    actors: int | None = None
    gpus_per_actor: float | None = None


@dataclass(frozen=True)
class Steps:
    """Which steps to do, whether to take up again what was given up, and whether to look into the results that are
    there, not at their names alone."""

    train: bool = True
    recover: bool = True
    retry_failed: bool = False
    verify: bool = False
