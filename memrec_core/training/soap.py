"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al., 2024, arXiv:2409.11321).

The convolutional networks need it: a U-Net without skip connections that Adam leaves at a loss of 1e-4 goes on to
1e-8 (see `training`). So do wide fully connected networks with hundreds of images.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

LARGEST_SIDE = 8192
"""Sides of a weight that are longer than this keep the basis they have: eigenvectors would cost more than they save."""


class Soap(Optimizer):
    """Minimises as torch.optim's optimisers do; a weight of more than two dimensions counts as a matrix whose rows are
    its first one, and a bias, or any vector, is Adam's.

    `betas` are the decay rates of the mean gradient and of the second moments. One basis of eigenvectors serves for
    `every` steps, before a step of orthogonal iteration renews it; the factors whose eigenvectors it has follow every
    `factors_every`th gradient. With `one_sided` only the shorter side of a weight has a basis, its columns where both
    are as long (the paper's section 7.2.1): for a square one a third of the products.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float | Tensor,
        betas: tuple[float, float] = (0.95, 0.95),
        every: int = 10,
        epsilon: float = 1e-12,
        one_sided: bool = False,
        factors_every: int = 1,
    ) -> None:
        own = {"every": every, "epsilon": epsilon, "one_sided": one_sided, "factors_every": factors_every}
        super().__init__(params, {"lr": lr, "betas": betas, **own})

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # those of earlier revisions have neither
            group.setdefault("one_sided", False)
            group.setdefault("factors_every", 1)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def _update(self, parameter: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        gradient = gradient.reshape(len(parameter), -1) if parameter.ndim > 1 else gradient[None]
        state = self.state[parameter]
        if not state:
            _start(state, gradient, _sides(parameter, gradient, group["one_sided"]))
            return  # in its own eigenbasis a gradient is diagonal, and the rest of it rounding errors
        state["step"] += 1
        decay, decay_second = group["betas"]
        rotated = _rotate(gradient, state)
        state["mean"].lerp_(rotated, 1 - decay)
        state["variance"].lerp_(rotated.square(), 1 - decay_second)
        count = state["step"].item()
        direction = state["mean"] / (1 - decay**count)
        scale = (state["variance"] / (1 - decay_second**count)).sqrt_().add_(group["epsilon"])
        # Of a sequence, the mean is never above the root of the mean square. Here it can be, by orders of magnitude:
        # where a gradient is all rounding errors, and where a renewed basis finds second moments of the old one.
        direction.div_(scale).clamp_(-1, 1)
        parameter.sub_(_rotate_back(direction, state).mul_(group["lr"]).view(parameter.shape))
        if count % group["factors_every"] == 0:
            _follow(state, gradient, 1 - decay_second ** group["factors_every"])
        if count % group["every"] == 0:
            _renew_bases(state)


def _sides(parameter: nn.Parameter, gradient: Tensor, one_sided: bool) -> list[str]:
    """The sides that have a basis of their own."""
    if parameter.ndim < 2:
        return []
    lengths = dict(zip(("rows", "columns"), gradient.shape, strict=True))
    if one_sided:
        del lengths["rows" if lengths["columns"] <= lengths["rows"] else "columns"]
    return [side for side, length in lengths.items() if length <= LARGEST_SIDE]


def _start(state: dict[str, Tensor], gradient: Tensor, sides: list[str]) -> None:
    state["step"] = torch.zeros((), dtype=torch.int64)
    state["mean"], state["variance"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
    for side in sides:
        matrix = gradient if side == "rows" else gradient.T
        state[f"{side}_factor"] = matrix @ matrix.T
        state[f"{side}_basis"] = torch.linalg.eigh(state[f"{side}_factor"])[1].flip(1).contiguous()


def _follow(state: dict[str, Tensor], gradient: Tensor, weight: float) -> None:
    """Let the outer products of the gradient into the factors whose eigenvectors the bases are."""
    for side, matrix in (("rows", gradient), ("columns", gradient.T)):
        if f"{side}_factor" in state:
            state[f"{side}_factor"].lerp_(matrix @ matrix.T, weight)


def _rotate(matrix: Tensor, state: dict[str, Tensor]) -> Tensor:
    if "rows_basis" in state:
        matrix = state["rows_basis"].T @ matrix
    return matrix @ state["columns_basis"] if "columns_basis" in state else matrix


def _rotate_back(matrix: Tensor, state: dict[str, Tensor]) -> Tensor:
    if "rows_basis" in state:
        matrix = state["rows_basis"] @ matrix
    return matrix @ state["columns_basis"].T if "columns_basis" in state else matrix


def _renew_bases(state: dict[str, Tensor]) -> None:
    """One step of orthogonal iteration for each side, largest eigenvalue first; the mean gradient, which is kept in
    the bases, and the second moments move along."""
    mean = _rotate_back(state["mean"], state)
    for dimension, side in enumerate(("rows", "columns")):
        if f"{side}_basis" not in state:
            continue
        factor, basis = state[f"{side}_factor"], state[f"{side}_basis"]
        image = factor @ basis
        order = (basis * image).sum(0).argsort(descending=True)
        state["variance"] = state["variance"].index_select(dimension, order)
        state[f"{side}_basis"] = torch.linalg.qr(image[:, order])[0].contiguous()
    state["mean"] = _rotate(mean, state)
