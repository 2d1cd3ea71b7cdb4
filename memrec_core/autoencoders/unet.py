"""The U-Net of the paper (appendix C), with or without its skip connections."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from memrec_core.arguments import described, is_whole
from memrec_core.autoencoders.activations import activation_layer
from memrec_core.autoencoders.architecture import Architecture
from memrec_core.errors import InputError


class UNet(nn.Module):
    """An encoder and a decoder of 3 x 3 convolutions (stride 1, padding 1), an activation after every one.

    Level i has `channels[i]` channels and half the height and width of the level above it (2 x 2 maxima on the way
    down, nearest neighbours on the way up); each level has two convolutions on each way. The levels in `skips`, 0
    being full resolution, hand what they encoded to their decoder, by concatenation (Ronneberger et al., 2015).
    """

    def __init__(
        self, image_shape: tuple[int, int, int], channels: Sequence[int], skips: Sequence[int], activation: str
    ) -> None:
        super().__init__()
        _check(image_shape, channels, skips)
        self.skips = frozenset(skips)
        self.encoder = nn.ModuleList(
            _block(fan_in, fan_out, activation) for fan_in, fan_out in pairwise([image_shape[0], *channels])
        )
        self.decoder = nn.ModuleList(
            _block(channels[i + 1] + (channels[i] if i in self.skips else 0), channels[i], activation)
            for i in range(len(channels) - 1)
        )
        self.last = nn.Sequential(nn.Conv2d(channels[0], image_shape[0], 3, padding=1), activation_layer(activation))
        self.reset_parameters()
        # Convolutions on a CPU are faster so.
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] (torch's stubs lack this form)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.orthogonal_(module.weight, gain=sqrt(2.0))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @torch.no_grad()
    def center_(self, mean_in: Tensor, mean_out: Tensor, scale: float) -> None:
        """Act on images less a mean, over `scale`, and add one: of each (C, H, W) a number for each channel, and
        but for the border, where zeros stand around the image. See `training.starts`."""
        first, last = self.encoder[0][0], self.last[0]  # pyright: ignore[reportIndexIssue]
        assert isinstance(first, nn.Conv2d)
        assert isinstance(last, nn.Conv2d)
        assert first.bias is not None
        assert last.bias is not None
        first.weight.div_(scale)
        first.bias.sub_(first.weight.sum((2, 3)) @ mean_in.mean((1, 2)))
        last.weight.mul_(scale)
        last.bias.mul_(scale).add_(mean_out.mean((1, 2)))

    def forward(self, x: Tensor) -> Tensor:
        encoded, x = [], x.contiguous(memory_format=torch.channels_last)
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else functional.max_pool2d(x, 2))
            encoded.append(x)
        for level in reversed(range(len(self.decoder))):
            x = functional.interpolate(x, scale_factor=2)
            x = torch.cat([x, encoded[level]], 1) if level in self.skips else x
            x = self.decoder[level](x)
        return self.last(x)


def _block(fan_in: int, fan_out: int, activation: str) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(fan_in, fan_out, 3, padding=1),
        activation_layer(activation),
        nn.Conv2d(fan_out, fan_out, 3, padding=1),
        activation_layer(activation),
    )


def _check(image_shape: tuple[int, int, int], channels: Sequence[int], skips: Sequence[int]) -> None:
    if not is_whole(channels) or not channels or min(channels) < 1:
        raise InputError(
            f"channels {described(channels)} are not a positive number for each level, such as [32, 64, 128]"
        )
    if not is_whole(skips) or not set(skips) <= set(range(len(channels) - 1)):
        raise InputError(
            f"skips {described(skips)} are not among the levels 0 to {len(channels) - 2}, the last having none"
        )
    factor = 2 ** (len(channels) - 1)
    if image_shape[1] % factor or image_shape[2] % factor:
        raise InputError(
            f"a U-Net of {len(channels)} levels needs a height and width that {factor} divides, not "
            f"{image_shape[1]} x {image_shape[2]}; use fewer levels or another size"
        )


def unet(
    image_shape: tuple[int, int, int],
    activation: str = "prelu",
    channels: Sequence[int] = (64, 192, 192, 192),
    skips: Sequence[int] = (),
) -> UNet:
    """The U-Net; the paper shows its channels and depth only as a picture, so the defaults are ours: with them it
    memorises 50 images of SVHN to 1e-8 in an hour and a half on two cores.

    There is no skip connection by default: with one at full resolution the network learns the identity, memorises
    nothing, and nothing can be recovered.
    """
    return UNet(image_shape, channels, skips, activation)


UNET = Architecture("unet", unet, gamma=1.0, first_mask="zeros", optimiser="soap")
