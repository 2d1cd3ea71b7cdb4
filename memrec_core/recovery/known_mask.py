"""The reference that knows the true mask (appendix E), or any other known degradation operator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from memrec_core.arguments import check_counts, described, masks_of
from memrec_core.degradations import Degradation
from memrec_core.degradations.operator import Masking, Operator
from memrec_core.errors import InputError
from memrec_core.metrics import mse
from memrec_core.network import Network, as_prior
from memrec_core.precision import full_float32
from memrec_core.recovery.admm import advance_operator, solve_operator
from memrec_core.recovery.arguments import check_arguments, check_gamma, check_tolerance, parts
from memrec_core.recovery.method import Basis, Denoiser, Method, Problem, denoiser
from memrec_core.recovery.result import CONVERGED, MAX_ITERATIONS, NON_FINITE, Recovery
from memrec_core.recovery.stopping import Iterated, StoppingRule, iterate


@torch.no_grad()
@full_float32()
def recover_known_mask(
    model: Network,
    degraded: Tensor,
    mask: Tensor,
    gamma: float,
    noise_std: float | Sequence[float] = 0.0,
    inner_iterations: int = 40,
    tolerance: float = 1e-9,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    patience: int | None = None,
) -> Recovery:
    """Recover images from degraded ones with the true mask.

    One run of Algorithm 1, then equation (31) where there is no noise: kept pixels are those of `degraded`.

    Args:
        model: as for `recover_unknown_mask`.
        degraded: (N, C, H, W) float32 or float64, of the pixel range [0, 1] but for noise.
        mask: (C, H, W) or (N, C, H, W): 1 kept, 0 missing.
        gamma: the penalty weight of (12), over 0.
        noise_std: that of all images, or one for each; only whether it is 0 matters.
        inner_iterations: of Algorithm 1.
        tolerance: an image has converged where the MSE between its last two iterates is under it.
        batch_size: how many images are recovered at a time; all where left out.
        device: where they lie meanwhile, the model's; that of `degraded` where left out.
        patience: as for `recover_known_operator`.

    Raises InputError as `recover_unknown_mask` does, and for a mask of another size or not of zeros and ones.
    """
    check_arguments(degraded, batch_size, device, inner_iterations=inner_iterations)
    check_gamma(gamma)
    check_tolerance(tolerance)
    operator = Masking(masks_of(mask, degraded))
    return recover_known_operator(
        model, degraded, operator, gamma, noise_std, inner_iterations, tolerance, batch_size, device, patience
    )


@torch.no_grad()
@full_float32()
def recover_known_operator(
    model: Network,
    degraded: Tensor,
    operator: Operator,
    gamma: float,
    noise_std: float | Sequence[float] = 0.0,
    inner_iterations: int = 40,
    tolerance: float = 1e-9,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    patience: int | None = None,
) -> Recovery:
    """Recover images from what a known linear `operator` H has made of them, y = H x + noise.

    One run of Algorithm 1, then equation (31) where there is no noise: what y says exactly is put in, where H is a
    projection (a mask, the means of blocks). `mask` of the result is the operator's, None where it erases nothing.

    Args:
        model: a module, or any function of a batch; as for `recover_unknown_mask`.
        degraded: y, (N, C, H, W) float32 or float64, of the pixel range [0, 1].
        operator: H for these N images, such as `degradations.Blur(std=1.0).operator(shape, ids, seed)`.
        gamma: of (12), over 0; at least 0.5 does well with the networks that were tried.
        noise_std: of the noise in y, of all images or one for each; only whether it is 0 matters.
        inner_iterations: of Algorithm 1.
        tolerance: an image has converged where the MSE between its last two iterates is under it.
        batch_size: how many images are recovered at a time; all where left out.
        device: where they lie meanwhile, the model's; that of `degraded` where left out.
        patience: an image stops once the MSE between its successive iterates has stayed under `tolerance` so many times
            in a row, if not before all `inner_iterations`. Where left out all of them are done, as in the paper.

    Raises InputError for another model, an operator that is none or does not fit the images, and arguments out of
    range.
    """
    check_arguments(degraded, batch_size, device, inner_iterations=inner_iterations)
    check_gamma(gamma)
    check_tolerance(tolerance)
    _check_patience(patience)
    _check_operator(operator, degraded)
    noiseless = _noiseless(noise_std, degraded)[:, None, None, None]
    with as_prior(model) as f:
        if patience is None or inner_iterations == 1:
            found = _all_iterations(f, degraded, operator, gamma, inner_iterations, tolerance, batch_size, device)
        else:
            rule = StoppingRule(inner_iterations - 1, tolerance, patience)
            found = _until_calm(f, degraded, operator, gamma, rule, batch_size, device)
    for part in parts(len(degraded), batch_size):
        place = device or degraded.device
        x, y, exact = (tensor[part].to(place) for tensor in (found.images, degraded, noiseless))
        consistent = torch.where(exact, operator.part(part, place).consistent(x, y), x)  # (31)
        found.images[part] = consistent.to(degraded.device)
    return Recovery(found.images, operator.kept, found.status, torch.ones_like(found.iterations), found.iterations)


def _all_iterations(
    f: Network,
    y: Tensor,
    operator: Operator,
    gamma: float,
    inner_iterations: int,
    tolerance: float,
    batch_size: int | None,
    device: torch.device | str | None,
) -> Iterated:
    """Algorithm 1 as the paper has it. An image that leaves the finite numbers is what was given."""
    x, change = torch.empty_like(y), torch.empty(len(y), dtype=torch.float64, device=y.device)
    for part in parts(len(y), batch_size):
        place = device or y.device
        found, previous = solve_operator(f, y[part].to(place), operator.part(part, place), gamma, inner_iterations)
        x[part], change[part] = found.to(y.device), mse(found, previous).to(y.device)
    finite = x.flatten(1).isfinite().all(1)
    x = torch.where(finite[:, None, None, None], x, y)
    status = np.where((change < tolerance).cpu().numpy(), CONVERGED, MAX_ITERATIONS).astype(object)
    status[~finite.cpu().numpy()] = NON_FINITE
    return Iterated(x, (), status, torch.full((len(y),), inner_iterations - 1))


def _until_calm(
    f: Network,
    y: Tensor,
    operator: Operator,
    gamma: float,
    rule: StoppingRule,
    batch_size: int | None,
    device: torch.device | str | None,
) -> Iterated:
    """Algorithm 1 with a stopping rule for each image: after the first xi, each iteration is an application of f."""

    def step(rows: Tensor, y: Tensor, s: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        xi, s = advance_operator(f, y, s, operator.part(rows.cpu(), y.device), gamma)
        return xi, (rows, y, s)

    rows = torch.arange(len(y))
    first = operator.part(rows, y.device).nearest(y, torch.zeros_like(y), gamma)
    return iterate(step, first, (rows, y, first), rule, batch_size, device)


def _check_operator(operator: object, degraded: Tensor) -> None:
    """Raise InputError unless `operator` is one, and its masks, where it has such, are of the degraded images."""
    functions = ("forward", "nearest", "consistent", "part")
    if isinstance(operator, type) or not all(callable(getattr(operator, name, None)) for name in functions):
        raise InputError(
            f"operator {described(operator)} is none; give one such as degradations.Blur(std=1.0).operator(...)"
        )
    kept = getattr(operator, "kept", None)
    if kept is not None and kept.shape != degraded.shape:
        raise InputError(
            f"the operator has masks of {tuple(kept.shape)} and the images are {tuple(degraded.shape)}; "
            "make it for these images"
        )


def _check_patience(patience: int | None) -> None:
    if patience is not None:
        check_counts(patience=patience)


def _noiseless(noise_std: float | Sequence[float], degraded: Tensor) -> Tensor:
    """Which of the images (N,) are without noise."""
    try:
        std = torch.as_tensor(noise_std, device=degraded.device)
        fits = std.dtype != torch.bool and ((std >= 0) & std.isfinite()).all() and std.shape in ((), (len(degraded),))
    except (TypeError, ValueError, RuntimeError):
        std, fits = torch.empty(0), False
    if not fits:
        raise InputError(
            f"noise_std {described(noise_std)} is not a standard deviation, or one for each of the {len(degraded)} "
            "images; give finite numbers, 0 or more"
        )
    return torch.eq(std, 0).expand(len(degraded))


@dataclass(frozen=True)
class KnownOperator(Method):
    """Algorithm 1 as an object, for any known degradation that erases nothing; see `recover_known_operator`. `gamma` is
    the one that suits the network where left out; without `patience` all images have as many iterations."""

    name: ClassVar[str] = "known_operator"
    title: ClassVar[str] = "known operator"
    does: ClassVar[str] = "Algorithm 1, told the operator: a blur, or fewer pixels"
    rests_on: ClassVar[Basis] = Basis.NETWORK
    told: ClassVar[bool] = True
    other_form: ClassVar[str] = "known_mask"

    inner_iterations: int = 40
    tolerance: float = 1e-9
    gamma: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        check_counts(inner_iterations=self.inner_iterations)
        check_tolerance(self.tolerance)
        _check_patience(self.patience)
        if self.gamma is not None:
            check_gamma(self.gamma)

    @classmethod
    def accepts(cls, degradation: Degradation) -> bool:
        """Where pixels are missing, it is called `known_mask`."""
        return not degradation.erases

    def evaluations(self) -> int:
        return self.inner_iterations

    def recover(self, basis: Denoiser, problem: Problem) -> Recovery:
        return recover_known_operator(
            denoiser(basis).model,
            problem.degraded,
            problem.operator,
            self.gamma or basis.gamma,
            problem.noise_std,
            self.inner_iterations,
            self.tolerance,
            problem.batch_size,
            problem.device,
            self.patience,
        )


@dataclass(frozen=True)
class KnownMask(KnownOperator):
    """The same where pixels are missing: the reference of appendix E; see `recover_known_mask`."""

    name: ClassVar[str] = "known_mask"
    title: ClassVar[str] = "known mask"
    does: ClassVar[str] = "Algorithm 1, told the mask"
    other_form: ClassVar[str] = "known_operator"

    @classmethod
    def accepts(cls, degradation: Degradation) -> bool:
        return degradation.erases
