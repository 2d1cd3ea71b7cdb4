"""The method of earlier work: nothing but the autoencoder, applied again and again (Radhakrishnan et al., 2020)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from memrec_core.arguments import check_called, check_flag
from memrec_core.network import Network, as_prior
from memrec_core.precision import full_float32
from memrec_core.recovery.arguments import check_arguments
from memrec_core.recovery.cycles import Orbits
from memrec_core.recovery.method import Basis, Denoiser, Method, Problem, denoiser
from memrec_core.recovery.result import Recovery
from memrec_core.recovery.stopping import StoppingRule, iterate
from memrec_core.settings import BEFORE, SHARED

USUAL_ITERATIONS = 400
"""Applications that an image takes on average, at most: 260 to 570 on fc10 down the demo's ladder."""


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
    stop_cycles: bool = field(default=True, metadata={BEFORE: False})

    def __post_init__(self) -> None:
        StoppingRule(self.max_iterations, self.tolerance, self.patience)
        check_flag("stop_cycles", self.stop_cycles)

    def evaluations(self) -> int:
        return min(self.max_iterations, USUAL_ITERATIONS)

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
            stop_cycles=self.stop_cycles,
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
    stop_cycles: bool = True,
) -> Recovery:
    """Apply x = f(x) from x = `degraded` until each image has come to rest, or goes round a cycle.

    An image whose iterates cycle, or go round on a closed curve, never rests. It stops as soon as that is noticed, at
    the point of its orbit where the cap would find it, and has the status `cycling`. Images that move on slowly, some
    of which come to rest at last, go on as far as the cap.

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
        stop_cycles: whether an image that cycles stops; with False it goes on to `max_iterations`. `cycles.py` tells
            how it is noticed.

    Raises InputError as `recover_unknown_mask` does.
    """
    check_arguments(degraded, batch_size, device)
    check_called(on_iteration=on_iteration)
    check_flag("stop_cycles", stop_cycles)
    rule = StoppingRule(max_iterations, tolerance, patience)

    def step(x: Tensor, *orbits: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        estimate = f(x).clone()  # what f returned may be its input, or a tensor that it keeps
        if on_iteration is not None:
            on_iteration(estimate)
        return estimate, (estimate, *(Orbits(*orbits).after(estimate, max_iterations, tolerance) if orbits else ()))

    watched = Orbits.at(degraded) if stop_cycles else ()
    cycles = (lambda _, *orbits: Orbits(*orbits).ended) if stop_cycles else None
    with as_prior(model) as f:
        end = iterate(step, degraded, (degraded, *watched), rule, batch_size, device, cycles)
    return Recovery(end.images, None, end.status, end.iterations, end.iterations)
