"""The two-layer tied autoencoder of Definition 2, which Theorem 1 shows to be a proximal operator."""

from math import prod

import torch
from torch import Tensor, nn

from memrec_core.arguments import check_counts
from memrec_core.autoencoders.activations import activation_layer
from memrec_core.autoencoders.architecture import Architecture


class Tied(nn.Module):
    """f(x) = W^T rho(W x), with `width` rows in W, no biases, and W's singular values in [0, 1].

    With a differentiable activation whose derivative is in [0, 1], such as softplus, the Jacobian W^T D W is
    symmetric with eigenvalues in [0, 1], so f is the proximal operator of some regulariser (Theorem 1). Training calls
    `project_` after every step to keep the singular values where they belong.
    """

    def __init__(self, image_shape: tuple[int, int, int], width: int, activation: str) -> None:
        super().__init__()
        check_counts(width=width)
        self.weight = nn.Parameter(torch.empty(width, prod(image_shape)))
        self.activation = activation_layer(activation)
        nn.init.orthogonal_(self.weight)

    @property
    def output_rank(self) -> int:
        """Of the subspace that all its outputs lie in, that of the rows of W."""
        return len(self.weight)

    @torch.no_grad()
    def project_(self) -> None:
        """Move W to the nearest matrix (Frobenius norm) with singular values in [0, 1], by clipping them."""
        left, singular, right = torch.linalg.svd(self.weight, full_matrices=False)
        if singular[0] > 1:
            self.weight.copy_((left * singular.clamp(max=1)) @ right)

    def forward(self, x: Tensor) -> Tensor:
        return (self.activation(x.flatten(1) @ self.weight.T) @ self.weight).view_as(x)


def tied(image_shape: tuple[int, int, int], activation: str = "softplus", width: int = 1024) -> Tied:
    """The tied autoencoder. LeakyReLU and PReLU are accepted for comparison, but Theorem 1 does not cover them."""
    return Tied(image_shape, width, activation)


TIED = Architecture("tied", tied)
