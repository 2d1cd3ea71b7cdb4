"""How many images a work unit holds: minutes of work, by what an image was measured to cost."""

import math
import time
from collections.abc import Callable
from typing import Any

import ray
import torch

from memrec_core import autoencoders, degradations, diffusion_prior, recovery
from memrec_core.precision import full_float32
from workflows.audit_set import AuditSet
from workflows.experiment import GENERIC, GENERIC_METHODS, Experiment
from workflows.job.cluster import Audits, Cluster, wait_for
from workflows.job.worker import device
from workflows.plan import Kind, Sizes

UNIT_SECONDS = 120.0
UNITS_PER_ACTOR = 4
"""So that the actors end at about the same time."""
USUAL_ITERATIONS = 20
"""Outer iterations of the unknown-mask method that an image is taken to need, at most."""

MEASURED_IMAGES = 64


def unit_sizes(experiment: Experiment, images: dict[str, int], cluster: Cluster, audits: Audits) -> Sizes:
    """The sizes of the units of a run whose data sets have so many `images`: the experiment's, or else from a
    measurement on the cluster, each network on a device as an actor has it."""
    if experiment.images_per_unit is not None:
        return lambda kind: experiment.images_per_unit
    task = ray.remote(measure).options(**cluster.actor_resources(), max_retries=5)
    wanted = [(model.data, model.label) for model in experiment.models]
    if set(experiment.methods) & set(GENERIC_METHODS):
        wanted += [(data.label, GENERIC) for data in experiment.data]
    measured = wait_for([task.remote(experiment, label, audits[data], cluster.threads) for data, label in wanted])
    costs = {
        (*place, method): cost
        for place, of_place in zip(wanted, measured, strict=True)
        for method, cost in of_place.items()
    }
    sizes = sizes_of(costs, images, _repeats(experiment), cluster.wanted_actors())
    return sizes.__getitem__


def sizes_of(
    costs: dict[Kind, float], images: dict[str, int], repeats: Callable[[str], int], actors: int
) -> dict[Kind, int]:
    """Units of UNIT_SECONDS; smaller ones where there would not be enough for the `actors`.

    `costs` are the seconds an image takes, `images` how many each data set has. `repeats` tells for a method how often
    a kind with it comes back in a plan: for each degradation, and for each checkpoint.
    """
    sizes = {kind: min(max(int(UNIT_SECONDS / cost), 1), images[kind[0]]) for kind, cost in costs.items()}
    units = sum(math.ceil(images[data] / size) * repeats(method) for (data, _, method), size in sizes.items())
    wanted = UNITS_PER_ACTOR * actors
    if units < wanted:
        sizes = {kind: max(size * units // wanted, 1) for kind, size in sizes.items()}
    return sizes


def measure(experiment: Experiment, model: str, audit: AuditSet, threads: int) -> dict[str, float]:
    """The seconds that an image takes by each method that uses `model`; the weights don't matter to that."""
    torch.set_num_threads(threads)
    images = audit.images(slice(0, min(len(audit), MEASURED_IMAGES)), device())
    if model == GENERIC:
        return _generic_costs(experiment, images)
    described = next(entry for entry in experiment.models if entry.label == model)
    network = autoencoders.build(described.architecture, tuple(images.shape[1:]), **described.options).to(images.device)
    settings = experiment.recovery
    applications = {
        "unknown_mask": settings.inner_iterations * min(settings.max_iterations, USUAL_ITERATIONS),
        "known_mask": settings.inner_iterations,
        "autoencoder_iterations": settings.max_autoencoder_iterations,
    }
    application = _seconds(lambda: network(images)) / len(images)
    return {method: count * application for method, count in applications.items() if method in experiment.methods}


def _generic_costs(experiment: Experiment, images: torch.Tensor) -> dict[str, float]:
    costs = {}
    if "ddnm" in experiment.methods:
        prior = diffusion_prior.load(experiment.ddnm.source).to(images.device)
        factor = prior.enlargement(tuple(images.shape[1:]))
        batch = images[:16].repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        costs["ddnm"] = experiment.ddnm.steps * _seconds(lambda: prior.noise(batch, 0)) / len(batch)
    if "biharmonic" in experiment.methods:
        mask = degradations.mask(experiment.degradations[0].mask, tuple(images.shape[1:]), experiment.seed)
        one = degradations.degrade(images[:1].cpu(), mask)
        costs["biharmonic"] = _seconds(lambda: recovery.inpaint_biharmonic(one, mask))
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


def _repeats(experiment: Experiment) -> Callable[[str], int]:
    checkpoints = len(experiment.training.targets)
    return lambda method: len(experiment.degradations) * (1 if method in GENERIC_METHODS else checkpoints)
