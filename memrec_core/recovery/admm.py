"""Algorithm 1: plug-and-play ADMM for a given estimate of the degradation operator."""

from collections.abc import Callable

import torch
from torch import Tensor

Autoencoder = Callable[[Tensor], Tensor]


def solve(f: Autoencoder, y: Tensor, theta: Tensor, gamma: float, iterations: int = 40) -> tuple[Tensor, Tensor]:
    """Estimate x from y = theta x, with the autoencoder `f` as the prior.

    From v = 0 and u = 0, each of the `iterations` does
        xi = argmin_x ||theta x - y||^2 + gamma/2 ||x - (v - u)||^2    (12), in closed form (17)
        v  = f(xi + u)                                                 (16)
        u  = u + xi - v                                                (14)

    `y` and `theta` are (N, C, H, W), theta 0 or 1; gamma > 0. Returns the last xi and the one before it. The
    element-wise steps run in place in memory that is allocated once.
    """
    weight = theta / (1 + gamma / 2)
    v, u = torch.zeros_like(y), torch.zeros_like(y)
    xi, previous, shifted = torch.empty_like(y), torch.empty_like(y), torch.empty_like(y)
    for _ in range(iterations):
        xi, previous = previous, xi
        torch.sub(v, u, out=xi)
        xi.lerp_(y, weight)  # (17): where theta is 1, (y + gamma/2 v~) / (1 + gamma/2) = v~ + (y - v~) / (1 + gamma/2)
        torch.add(xi, u, out=shifted)
        v = f(shifted)
        torch.sub(shifted, v, out=u)
    return xi, previous
