"""The reference that knows the true mask (appendix E), or any other known degradation operator."""

import warnings
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
from memrec_core.recovery.admm import solve_operator
from memrec_core.recovery.arguments import check_arguments, check_gamma, check_tolerance, parts
from memrec_core.recovery.method import Basis, Denoiser, Method, Problem, denoiser
from memrec_core.recovery.result import CONVERGED, MAX_ITERATIONS, NON_FINITE, Recovery


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
    iterations: int | None = None,
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
        iterations: an older name of `inner_iterations`.

    Raises InputError as `recover_unknown_mask` does, and for a mask of another size or not of zeros and ones.
    """
    if iterations is not None:
        warnings.warn("recover_known_mask: iterations is inner_iterations now", DeprecationWarning, stacklevel=4)
        inner_iterations = iterations
    check_arguments(degraded, batch_size, device, inner_iterations=inner_iterations)
    check_gamma(gamma)
    check_tolerance(tolerance)
    operator = Masking(masks_of(mask, degraded))
    return recover_known_operator(
        model, degraded, operator, gamma, noise_std, inner_iterations, tolerance, batch_size, device
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

    Raises InputError for another model, an operator that is none or does not fit the images, and arguments out of
    range.
    """
    check_arguments(degraded, batch_size, device, inner_iterations=inner_iterations)
    check_gamma(gamma)
    check_tolerance(tolerance)
    _check_operator(operator, degraded)
    noiseless = _noiseless(noise_std, degraded)
    x, change = torch.empty_like(degraded), torch.empty(len(degraded), dtype=torch.float64, device=degraded.device)
    finite = torch.empty_like(noiseless)
    with as_prior(model) as f:
        for part in parts(len(degraded), batch_size):
            place = device or degraded.device
            own, y = operator.part(part, place), degraded[part].to(place)
            found, previous = solve_operator(f, y, own, gamma, inner_iterations)
            change[part] = mse(found, previous).to(x.device)
            whole = found.flatten(1).isfinite().all(1)
            found = torch.where(whole[:, None, None, None], found, y)
            exact = noiseless[part].to(place)[:, None, None, None]
            x[part] = torch.where(exact, own.consistent(found, y), found).to(x.device)  # (31)
            finite[part] = whole.to(x.device)
    status = np.where((change < tolerance).cpu().numpy(), CONVERGED, MAX_ITERATIONS).astype(object)
    status[~finite.cpu().numpy()] = NON_FINITE
    count = torch.full((len(degraded),), inner_iterations - 1)
    return Recovery(x, operator.kept, status, torch.ones_like(count), count)


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
    the one that suits the network where left out."""

    name: ClassVar[str] = "known_operator"
    title: ClassVar[str] = "known operator"
    does: ClassVar[str] = "Algorithm 1, told the operator: a blur, or fewer pixels"
    rests_on: ClassVar[Basis] = Basis.NETWORK
    told: ClassVar[bool] = True
    other_form: ClassVar[str] = "known_mask"

    inner_iterations: int = 40
    tolerance: float = 1e-9
    gamma: float | None = None

    def __post_init__(self) -> None:
        check_counts(inner_iterations=self.inner_iterations)
        check_tolerance(self.tolerance)
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
