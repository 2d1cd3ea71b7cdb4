"""Checks that every recovery method makes of its arguments."""

from collections.abc import Sequence

import torch
from torch import Tensor

from memrec_core.arguments import check_counts, check_degraded, check_device, check_number


def check_arguments(
    degraded: Tensor, batch_size: int | None = None, device: torch.device | str | None = None, **counts: int
) -> None:
    """Raise InputError unless `degraded` is a finite batch (N, C, H, W), and `device` is there, and the rest are whole
    numbers of at least 1."""
    check_degraded(degraded, "degraded images")
    if batch_size is not None:
        counts["batch_size"] = batch_size
    check_counts(**counts)
    check_device(device)


def parts(count: int, batch_size: int | None) -> Sequence[Tensor]:
    """The indices of `count` images, `batch_size` of them at a time; all together where it is None."""
    return torch.arange(count).split(batch_size or count) if count else ()


def check_gamma(gamma: float) -> None:
    check_number("gamma", gamma, "a positive number; the paper uses 0.1 to 1", lambda value: 0 < value < float("inf"))


def check_tolerance(tolerance: float) -> None:
    check_number("tolerance", tolerance, "an MSE, a number from 0 on", lambda value: 0 <= value < float("inf"))
