"""How many recoveries a work unit holds, and how many are side by side: by what they were measured to cost."""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from memrec_core import autoencoders, degradations, diffusion_prior, recovery
from memrec_core.precision import full_float32
from workflows.experiment.written import Experiment
from workflows.job.cluster import Audits, Cluster
from workflows.job.tasks import start, wait_for
from workflows.job.worker import device, is_out_of_memory
from workflows.methods import GENERIC, METHODS
from workflows.run.audit_set import AuditSet
from workflows.run.plan import Kind, Size, Sizes

UNIT_SECONDS = 120.0
UNITS_PER_ACTOR = 4
"""So that the actors end at about the same time."""
UNIT_BYTES, UNIT_BATCHES = 16 * 2**20, 2
"""The pixels of a unit take so many bytes in float32 at the most, or so many batches where that is more: an actor holds
them about ten times, as images, masks and estimates."""
USUAL_ITERATIONS = 20
"""Outer iterations of the unknown-mask method that an image is taken to need, at most."""
USUAL_BATCH, SMALLEST_BATCH, LARGEST_BATCH = 512, 32, 4096
WORTHWHILE = 1.03
"""A batch is doubled as long as that gives so many times as many images a second."""


class Cost(NamedTuple):
    """The seconds that a recovery takes, and the batch in which it does."""

    seconds: float
    batch_size: int


def unit_sizes(experiment: Experiment, images: dict[str, int], cluster: Cluster, audits: Audits) -> Sizes:
    """The sizes of the units of a run whose data sets have so many `images`: the experiment's, or else from a
    measurement on the cluster, each network on a device as an actor has it."""
    if experiment.images_per_unit is not None:
        return lambda kind: Size(experiment.images_per_unit, USUAL_BATCH)
    wanted = [(model.data, model.label) for model in experiment.models]
    if any(METHODS[method].generic for method in experiment.methods):
        wanted += [(data.label, GENERIC) for data in experiment.data]
    tasks = []
    for data, label in wanted:
        what = f"measuring what a recovery costs ({label}, data set {data})"
        work = partial(measure, experiment, label, cluster.threads)
        tasks.append(start(what, work, audits[data], **cluster.actor_resources()))
    measured = wait_for(tasks)
    costs = {
        (*place, method): cost
        for place, of_place in zip(wanted, measured, strict=True)
        for method, cost in of_place.items()
    }
    return sizes_of(costs, images, experiment, cluster.wanted_actors()).__getitem__


def sizes_of(costs: dict[Kind, Cost], images: dict[str, int], experiment: Experiment, actors: int) -> dict[Kind, Size]:
    """Units of UNIT_SECONDS; smaller ones where an actor's memory asks for it, or there would not be enough for the
    `actors`. `images` is how many each data set has."""
    labels = [degradation.label for degradation in experiment.degradations]
    sizes = {}
    for kind, cost in costs.items():
        pixel_bytes = 4 * math.prod(experiment.data_set(kind[0]).image_shape)
        in_memory = max(UNIT_BYTES // pixel_bytes, UNIT_BATCHES * cost.batch_size)
        sizes[kind] = min(max(int(UNIT_SECONDS / cost.seconds), 1), in_memory, images[kind[0]] * len(labels))
    units = 0.0
    for (data_set, model, _), size in sizes.items():
        checkpoints = 1 if model == GENERIC else len(experiment.training.targets)
        units += images[data_set] * len(labels) / size * checkpoints
    wanted = UNITS_PER_ACTOR * actors
    if units < wanted:
        sizes = {kind: max(int(size * units / wanted), 1) for kind, size in sizes.items()}
    return {kind: Size(size, costs[kind].batch_size) for kind, size in sizes.items()}


def measure(
    experiment: Experiment,
    model: str,
    threads: int,
    audit: AuditSet,
    on: str | None = None,
    within_s: float = math.inf,
) -> dict[str, Cost]:
    """What a recovery costs by each method that uses `model`, on this worker's device unless it is said; the weights
    don't matter to that. After `within_s` seconds no larger batch is tried."""
    torch.set_num_threads(threads)
    images = audit.images(slice(0, min(len(audit), SMALLEST_BATCH)), on or device())
    if model == GENERIC:
        return _generic_costs(experiment, images, within_s)
    described = next(entry for entry in experiment.models if entry.label == model)
    network = autoencoders.build(described.architecture, tuple(images.shape[1:]), **described.options).to(images.device)
    settings = experiment.recovery
    applications = {
        "unknown_mask": settings.inner_iterations * min(settings.max_iterations, USUAL_ITERATIONS),
        "known_mask": settings.inner_iterations,
        "autoencoder_iterations": settings.max_autoencoder_iterations,
    }
    one = best_batch(network, images, within_s)
    return {
        method: Cost(count * one.seconds, one.batch_size)
        for method, count in applications.items()
        if method in experiment.methods
    }


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
            return best
    return best


def _generic_costs(experiment: Experiment, images: Tensor, within_s: float) -> dict[str, Cost]:
    costs = {}
    if "ddnm" in experiment.methods:
        prior = diffusion_prior.load(experiment.ddnm.source).to(images.device)
        one = best_batch(lambda batch: prior.noise(batch, 0), prior.enlarge(images), within_s)
        costs["ddnm"] = Cost(experiment.ddnm.steps * one.seconds, one.batch_size)
    if "biharmonic" in experiment.methods:
        mask = degradations.mask(experiment.degradations[0].mask, tuple(images.shape[1:]), experiment.seed)
        one = degradations.degrade(images[:1].cpu(), mask)
        costs["biharmonic"] = Cost(_seconds(lambda: recovery.inpaint_biharmonic(one, mask)), USUAL_BATCH)
    return costs


@torch.no_grad()
@full_float32()
def _seconds(work: Callable[[], Any], times: int = 3) -> float:
    """The shortest of a few times that `work` takes, after a first one that does not count."""
    taken = []
    for _ in range(times + 1):
        began = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return min(taken[1:])
