"""What a recovery costs, as measured for seconds: the sizes of units and the time of a run follow from it."""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from memrec_core import attractors, diffusion_prior
from memrec_core.degradations import shape_of
from memrec_core.device import is_out_of_memory
from memrec_core.precision import full_float32
from memrec_core.recovery import Problem
from workflows.experiment.methods import MethodEntry, source_of
from workflows.experiment.models import GENERIC
from workflows.experiment.resolved import Experiment
from workflows.run.audit_set import AuditSet

USUAL_BATCH, SMALLEST_BATCH, LARGEST_BATCH = 512, 32, 4096
WORTHWHILE = 1.03
"""A batch is doubled as long as that gives so many times as many images a second."""


class Cost(NamedTuple):
    """The seconds that a recovery takes, and the batch in which it does."""

    seconds: float
    batch_size: int


def measured_places(experiment: Experiment) -> list[tuple[str, str]]:
    """The data sets and models of all kinds of units: `generic` stands for the methods without a network."""
    places = [(model.data, model.label) for model in experiment.models]
    if experiment.generic:
        places += [(data.label, GENERIC) for data in experiment.data]
    return places


def measure(
    experiment: Experiment, model: str, audit: AuditSet, device: str, within_s: float = math.inf
) -> dict[str, Cost]:
    """What a recovery costs by each method that uses a model, by the methods' labels.

    Args:
        experiment: with the methods and the model.
        model: a model's label, or `generic`; the weights don't matter to the cost.
        audit: the images that it is asked of.
        device: cpu or cuda.
        within_s: after so many seconds no larger batch is tried.
    """
    images = audit.images(slice(0, min(len(audit), SMALLEST_BATCH)), device)
    if model == GENERIC:
        return {entry.label: _generic_cost(experiment, entry, images, within_s) for entry in experiment.generic}
    network = experiment.model(model).example(audit.image_shape).to(images.device)
    one = best_batch(network, images, within_s)
    costs = {}
    for entry in experiment.networked:
        seconds = one.seconds + (_operator_seconds(experiment, entry, images) if entry.method.told else 0.0)
        figures = attractors.EVALUATIONS if entry.label == experiment.attractors else 0
        costs[entry.label] = _times(entry.method.evaluations() + figures, Cost(seconds, one.batch_size))
    return costs


def best_batch(network: Callable[[Tensor], Tensor], images: Tensor, within_s: float = math.inf) -> Cost:
    """What an application of `network` costs an image, in a batch that is doubled until that gains too little, the next
    one does not fit the device's memory, or the time is up. Raises the device's error where a batch of one does not
    fit."""
    best, began = None, time.perf_counter()
    size = SMALLEST_BATCH
    while size <= LARGEST_BATCH:
        batch = images.repeat(-(-size // len(images)), 1, 1, 1)[:size]
        try:
            seconds = _seconds(partial(network, batch)) / size
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or size == 1:
                raise
            if best is not None:
                return best
            size //= 2
            continue
        if best is not None and seconds * WORTHWHILE > best.seconds:
            return best
        best, size = Cost(seconds, size), 2 * size
        if time.perf_counter() - began > within_s:
            break
    assert best is not None  # a first batch was measured, or its error raised
    return best


def _generic_cost(experiment: Experiment, entry: MethodEntry, images: Tensor, within_s: float) -> Cost:
    if entry.prior:
        prior = diffusion_prior.load(source_of(entry.prior)).to(images.device)
        one = best_batch(lambda batch: prior.noise(batch, 0), prior.enlarge(images), within_s)
        return _times(entry.method.evaluations(), one)
    ids, degradation = ["0"], experiment.under(entry.label)[0]
    image = images[:1].cpu()
    problem = Problem(
        degraded=degradation.degrade(image, ids, experiment.seed, images),
        operator=degradation.operator(shape_of(image), ids, experiment.seed),
        noise_std=[degradation.noise_std],
        ids=ids,
    )
    return Cost(_seconds(lambda: entry.method.recover(None, problem)), USUAL_BATCH)


def _operator_seconds(experiment: Experiment, entry: MethodEntry, images: Tensor) -> float:
    """What solving (12) costs an image under the slowest degradation; nothing where entries are erased, for which it is
    a part of the recovery's own steps."""
    ids, slowest = [str(place) for place in range(len(images))], 0.0
    for degradation in experiment.under(entry.label):
        if not degradation.erases:
            operator = degradation.operator(shape_of(images), ids, experiment.seed)
            operator = operator.part(torch.arange(len(images)), images.device)
            slowest = max(slowest, _seconds(partial(operator.nearest, images, images, 1.0), times=1))
    return slowest / len(images)


def _times(evaluations: int, one: Cost) -> Cost:
    return Cost(evaluations * one.seconds, one.batch_size)


@torch.no_grad()
@full_float32()
def _seconds(work: Callable[[], Any], times: int = 3) -> float:
    """The shortest of a few times that `work` takes, after a first one that does not count."""
    taken = []
    for _ in range(times + 1):
        began = time.perf_counter()
        work()
        if torch.cuda.is_initialized():  # not by a process that measures a CPU, which leaves the GPUs alone
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return min(taken[1:])
