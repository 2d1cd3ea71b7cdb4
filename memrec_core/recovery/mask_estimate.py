"""The estimate of the degradation operator for a given estimate of the image, equations (18) to (20)."""

import torch
from torch import Tensor

from memrec_core.cache import in_cache


@torch.no_grad()
def estimate_mask(x: Tensor, y: Tensor) -> Tensor:
    """The mask of zeros and ones that minimises (19) for the image estimate `x` and the degraded image `y`.

    An entry costs (x - y)^2 where the mask is 1 and y^2 where it is 0, so it is 0 exactly where x (x - 2y) > 0. For y
    in [0, 1] that is the paper's (20); unlike (20), it stays right where noise takes y below 0.
    """
    mask = torch.empty_like(y)
    for mask_, x_, y_ in in_cache(mask, x, y):
        torch.sub(x_, y_, alpha=2, out=mask_).mul_(x_).le_(0)
    return mask
