"""What an image gives away without the network: where it is plain or smooth, any network that smooths gives it back."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

SWEEPS = 30
"""Of averaging at each resolution."""


def smooth_fill(images: Tensor, kept: Tensor) -> Tensor:
    """The images with smooth values in place of erased pixels, nearly those of the Laplace equation.

    Args:
        images: (N, C, H, W), whatever erased pixels hold.
        kept: the same shape: 1 kept, 0 missing.

    Values come from half the resolution, and are averaged with their neighbours.
    """
    known = kept > 0
    if known.all() or max(images.shape[2:]) == 1:
        return torch.where(known, images, 0)
    share = avg_pool2d(kept, 2, ceil_mode=True)
    values = avg_pool2d(images * kept, 2, ceil_mode=True) / share.clamp(min=1e-9)
    coarse = smooth_fill(values, (share > 0).to(images))
    filled = torch.where(known, images, interpolate(coarse, images.shape[2:], mode="bilinear", align_corners=False))
    for _ in range(SWEEPS):
        filled = torch.where(known, images, avg_pool2d(filled, 3, 1, 1, count_include_pad=False))
    return filled
