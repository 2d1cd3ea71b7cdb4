"""The method of earlier work: nothing but the autoencoder, applied again and again (Radhakrishnan et al., 2020)."""

from collections.abc import Callable

import torch
from torch import Tensor

from memrec_core.arguments import check_called
from memrec_core.network import Network, as_prior
from memrec_core.precision import full_float32
from memrec_core.recovery.arguments import check_arguments
from memrec_core.recovery.result import Recovery
from memrec_core.recovery.stopping import StoppingRule, iterate


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
    """Apply x = f(x) from x = `degraded` (N, C, H, W) until each image has come to rest.

    The tolerance on the MSE between successive iterates is stricter than the unknown-mask method's 1e-9: these
    iterations approach a training image slowly, and at 1e-9 most stop short of the accurate threshold, which would
    count against the rival. `mask` of the result is None: the method has no notion of one. `on_iteration` is called
    with the images of each iteration that are in the batch; clone what is to be kept. `model`, `batch_size`,
    `device` and the errors are as for `recover_unknown_mask`.
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
