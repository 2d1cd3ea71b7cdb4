"""How many recoveries a work unit holds, and how many are side by side: by what they were measured to cost."""

import math
from collections.abc import Sequence
from functools import partial

import torch

from workflows.experiment.models import GENERIC
from workflows.experiment.resolved import Experiment
from workflows.job.cluster import Audits, Cluster
from workflows.job.tasks import start, wait_for
from workflows.job.worker import device
from workflows.run.audit_set import AuditSet
from workflows.run.planning import Size
from workflows.run.unit import Kind
from workflows.work.measure import USUAL_BATCH, Cost, measure

UNIT_SECONDS = 120.0
UNITS_PER_ACTOR = 4
"""So that the actors end at about the same time."""
UNIT_BYTES, UNIT_BATCHES = 16 * 2**20, 2
"""The pixels of a unit take so many bytes in float32 at the most, or so many batches where that is more: an actor holds
them about ten times, as images, masks and estimates."""


def unit_sizes(
    experiment: Experiment, kinds: Sequence[Kind], images: dict[str, int], cluster: Cluster, audits: Audits
) -> dict[Kind, Size]:
    """The sizes of units of these kinds, in a run whose data sets have so many `images`: the experiment's, or else from
    a measurement on the cluster, each network on a device as an actor has it."""
    if (recoveries := experiment.images_per_unit) is not None:
        return dict.fromkeys(kinds, Size(recoveries, USUAL_BATCH))
    wanted, tasks = list(dict.fromkeys(kind[:2] for kind in kinds)), []
    for data, label in wanted:
        what = f"measuring what a recovery costs ({label}, data set {data})"
        work = partial(measure_here, experiment, label, cluster.threads)
        tasks.append(start(what, work, audits[data], **cluster.actor_resources()))
    measured = wait_for(tasks)
    costs = {
        (*place, method): cost
        for place, of_place in zip(wanted, measured, strict=True)
        for method, cost in of_place.items()
        if (*place, method) in kinds
    }
    return sizes_of(costs, images, experiment, cluster.wanted_actors())


def sizes_of(costs: dict[Kind, Cost], images: dict[str, int], experiment: Experiment, actors: int) -> dict[Kind, Size]:
    """Units of UNIT_SECONDS; smaller ones where an actor's memory asks for it, or there would not be enough for the
    `actors`. `images` is how many each data set has."""
    degradations = {entry.label: len(experiment.under(entry.label)) for entry in experiment.methods}
    sizes = {}
    for kind, cost in costs.items():
        pixel_bytes = 4 * math.prod(experiment.data_set(kind[0]).image_shape)
        in_memory = max(UNIT_BYTES // pixel_bytes, UNIT_BATCHES * cost.batch_size)
        sizes[kind] = min(max(int(UNIT_SECONDS / cost.seconds), 1), in_memory, images[kind[0]] * degradations[kind[2]])
    units = 0.0
    for (data_set, model, method), size in sizes.items():
        checkpoints = 1 if model == GENERIC else len(experiment.model(model).ladder(experiment.training.targets))
        units += images[data_set] * degradations[method] / size * checkpoints
    wanted = UNITS_PER_ACTOR * actors
    if units < wanted:
        sizes = {kind: max(int(size * units / wanted), 1) for kind, size in sizes.items()}
    return {kind: Size(size, costs[kind].batch_size) for kind, size in sizes.items()}


def measure_here(experiment: Experiment, model: str, threads: int, audit: AuditSet) -> dict[str, Cost]:
    """What a recovery costs on this worker's device, as an actor has it."""
    torch.set_num_threads(threads)
    return measure(experiment, model, audit, device())
