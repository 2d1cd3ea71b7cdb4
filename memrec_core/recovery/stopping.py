"""The outer loop that all iterative methods share, with a stopping rule for each image (appendix D.1)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memrec_core.arguments import check_counts
from memrec_core.metrics import mse
from memrec_core.recovery.arguments import check_tolerance
from memrec_core.recovery.result import CONVERGED, CYCLING, MAX_ITERATIONS, NON_FINITE


@dataclass(frozen=True)
class StoppingRule:
    """An image stops once the MSE between its successive estimates is under `tolerance` `patience` times in a row,
    or after `max_iterations` outer iterations. Raises InputError for numbers out of range."""

    max_iterations: int
    tolerance: float
    patience: int = 3

    def __post_init__(self) -> None:
        check_counts(max_iterations=self.max_iterations, patience=self.patience)
        check_tolerance(self.tolerance)


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
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    cycles: Callable[..., Tensor] | None = None,
) -> Iterated:
    """Call `step(*inputs) -> (estimates, next inputs)` until every image has stopped.

    Only images that still move are in the batch: one that has stopped leaves its place to one that waits, so that the
    batch stays full as long as any do. An image whose estimate is not finite stops too, and keeps its last finite one.

    Args:
        step: is given the inputs of those images that are in the batch.
        start: (N, C, H, W), the estimates before the first step.
        inputs: of the first step, tensors with N rows each.
        rule: when an image stops.
        batch_size: how many images the step sees at a time; all N where left out.
        device: where they lie then; where `start` lies where left out.
        cycles: says of the next inputs which images (K,) go round for good; they stop too. None do where left out.
    """
    batch = _Batch(start, inputs, rule, batch_size or len(start), device or start.device, cycles)
    while batch.places:
        batch.follow(*step(*batch.inputs))
    return Iterated(batch.last_estimates, batch.last_inputs, batch.status, batch.iterations)


class _Batch:
    """The images that still move, each at a place of the batch: `rows` says which of the N each is, and `estimates`,
    `inputs`, `counts` and `calm` are theirs, place by place. The row `next_row` has not been in the batch yet."""

    def __init__(
        self,
        start: Tensor,
        inputs: tuple[Tensor, ...],
        rule: StoppingRule,
        size: int,
        device: torch.device | str,
        cycles: Callable[..., Tensor] | None,
    ) -> None:
        self.first_estimates, self.first_inputs, self.rule, self.cycles = start, inputs, rule, cycles
        self.last_estimates, self.last_inputs = torch.empty_like(start), tuple(map(torch.empty_like, inputs))
        self.status = np.full(len(start), MAX_ITERATIONS, dtype=object)
        self.iterations = torch.zeros(len(start), dtype=torch.int64)
        self.next_row = min(size, len(start))
        self.rows = np.arange(self.next_row)
        self.estimates = start[: self.next_row].to(device, copy=True)
        self.inputs = tuple(tensor[: self.next_row].to(device, copy=True) for tensor in inputs)
        self.counts = np.zeros(self.next_row, dtype=np.int64)
        self.calm = torch.zeros(self.next_row, dtype=torch.int64, device=device)

    @property
    def places(self) -> int:
        return len(self.rows)

    def follow(self, estimate: Tensor, inputs: tuple[Tensor, ...]) -> None:
        """Take note of a step: which images stop with it, and who is in the batch for the next one."""
        change = mse(estimate, self.estimates)
        self.calm = torch.where(change < self.rule.tolerance, self.calm + 1, 0)
        cycling = torch.zeros_like(self.calm, dtype=torch.bool) if self.cycles is None else self.cycles(*inputs)
        # One transfer from the device for all that must be known here.
        known = torch.stack([self.calm >= self.rule.patience, change.isfinite(), cycling])
        calm, finite, cycling = known.cpu().numpy()
        self.counts += 1
        leaving = calm | ~finite | cycling | (self.counts == self.rule.max_iterations)
        if leaving.any():
            self._keep(leaving, finite, estimate, inputs)
            self.status[self.rows[cycling]] = CYCLING
            self.status[self.rows[calm]] = CONVERGED
            self.status[self.rows[~finite]] = NON_FINITE
            estimate, inputs = self._fill(np.flatnonzero(leaving), estimate, inputs)
        self.estimates, self.inputs = estimate, inputs

    def _keep(self, leaving: np.ndarray, finite: np.ndarray, estimate: Tensor, inputs: tuple[Tensor, ...]) -> None:
        """The last finite estimates, and the inputs that belong to them, of those that leave."""
        followed, failed = leaving & finite, leaving & ~finite
        for chosen, source, own in ((followed, estimate, inputs), (failed, self.estimates, self.inputs)):
            _put(self.last_estimates, self.rows[chosen], source[_index(np.flatnonzero(chosen), source)])
            for end, tensor in zip(self.last_inputs, own, strict=True):
                _put(end, self.rows[chosen], tensor[_index(np.flatnonzero(chosen), tensor)])
        self.iterations[torch.from_numpy(self.rows[leaving])] = torch.from_numpy(self.counts[leaving])

    def _fill(
        self, free: np.ndarray, estimate: Tensor, inputs: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Give the free places to images that wait, and those that are left over to the last ones in the batch. Copies
        nothing but what moves."""
        fresh = slice(self.next_row, self.next_row + len(free))
        count = len(self.first_estimates[fresh])
        self.next_row += count
        taken, holes = free[:count], free[count:]
        end = self.places - len(holes)
        movers = np.setdiff1d(np.arange(end, self.places), holes)
        holes = holes[holes < end]
        tensors = (estimate, *inputs)
        for tensor, source in zip(tensors, (self.first_estimates, *self.first_inputs), strict=True):
            _put(tensor, taken, source[fresh])
            _put(tensor, holes, tensor[_index(movers, tensor)])
        self.rows[taken], self.counts[taken], self.calm[taken] = np.arange(fresh.start, fresh.start + count), 0, 0
        for own in (self.rows, self.counts):
            own[holes] = own[movers]
        self.calm[holes] = self.calm[movers]
        self.rows, self.counts, self.calm = self.rows[:end], self.counts[:end], self.calm[:end]
        return estimate[:end], tuple(tensor[:end] for tensor in inputs)


def _index(places: np.ndarray, tensor: Tensor) -> Tensor:
    return torch.from_numpy(places).to(tensor.device)


def _put(target: Tensor, places: np.ndarray, values: Tensor) -> None:
    """target[places] = values, wherever the two lie."""
    target[_index(places, target)] = values.to(target.device)
