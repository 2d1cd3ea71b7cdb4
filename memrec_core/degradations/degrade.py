"""The degradation y = H x + noise, equation (3)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from memrec_core.errors import InputError
from memrec_core.seeding import generator


def degrade(
    images: Tensor,
    mask: Tensor,
    noise_std: float = 0.0,
    seed: int = 42,
    ids: Sequence[str] | None = None,
) -> Tensor:
    """Erase the masked pixels of `images` (N, C, H, W), then add Gaussian noise to every entry.

    `mask` is (C, H, W), or (N, C, H, W) for one of its own for each image: 1 kept, 0 missing. The noise has standard
    deviation `noise_std` in units of the pixel range [0, 1] and depends on the seed and on the image's id (its index
    where no ids are given), so an image gets the same noise in whatever batch it stands. Raises InputError where the
    mask is of another size than the images, or the noise is negative.
    """
    if mask.shape not in (images.shape[1:], images.shape):
        raise InputError(
            f"the mask is of size {tuple(mask.shape)} but the images are of size {tuple(images.shape[1:])}; "
            "make the mask for the images' (channels, height, width)"
        )
    if not 0 <= noise_std < float("inf"):
        raise InputError(f"noise_std {noise_std} is not a standard deviation; give a finite number, 0 or more")
    erased = images * mask
    if noise_std == 0:
        return erased
    ids = range(len(images)) if ids is None else ids
    noise = [torch.randn(images.shape[1:], generator=generator(seed, "noise", id_)) for id_ in ids]
    return erased + noise_std * torch.stack(noise).to(erased)
