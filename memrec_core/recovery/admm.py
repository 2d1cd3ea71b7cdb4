"""Algorithm 1: plug-and-play ADMM for a given estimate of the degradation operator."""

import torch
from torch import Tensor

from memrec_core.cache import in_cache
from memrec_core.degradations.operator import Operator
from memrec_core.network import Network


@torch.no_grad()
def solve(f: Network, y: Tensor, theta: Tensor, gamma: float, iterations: int = 40) -> tuple[Tensor, Tensor]:
    """Estimate x from y = theta x, with an autoencoder as the prior.

    From v = 0 and u = 0, each iteration does
        xi = argmin_x ||theta x - y||^2 + gamma/2 ||x - (v - u)||^2    (12), in closed form (17)
        v  = f(xi + u)                                                 (16)
        u  = u + xi - v                                                (14)

    Args:
        f: the autoencoder.
        y: (N, C, H, W).
        theta: the mask, (N, C, H, W), 0 or 1.
        gamma: over 0.
        iterations: how many xi there are; f is applied once less, for what follows the last xi is left out.

    Returns the last xi and the one before it, zeros where there is none.

    With s = xi + u, the input of f, u is s - v. So with w = theta / (1 + gamma/2), (17) is
        xi = (2v - s) + w (y + s - 2v)
    and the next s, xi + (s - v), is v + w (y + s - 2v): s and v are all that is kept, and s changes in place.
    """
    weight = theta / (1 + gamma / 2)
    s = weight * y
    xi, previous = s, s.new_zeros(()).expand_as(s)
    for iteration in range(2, iterations + 1):
        v = f(s)
        if iteration == 2:
            y, weight, s = (_laid_out_as(v, tensor) for tensor in (y, weight, s))
        if iteration >= iterations - 1:
            xi, previous = _closed_form(s, v, y, weight), xi
        if iteration < iterations:
            advance(s, v, y, weight)
    return xi, previous


@torch.no_grad()
def solve_operator(
    f: Network, y: Tensor, operator: Operator, gamma: float, iterations: int = 40
) -> tuple[Tensor, Tensor]:
    """Estimate x from y = H x for any known operator H, as `solve` does for a mask, which it calls where H is one.

    (12) is the operator's own to solve. As u is s - v, with s = xi + u the input of f, its point v - u is 2v - s.

    Args:
        f: the autoencoder.
        y: (N, C, H, W).
        operator: H, for these N images.
        gamma: over 0.
        iterations: how many xi there are.

    Returns the last xi and the one before it, zeros where there is none.
    """
    if operator.kept is not None:
        return solve(f, y, operator.kept.to(y), gamma, iterations)
    s = v = xi = previous = torch.zeros_like(y)
    for iteration in range(1, iterations + 1):
        xi, previous = operator.nearest(y, 2 * v - s, gamma), xi
        if iteration < iterations:
            s = xi + (s - v)
            v = f(s)
    return xi, previous


def advance_operator(f: Network, y: Tensor, s: Tensor, operator: Operator, gamma: float) -> tuple[Tensor, Tensor]:
    """One iteration by itself: the next xi and s, from the last s, with an application of f. The first of both is the
    operator's `nearest` to 0."""
    v = f(s)
    xi = operator.nearest(y, 2 * v - s, gamma)
    return xi, xi + (s - v)


def _closed_form(s: Tensor, v: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """xi = (2v - s) + weight (y + s - 2v), (17)."""
    xi = torch.empty_like(s)
    for xi_, s_, v_, y_, weight_ in in_cache(xi, s, v, y, weight):
        torch.sub(v_, s_, out=xi_).add_(v_).lerp_(y_, weight_)
    return xi


def advance(s: Tensor, v: Tensor, y: Tensor, weight: Tensor) -> None:
    """s = v + weight (y + s - 2v), in place: the next input of f, from the last one and v = f(s)."""
    if v.untyped_storage().data_ptr() == s.untyped_storage().data_ptr():  # f has returned its input
        v = v.clone()
    for s_, v_, y_, weight_ in in_cache(s, v, y, weight):
        s_.add_(y_).sub_(v_, alpha=2)
        torch.addcmul(v_, s_, weight_, out=s_)


def _laid_out_as(model: Tensor, tensor: Tensor) -> Tensor:
    """`tensor` with the order in memory that `model` has: entries of the same order are handled together faster."""
    if model.is_contiguous() or not model.is_contiguous(memory_format=torch.channels_last):
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last)
