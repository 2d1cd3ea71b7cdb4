"""The method of earlier work: nothing but the autoencoder, applied again and again (Radhakrishnan et al., 2020)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from memrec_core.arguments import check_called
from memrec_core.network import Network, as_prior
from memrec_core.precision import full_float32
from memrec_core.recovery.arguments import check_arguments
from memrec_core.recovery.method import SHARED, Basis, Denoiser, Method, Problem, denoiser
from memrec_core.recovery.result import Recovery
from memrec_core.recovery.stopping import StoppingRule, iterate


@dataclass(frozen=True)
class AutoencoderIterations(Method):
    """The method as an object; see `iterate_autoencoder`."""

    name: ClassVar[str] = "autoencoder_iterations"
    title: ClassVar[str] = "AE iterations"
    does: ClassVar[str] = "applies the autoencoder again and again"
    rests_on: ClassVar[Basis] = Basis.NETWORK
    told: ClassVar[bool] = False

    max_iterations: int = field(default=1000, metadata={SHARED: "max_autoencoder_iterations"})
    tolerance: float = 1e-12
    patience: int = 3

    def __post_init__(self) -> None:
        StoppingRule(self.max_iterations, self.tolerance, self.patience)

    def evaluations(self) -> int:
        return self.max_iterations

    def recover(self, basis: Denoiser, problem: Problem) -> Recovery:
        told = problem.on_iteration
        return iterate_autoencoder(
            denoiser(basis).model,
            problem.degraded,
            self.max_iterations,
            self.tolerance,
            self.patience,
            on_iteration=None if told is None else lambda images: told(images, None),
            batch_size=problem.batch_size,
            device=problem.device,
        )


@torch.no_grad()
@full_float32()
def iterate_autoencoder(
    model: Network,
    degraded: Tensor,
    max_iterations: int = 1000,
    tolerance: float = 1e-12,
    patience: int = 3,
    on_iteration: Callable[[Tensor], None] | None = None,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
) -> Recovery:
    """Apply x = f(x) from x = `degraded` until each image has come to rest.

    `mask` of the result is None: the method has no notion of one.

    Args:
        model: as for `recover_unknown_mask`.
        degraded: (N, C, H, W) float32 or float64, of the pixel range [0, 1] but for noise.
        max_iterations: the most applications.
        tolerance: on the MSE between successive iterates. It is stricter than the unknown-mask method's 1e-9: these
            iterations approach a training image slowly, and at 1e-9 most stop short of the accurate threshold, which
            would count against the rival.
        patience: for how many iterations in a row the change must be under it.
        on_iteration: called with the images of each iteration that are in the batch; clone what is to be kept.
        batch_size: how many images are in the batch at a time; all where left out.
        device: where they lie for that time, the model's; where `degraded` lies where left out.

    Raises InputError as `recover_unknown_mask` does.
    """
    check_arguments(degraded, batch_size, device)
    check_called(on_iteration=on_iteration)
    rule = StoppingRule(max_iterations, tolerance, patience)

    def step(x: Tensor) -> tuple[Tensor, tuple[Tensor]]:
        estimate = f(x).clone()  # what f returned may be its input, or a tensor that it keeps
        if on_iteration is not None:
            on_iteration(estimate)
        return estimate, (estimate,)

    with as_prior(model) as f:
        end = iterate(step, degraded, (degraded,), rule, batch_size, device)
    return Recovery(end.images, None, end.status, end.iterations, end.iterations)
