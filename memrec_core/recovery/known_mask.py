"""The reference that knows the true mask (appendix E)."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from memrec_core.arguments import described, masks_of
from memrec_core.errors import InputError
from memrec_core.metrics import mse
from memrec_core.network import Network, as_prior
from memrec_core.precision import full_float32
from memrec_core.recovery.admm import solve
from memrec_core.recovery.arguments import check_arguments, check_gamma, check_tolerance, parts
from memrec_core.recovery.result import CONVERGED, MAX_ITERATIONS, NON_FINITE, Recovery


@torch.no_grad()
@full_float32()
def recover_known_mask(
    model: Network,
    degraded: Tensor,
    mask: Tensor,
    gamma: float,
    noise_std: float | Sequence[float] = 0.0,
    inner_iterations: int = 40,
    tolerance: float = 1e-9,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    iterations: int | None = None,
) -> Recovery:
    """Recover images from `degraded` (N, C, H, W) with the true `mask`, (C, H, W) or (N, C, H, W).

    One run of Algorithm 1 with `inner_iterations`, then equation (31) where there is no noise: kept pixels are those of
    `degraded`. `noise_std` is that of all images, or one for each.
    `converged` means that the MSE between the last two iterates is under `tolerance`. `model`, `batch_size` and
    `device` are as for `recover_unknown_mask`. Raises InputError as that does, and where the mask is of another size
    than the images or not of zeros and ones. `iterations` is an older name of `inner_iterations`.
    """
    if iterations is not None:
        warnings.warn("recover_known_mask: iterations is inner_iterations now", DeprecationWarning, stacklevel=4)
        inner_iterations = iterations
    check_arguments(degraded, batch_size, device, inner_iterations=inner_iterations)
    check_gamma(gamma)
    check_tolerance(tolerance)
    theta, noiseless = masks_of(mask, degraded), _noiseless(noise_std, degraded)
    x, change = torch.empty_like(degraded), torch.empty(len(degraded), dtype=torch.float64, device=degraded.device)
    with as_prior(model) as f:
        for part in parts(len(degraded), batch_size):
            y, m = (tensor[part].to(device or tensor.device) for tensor in (degraded, theta))
            found, previous = solve(f, y, m, gamma, inner_iterations)
            x[part], change[part] = (value.to(x.device) for value in (found, mse(found, previous)))
    finite = x.flatten(1).isfinite().all(1)
    status = np.where((change < tolerance).cpu().numpy(), CONVERGED, MAX_ITERATIONS).astype(object)
    status[~finite.cpu().numpy()] = NON_FINITE
    x = torch.where(finite[:, None, None, None], x, degraded)
    x = torch.where((theta > 0) & noiseless[:, None, None, None], degraded, x)  # (31)
    count = torch.full((len(degraded),), inner_iterations - 1)
    return Recovery(x, theta, status, torch.ones_like(count), count)


def _noiseless(noise_std: float | Sequence[float], degraded: Tensor) -> Tensor:
    """Which of the images (N,) are without noise."""
    try:
        std = torch.as_tensor(noise_std, device=degraded.device)
        fits = std.dtype != torch.bool and ((std >= 0) & std.isfinite()).all() and std.shape in ((), (len(degraded),))
    except (TypeError, ValueError, RuntimeError):
        fits = False
    if not fits:
        raise InputError(
            f"noise_std {described(noise_std)} is not a standard deviation, or one for each of the {len(degraded)} "
            "images; give finite numbers, 0 or more"
        )
    return (std == 0).expand(len(degraded))
