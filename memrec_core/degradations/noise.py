"""Gaussian noise on every entry, the noise of equation (3)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from memrec_core.arguments import check_number
from memrec_core.seeding import generator


def add_noise(images: Tensor, noise_std: float, ids: Sequence[str | int], seed: int) -> Tensor:
    """`images` (N, C, H, W) with Gaussian noise that follows from the seed and each image's id."""
    if noise_std == 0 or not len(images):
        return images
    noise = [torch.randn(images.shape[1:], generator=generator(seed, "noise", id_)) for id_ in ids]
    return images + noise_std * torch.stack(noise).to(images)


def check_noise_std(noise_std: object) -> None:
    check_number(
        "noise_std", noise_std, "a standard deviation for pixels in [0, 1], from 0 to 1", lambda std: 0 <= std <= 1
    )


def noise_label(noise_std: float) -> str:
    """What the noise adds to a degradation's label."""
    short = f"{noise_std:g}"
    return f"-noise_{short if float(short) == noise_std else number_label(noise_std)}" if noise_std else ""


def number_label(number: float) -> str:
    """A number as part of a label, in full, so that different ones stay apart."""
    return repr(float(number)).removesuffix(".0").replace("+", "")
