"""The fully connected autoencoders of the paper (appendix C)."""

from itertools import pairwise
from math import prod, sqrt

import torch
from torch import Tensor, nn

from memrec_core.arguments import check_counts
from memrec_core.autoencoders.activations import activation_layer
from memrec_core.autoencoders.architecture import Architecture


class FullyConnected(nn.Module):
    """`layers` linear layers with an activation between them and none after the last: (N, C, H, W) -> (N, C, H, W).

    The hidden layers are all `width` wide; the paper shows its widths only as a picture, so this is our choice.
    Weights start orthogonal (Saxe et al., 2014), scaled by sqrt 2 where an activation follows, biases at zero: from
    there a ten-layer network reaches an MSE of 1e-8, which it does not from PyTorch's default.
    """

    def __init__(self, image_shape: tuple[int, int, int], layers: int, width: int, activation: str) -> None:
        super().__init__()
        check_counts(width=width)
        sizes = [prod(image_shape), *[width] * (layers - 1), prod(image_shape)]
        modules: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            modules += [nn.Linear(fan_in, fan_out), activation_layer(activation)]
        self.layers = nn.Sequential(*modules[:-1])
        self.reset_parameters()

    @property
    def output_rank(self) -> int:
        """Of the affine subspace that all its outputs lie in: the inputs of its last layer."""
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        return last.in_features

    @torch.no_grad()
    def reset_parameters(self) -> None:
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        for layer in linear:
            nn.init.orthogonal_(layer.weight, gain=1.0 if layer is linear[-1] else sqrt(2.0))
            nn.init.zeros_(layer.bias)

    @torch.no_grad()
    def center_(self, mean_in: Tensor, mean_out: Tensor, scale: float) -> None:
        """Act on images less a mean (C, H, W), over `scale`, and add one: see `training.starts`."""
        first, last = self.layers[0], self.layers[-1]
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        first.weight.div_(scale)
        first.bias.sub_(first.weight @ mean_in.flatten())
        last.weight.mul_(scale)
        last.bias.mul_(scale).add_(mean_out.flatten())

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.flatten(1)).view_as(x)


def fc10(image_shape: tuple[int, int, int], activation: str = "leaky_relu", width: int = 1024) -> FullyConnected:
    """The paper's 10-layer fully connected autoencoder; `activation` is leaky_relu, prelu or softplus."""
    return FullyConnected(image_shape, layers=10, width=width, activation=activation)


def fc20(image_shape: tuple[int, int, int], activation: str = "leaky_relu", width: int = 1024) -> FullyConnected:
    """The paper's 20-layer fully connected autoencoder, likewise."""
    return FullyConnected(image_shape, layers=20, width=width, activation=activation)


FC10 = Architecture("fc10", fc10, gammas={"leaky_relu": 0.5}, optimiser="adam_quick")
FC20 = Architecture("fc20", fc20, optimiser="adam_quick")
