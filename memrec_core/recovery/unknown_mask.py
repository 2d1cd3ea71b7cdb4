"""The paper's method: the image and the unknown mask are estimated in turn (section 3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from memrec_core.arguments import check_called, check_counts, check_seed, check_sign, ids_of
from memrec_core.degradations import Degradation
from memrec_core.errors import unknown
from memrec_core.network import Network, as_prior
from memrec_core.precision import full_float32
from memrec_core.recovery.admm import solve
from memrec_core.recovery.arguments import check_arguments, check_gamma
from memrec_core.recovery.mask_estimate import estimate_mask
from memrec_core.recovery.method import Basis, Denoiser, Method, Problem, denoiser
from memrec_core.recovery.result import Recovery
from memrec_core.recovery.stopping import StoppingRule, iterate
from memrec_core.seeding import generator

FIRST_MASKS = ["coin_flips", "zeros"]
USUAL_ITERATIONS = 20
"""Outer iterations that an image is taken to need, at most."""


@dataclass(frozen=True)
class UnknownMask(Method):
    """The paper's method as an object; see `recover_unknown_mask`. `gamma` and `first_mask` are those that suit the
    network where left out."""

    name: ClassVar[str] = "unknown_mask"
    title: ClassVar[str] = "unknown mask"
    does: ClassVar[str] = "the paper's: alternates recovery (Algorithm 1) and an estimate of the mask"
    rests_on: ClassVar[Basis] = Basis.NETWORK
    told: ClassVar[bool] = False

    inner_iterations: int = 40
    max_iterations: int = 50
    tolerance: float = 1e-9
    patience: int = 3
    gamma: float | None = None
    first_mask: str | None = None

    def __post_init__(self) -> None:
        check_counts(inner_iterations=self.inner_iterations)
        StoppingRule(self.max_iterations, self.tolerance, self.patience)
        if self.gamma is not None:
            check_gamma(self.gamma)
        if self.first_mask is not None:
            _check_first_mask(self.first_mask)

    @classmethod
    def accepts(cls, degradation: Degradation) -> bool:
        """It looks for missing pixels."""
        return degradation.erases

    def evaluations(self) -> int:
        return self.inner_iterations * min(self.max_iterations, USUAL_ITERATIONS)

    def recover(self, basis: Denoiser, problem: Problem) -> Recovery:
        return recover_unknown_mask(
            denoiser(basis).model,
            problem.degraded,
            self.gamma or basis.gamma,
            problem.ids,
            problem.seed,
            first_mask=self.first_mask or basis.first_mask,
            inner_iterations=self.inner_iterations,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
            patience=self.patience,
            on_iteration=problem.on_iteration,
            batch_size=problem.batch_size,
            device=problem.device,
            repeats=problem.repeats,
        )


@torch.no_grad()
@full_float32()
def recover_unknown_mask(
    model: Network,
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
    repeats: int = 1,
) -> Recovery:
    """Recover images from degraded ones without knowing which pixels are missing.

    Alternates (6), Algorithm 1 from v = u = 0, and (7), the mask estimate (20), until the MSE between an image's
    successive estimates has stayed under `tolerance` for `patience` iterations in a row (appendix D.1). An image that
    does not converge is a result, not an error. Neither batch nor order matters to a result, but for last bits on a
    GPU.

    Args:
        model: a module, or any function of a batch whose output is of its input's shape, type and device. A module is
            in evaluation mode for the length of the call.
        degraded: (N, C, H, W) float32 or float64, of the pixel range [0, 1] but for noise.
        gamma: the penalty weight of (12), over 0. The paper's is 0.5 for fc10 with LeakyReLU, 0.1 with PReLU.
        ids: the images' names, strings or whole numbers, no two the same; their indices where left out. Where the batch
            holds the same images under several degradations, one after the other, they are named once.
        seed: of the first masks, from 0 on.
        first_mask: `coin_flips`, drawn from the seed and each image's id, or `zeros`, the paper's for a U-Net.
        inner_iterations: of Algorithm 1.
        max_iterations: of the alternation. The paper states no cap; this one is ours.
        tolerance: an MSE, from 0 on.
        patience: how many iterations in a row the change must be small.
        on_iteration: called with the images and masks of each outer iteration, of those images that are in the batch;
            clone what is to be kept.
        batch_size: how many images are in the batch at a time; all where left out. One that has stopped leaves its
            place to the next.
        device: where they lie for that time, the model's; where `degraded` lies where left out.
        repeats: how many times the batch holds the same images.

    Raises InputError for another model, arguments out of range, and `degraded` that is no finite batch of such images.
    """
    check_arguments(degraded, batch_size, device, inner_iterations=inner_iterations)
    check_sign(degraded, "degraded images")
    check_gamma(gamma)
    check_called(on_iteration=on_iteration)
    rule = StoppingRule(max_iterations, tolerance, patience)
    theta = _first_masks(first_mask, degraded, ids_of(ids, len(degraded), repeats), seed)

    def step(y: Tensor, theta: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        x, _ = solve(f, y, theta, gamma, inner_iterations)
        theta = estimate_mask(x, y)
        if on_iteration is not None:
            on_iteration(x, theta)
        return x, (y, theta)

    with as_prior(model) as f:
        end = iterate(step, degraded, (degraded, theta), rule, batch_size, device)
    _, mask = end.inputs
    return Recovery(end.images, mask, end.status, end.iterations, end.iterations * (inner_iterations - 1))


def _first_masks(kind: str, degraded: Tensor, ids: Sequence[object], seed: int) -> Tensor:
    check_seed(seed)
    _check_first_mask(kind)
    if kind == "zeros":
        return torch.zeros_like(degraded)
    flips = torch.empty(degraded.shape, dtype=degraded.dtype)  # drawn on the CPU, so that they are the same anywhere
    for own, id_ in zip(flips, ids, strict=True):
        own.random_(0, 2, generator=generator(seed, "first mask", id_))
    return flips.to(degraded)


def _check_first_mask(kind: object) -> None:
    if not isinstance(kind, str) or kind not in FIRST_MASKS:
        raise unknown("first mask", kind, FIRST_MASKS)
