"""How well a network gives back an image that nothing was done to: of a training image, its own training loss."""

import torch
from torch import Tensor

from memrec_core import metrics
from memrec_core.network import Network, as_prior
from memrec_core.precision import full_float32


@torch.no_grad()
@full_float32()
def reconstruction_error(
    model: Network, images: Tensor, batch_size: int | None = None, device: torch.device | str | None = None
) -> Tensor:
    """MSE(f(x), x) of each of the images (N, C, H, W): (N,) float64, on the CPU; NaN where the output is none.

    Args:
        model: takes images (N, C, H, W) in [0, 1] to such.
        images: what it is applied to, undamaged.
        batch_size: how many are side by side; all where left out.
        device: where they are then, the model's; where `images` lie where left out.
    """
    errors = []
    with as_prior(model) as f:
        for part in images.split(batch_size or max(1, len(images))):
            own = part.to(device or part.device)
            errors.append(metrics.mse(f(own), own).cpu())
    return torch.cat(errors)
