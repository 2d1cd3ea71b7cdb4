"""The reference that knows the true mask (appendix E)."""

from collections.abc import Sequence

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
    noise_std: float | Sequence[float] = 0.0,
    iterations: int = 40,
    tolerance: float = 1e-9,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
) -> Recovery:
    """Recover images from `degraded` (N, C, H, W) with the true `mask`, (C, H, W) or (N, C, H, W).

    One run of Algorithm 1, then equation (31) where there is no noise: kept pixels are those of `degraded`.
    `noise_std` is that of all images, or one for each.
    `converged` means that the MSE between the last two iterates is under `tolerance`. `batch_size` and `device` are as
    for `recover_unknown_mask`. Raises InputError where the mask is of another size than the images or an argument is
    out of range.
    """
    check_arguments(degraded, gamma, iterations, batch_size)
    theta = masks_of(mask, degraded)
    x, change = torch.empty_like(degraded), torch.empty(len(degraded), dtype=torch.float64, device=degraded.device)
    for part in torch.arange(len(degraded)).split(batch_size or len(degraded)):
        y, m = (tensor[part].to(device or tensor.device) for tensor in (degraded, theta))
        found, previous = solve(model, y, m, gamma, iterations)
        x[part], change[part] = (value.to(x.device) for value in (found, mse(found, previous)))
    finite = x.flatten(1).isfinite().all(1)
    status = np.where((change < tolerance).cpu().numpy(), CONVERGED, MAX_ITERATIONS).astype(object)
    status[~finite.cpu().numpy()] = NON_FINITE
    x = torch.where(finite[:, None, None, None], x, degraded)
    noiseless = (torch.as_tensor(noise_std) == 0).expand(len(degraded)).to(x.device)
    x = torch.where((theta > 0) & noiseless[:, None, None, None], degraded, x)  # (31)
    count = torch.full((len(degraded),), iterations - 1)
    return Recovery(x, theta, status, torch.ones_like(count), count)
