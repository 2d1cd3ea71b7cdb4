"""The paper's method: the image and the unknown mask are estimated in turn (section 3)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from memrec_core.errors import unknown
from memrec_core.precision import full_float32
from memrec_core.recovery.admm import Autoencoder, solve
from memrec_core.recovery.arguments import check_arguments
from memrec_core.recovery.mask_estimate import estimate_mask
from memrec_core.recovery.result import Recovery
from memrec_core.recovery.stopping import StoppingRule, iterate
from memrec_core.seeding import generator

FIRST_MASKS = ["coin_flips", "zeros"]


@torch.no_grad()
@full_float32()
def recover_unknown_mask(
    model: Autoencoder,
    degraded: Tensor,
    gamma: float,
    ids: Sequence[str] | None = None,
    seed: int = 42,
    first_mask: str = "coin_flips",
    inner_iterations: int = 40,
    max_iterations: int = 50,
    tolerance: float = 1e-9,
    patience: int = 3,
    on_iteration: Callable[[Tensor, Tensor], None] | None = None,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
) -> Recovery:
    """Recover images from `degraded` (N, C, H, W) without knowing which pixels are missing.

    Alternates (6), Algorithm 1 from v = u = 0 with `inner_iterations`, and (7), the mask estimate (20), until the MSE
    between an image's successive estimates stays under `tolerance` for `patience` iterations in a row (appendix D.1).
    The paper states no cap; `max_iterations` is ours. `first_mask` is `zeros` for a U-Net, otherwise `coin_flips`,
    drawn from the seed and the image's id (its index where no ids are given), so that neither batch nor order
    matters. The paper's gamma is 0.5 for fc10 with LeakyReLU and 0.1 with PReLU. Raises InputError for arguments out
    of range; an image that does not converge is a result, not an error.

    `batch_size` images are in the batch at a time, all where left out; one that has stopped leaves its place to the
    next. They lie on `device` for that time, the model's, where `degraded` lies elsewhere. `on_iteration` is called
    with the images and masks of each outer iteration, of those images that are in the batch; clone what is
    to be kept.
    """
    check_arguments(degraded, gamma, inner_iterations, max_iterations, batch_size)
    ids = range(len(degraded)) if ids is None else ids
    theta = _first_masks(first_mask, degraded, ids, seed)

    def step(y: Tensor, theta: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        x, _ = solve(model, y, theta, gamma, inner_iterations)
        theta = estimate_mask(x, y)
        if on_iteration is not None:
            on_iteration(x, theta)
        return x, (y, theta)

    rule = StoppingRule(max_iterations, tolerance, patience)
    end = iterate(step, degraded, (degraded, theta), rule, batch_size, device)
    _, mask = end.inputs
    return Recovery(end.images, mask, end.status, end.iterations, end.iterations * (inner_iterations - 1))


def _first_masks(kind: str, degraded: Tensor, ids: Sequence[object], seed: int) -> Tensor:
    if kind == "zeros":
        return torch.zeros_like(degraded)
    if kind != "coin_flips":
        raise unknown("first mask", kind, FIRST_MASKS)
    flips = torch.empty(degraded.shape, dtype=degraded.dtype)  # drawn on the CPU, so that they are the same anywhere
    for own, id_ in zip(flips, ids, strict=True):
        own.random_(0, 2, generator=generator(seed, "first mask", id_))
    return flips.to(degraded)
