"""Generic inpainting with a diffusion model: the Denoising Diffusion Null-space Model (Wang, Yu & Zhang, 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from memrec_core.arguments import check_counts, check_number, check_seed, described, ids_of, masks_of
from memrec_core.degradations import Degradation
from memrec_core.diffusion_prior import DiffusionPrior
from memrec_core.errors import InputError
from memrec_core.network import evaluating
from memrec_core.precision import full_float32
from memrec_core.recovery.arguments import check_arguments, parts
from memrec_core.recovery.method import Basis, Method, Problem, mask_of
from memrec_core.recovery.result import CONVERGED, NON_FINITE, Recovery
from memrec_core.seeding import generator


@dataclass(frozen=True)
class Ddnm(Method):
    """The method as an object; see `recover_ddnm`.

    `prior` is the diffusion model: a folder in diffusers' layout, the name of a shipped one, or of one on the Hugging
    Face hub. `may_have_seen` tells readers whether it may have been trained on the audited images.
    """

    name: ClassVar[str] = "ddnm"
    title: ClassVar[str] = "DDNM"
    does: ClassVar[str] = "inpaints with a diffusion model, told the mask; without the autoencoder"
    rests_on: ClassVar[Basis] = Basis.PRIOR
    told: ClassVar[bool] = True

    prior: str
    may_have_seen: str = "not stated"
    steps: int = 100
    eta: float = 0.85

    def __post_init__(self) -> None:
        if not self.prior:
            raise InputError("prior is empty; give the folder of a diffusion model; see README.md")
        check_counts(steps=self.steps)
        _check_eta(self.eta)

    @classmethod
    def accepts(cls, degradation: Degradation) -> bool:
        """It fills what is missing."""
        return degradation.erases

    def check(self, basis: DiffusionPrior) -> None:
        _check_steps(self.steps, basis)

    def evaluations(self) -> int:
        return self.steps

    def recover(self, basis: DiffusionPrior, problem: Problem) -> Recovery:
        return recover_ddnm(
            basis,
            problem.degraded,
            mask_of(problem),
            problem.ids,
            problem.seed,
            self.steps,
            self.eta,
            problem.batch_size,
            problem.device,
            problem.repeats,
        )


@torch.no_grad()
@full_float32()
def recover_ddnm(
    prior: DiffusionPrior,
    degraded: Tensor,
    mask: Tensor,
    ids: Sequence[str] | None = None,
    seed: int = 42,
    steps: int = 100,
    eta: float = 0.85,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    repeats: int = 1,
) -> Recovery:
    """Fill the missing pixels with what a diffusion model expects there, given the kept ones.

    With data in [-1, 1] and abar the cumulative product of 1 - beta, each step goes from time t to the next time s:
        x0  = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t)
        xh  = m y + (1 - m) x0
        x_s = sqrt(abar_s) xh + sqrt(1 - abar_s) (eta z + sqrt(1 - eta^2) eps)
    and the last one returns xh; this eta is not that of DDIM. Images smaller than the prior's are enlarged by repeating
    pixels, and averaged back.

    Args:
        prior: what `diffusion_prior.load` returns.
        degraded: (N, C, H, W) float32 or float64, of the pixel range [0, 1].
        mask: (C, H, W) or (N, C, H, W): 1 kept, 0 missing.
        ids: the images' names, which the noise depends on, so that neither batch nor order matters; as for
            `recover_unknown_mask`.
        seed: of the noise, from 0 on.
        steps: at most the prior's own number, 1,000 as a rule.
        eta: how much of the noise is fresh, in [0, 1].
        batch_size: how many images are side by side; all where left out.
        device: where they lie then, the prior's; that of `degraded` where left out.
        repeats: how many times the batch holds the same images.

    Raises InputError where the prior's size is no multiple of the images', the mask is of another size or not of zeros
    and ones, or an argument is out of range.
    """
    _check(prior, degraded, seed, steps, eta, batch_size, device)
    theta = masks_of(mask, degraded)
    factor = prior.enlargement(tuple(degraded.shape[1:]))
    random = [generator(seed, "ddnm", id_) for id_ in ids_of(ids, len(degraded), repeats)]
    times = torch.linspace(len(prior.abar) - 1, 0, steps).round().long().tolist()
    found = torch.empty_like(degraded)
    for part in parts(len(degraded), batch_size):
        y, m = (prior.enlarge(tensor[part].to(device or tensor.device)) for tensor in (2 * degraded - 1, theta))
        with evaluating(prior.model):
            sampled = _sample(prior, y, m, times, eta, [random[i] for i in part.tolist()])
        found[part] = ((functional.avg_pool2d(sampled, factor) + 1) / 2).to(found.device)
    found = torch.where(theta > 0, degraded, found)
    finite = found.flatten(1).isfinite().all(1)
    status = np.where(finite.cpu().numpy(), CONVERGED, NON_FINITE).astype(object)
    found = torch.where(finite[:, None, None, None], found, degraded)
    return Recovery(found, theta, status, *(torch.full((len(degraded),), steps) for _ in range(2)))


def _check(
    prior: DiffusionPrior,
    degraded: Tensor,
    seed: int,
    steps: int,
    eta: float,
    batch_size: int | None,
    device: torch.device | str | None,
) -> None:
    if not isinstance(prior, DiffusionPrior):
        raise InputError(f"ddnm needs a prior from diffusion_prior.load, not {described(prior)}")
    check_arguments(degraded, batch_size, device, steps=steps)
    check_seed(seed)
    _check_eta(eta)
    _check_steps(steps, prior)


def _check_steps(steps: int, prior: DiffusionPrior) -> None:
    if steps > len(prior.abar):
        raise InputError(f"ddnm takes at most the prior's {len(prior.abar)} steps, not {steps}")


def _check_eta(eta: float) -> None:
    check_number("eta", eta, "a number in [0, 1]", lambda value: 0 <= value <= 1)


def _sample(
    prior: DiffusionPrior, y: Tensor, m: Tensor, times: list[int], eta: float, random: Sequence[torch.Generator]
) -> Tensor:
    """The last xh, for the data `y` and the masks `m` in the prior's size and range."""
    x = _noise(random, y)
    for t, s in zip(times, [*times[1:], None], strict=True):
        eps, abar = prior.noise(x, t), prior.abar[t]
        xh = torch.where(m > 0, y, (x - (1 - abar).sqrt() * eps) / abar.sqrt())
        if s is not None:
            fresh = eta * _noise(random, y) + (1 - eta**2) ** 0.5 * eps
            x = prior.abar[s].sqrt() * xh + (1 - prior.abar[s]).sqrt() * fresh
    return xh


def _noise(random: Sequence[torch.Generator], like: Tensor) -> Tensor:
    return torch.stack([torch.randn(like.shape[1:], generator=source) for source in random]).to(like)
