"""Checks that every recovery method makes of its arguments."""

from torch import Tensor

from memrec_core.errors import InputError


def check_arguments(degraded: Tensor, gamma: float | None, *counts: int | None) -> None:
    """Raise InputError unless `degraded` is a float batch (N, C, H, W), gamma > 0 and every count at least 1; those
    that are None are left out."""
    if degraded.ndim != 4 or not degraded.is_floating_point():
        raise InputError(
            f"degraded images must be floats of shape (N, C, H, W), not {degraded.dtype} of shape "
            f"{tuple(degraded.shape)}"
        )
    if gamma is not None and not 0 < gamma < float("inf"):
        raise InputError(f"gamma {gamma} is not a positive number; the paper uses 0.1 to 1")
    if any(count is not None and count < 1 for count in counts):
        raise InputError(f"counts of iterations or images {counts} must be at least 1")


def masks_of(mask: Tensor, degraded: Tensor) -> Tensor:
    """`mask`, (C, H, W) or (N, C, H, W), as one for each image. Raises InputError where it is of another size."""
    if mask.shape not in (degraded.shape[1:], degraded.shape):
        raise InputError(
            f"the mask is of size {tuple(mask.shape)} but the images are of size {tuple(degraded.shape[1:])}; "
            "give the mask that degraded them"
        )
    return mask.to(degraded).expand_as(degraded)
