"""What the user asks of a job: where it runs, and what of it to do."""

from dataclasses import dataclass

from memrec_core.errors import InputError

SMALLEST_SHARE = 1e-4
"""Of a GPU: Ray counts in ten-thousandths."""


@dataclass(frozen=True)
class Request:
    """The Ray cluster (a local one where there is no address), how many actors (as many as there is room for), and what
    share of a GPU each has (a whole one where the cluster has GPUs). Raises InputError for a share that it can't have.
    """

    address: str | None = None
    actors: int | None = None
    gpus_per_actor: float | None = None

    def __post_init__(self) -> None:
        share = self.gpus_per_actor
        if share and not SMALLEST_SHARE <= share <= 1:
            raise InputError(
                f"--gpus-per-actor {share} is no share of one GPU, from {SMALLEST_SHARE} to 1, and an actor uses one "
                "at most; give such a share, 0 for CPUs, or leave it out"
            )


@dataclass(frozen=True)
class Steps:
    """Which steps to do, whether to take up again what was given up, and whether to look into the results that are
    there, not at their names alone."""

    train: bool = True
    recover: bool = True
    retry_failed: bool = False
    verify: bool = False
