"""The outer loop that all iterative methods share, with a stopping rule for each image (appendix D.1)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memrec_core.metrics import mse
from memrec_core.recovery.result import CONVERGED, MAX_ITERATIONS, NON_FINITE


@dataclass(frozen=True)
class StoppingRule:
    """An image stops once the MSE between its successive estimates is under `tolerance` `patience` times in a row,
    or after `max_iterations` outer iterations."""

    max_iterations: int
    tolerance: float
    patience: int = 3


@dataclass(frozen=True)
class Iterated:
    """Where each of N images ended: its last estimate, its last inputs to the step, its status and its iterations."""

    images: Tensor
    inputs: tuple[Tensor, ...]
    status: np.ndarray
    iterations: Tensor


def iterate(
    step: Callable[..., tuple[Tensor, tuple[Tensor, ...]]],
    start: Tensor,
    inputs: tuple[Tensor, ...],
    rule: StoppingRule,
) -> Iterated:
    """Call `step(*inputs) -> (estimates, next inputs)` until every image has stopped.

    `start` (N, C, H, W) is the estimate before the first step, `inputs` are tensors with N rows each. An image that has
    stopped leaves the batch, so the step only ever sees images that still move. One whose estimate is not finite
    stops too, and keeps its last finite estimate.
    """
    images, ends = start.clone(), tuple(tensor.clone() for tensor in inputs)
    status = np.full(len(start), MAX_ITERATIONS, dtype=object)
    iterations = torch.zeros(len(start), dtype=torch.int64)
    active = torch.arange(len(start), device=start.device)
    previous, calm = start, torch.zeros(len(start), dtype=torch.int64, device=start.device)
    for count in range(1, rule.max_iterations + 1):
        if not len(active):
            break
        estimate, inputs = step(*inputs)
        change = mse(estimate, previous)
        finite = change.isfinite()
        calm = torch.where(change < rule.tolerance, calm + 1, 0)
        stopped = (calm >= rule.patience) | ~finite
        iterations[active.cpu()] = count
        if count == rule.max_iterations or stopped.any():
            leaving = stopped | (count == rule.max_iterations)
            rows = active[leaving]
            images[rows] = torch.where(finite[leaving, None, None, None], estimate[leaving], previous[leaving])
            for end, tensor in zip(ends, inputs, strict=True):
                end[rows] = tensor[leaving]
            status[active[calm >= rule.patience].cpu().numpy()] = CONVERGED
            status[active[~finite].cpu().numpy()] = NON_FINITE
            staying = ~leaving
            active, calm, estimate = active[staying], calm[staying], estimate[staying]
            inputs = tuple(tensor[staying] for tensor in inputs)
        previous = estimate
    return Iterated(images, ends, status, iterations)
