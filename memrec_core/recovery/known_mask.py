"""The reference that knows the true mask (appendix E)."""

import numpy as np
import torch
from torch import Tensor

from memrec_core.metrics import mse
from memrec_core.precision import full_float32
from memrec_core.recovery.admm import Autoencoder, solve
from memrec_core.recovery.arguments import check_arguments, masks_of
from memrec_core.recovery.result import CONVERGED, MAX_ITERATIONS, NON_FINITE, Recovery


@torch.no_grad()
@full_float32()
def recover_known_mask(
    model: Autoencoder,
    degraded: Tensor,
    mask: Tensor,
    gamma: float,
    noise_std: float = 0.0,
    iterations: int = 40,
    tolerance: float = 1e-9,
) -> Recovery:
    """Recover images from `degraded` (N, C, H, W) with the true `mask`, (C, H, W) or (N, C, H, W).

    One run of Algorithm 1, then equation (31) where there is no noise: kept pixels are those of `degraded`.
    `converged` means that the MSE between the last two iterates is under `tolerance`. Raises InputError where the
    mask is of another size than the images or an argument is out of range.
    """
    check_arguments(degraded, gamma, iterations)
    theta = masks_of(mask, degraded)
    x, previous = solve(model, degraded, theta, gamma, iterations)
    change = mse(x, previous)
    finite = x.flatten(1).isfinite().all(1)
    status = np.where((change < tolerance).cpu().numpy(), CONVERGED, MAX_ITERATIONS).astype(object)
    status[~finite.cpu().numpy()] = NON_FINITE
    x = torch.where(finite[:, None, None, None], x, degraded)
    if noise_std == 0:
        x = torch.where(theta > 0, degraded, x)  # (31)
    count = torch.full((len(degraded),), iterations)
    return Recovery(x, theta, status, torch.ones_like(count), count)
