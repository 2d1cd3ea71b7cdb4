"""What can be found wrong with an experiment before any work is done for it."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from memrec_core import diffusion_prior
from memrec_core.degradations import degraded_by, shape_of
from memrec_core.errors import InputError
from memrec_core.training import check_floor
from workflows.experiment.methods import source_of
from workflows.experiment.resolved import Experiment
from workflows.run.audit_set import AuditSet, load_split


def check_floors(experiment: Experiment, audit: AuditSet, label: str) -> dict[str, float]:
    """The loss that each network trained on a data set can't go below, by its label; of those for which it is known and
    above 0. Raises InputError where a target is under it."""
    floors: dict[str, float] = {}
    for model in experiment.trained_models:
        rank = model.output_rank(audit.image_shape) if model.data == label else None
        if rank is not None and len(audit.catalogue.digests("train")) - 1 > rank:
            try:
                floors[model.label] = check_floor(rank, audit.training_images(), min(experiment.training.targets))
            except InputError as error:
                raise InputError(f"model {model.label}: {error}") from error
    return floors


def check_uses(experiment: Experiment, images: Mapping[str, Tensor]) -> None:
    """Raises InputError where a given network clearly is not used as it was trained, in its range of pixels above all,
    by some of the training images (N, C, H, W) of each data set: it would give little back, and pass for one that keeps
    little."""
    for model in experiment.given_models:
        try:
            model.check_use(images[model.data])
        except InputError as error:
            raise InputError(f"model {model.label}: {error}") from error


def check(experiment: Experiment) -> None:
    """Read one image of each data set, degrade it in each way, build every network and try those that are given, open
    the priors; raises InputError for the first of these that can't be.

    The other images are read by the job itself, once, on the cluster.
    """
    priors = {prior: diffusion_prior.load(source_of(prior)) for prior in experiment.priors}
    for entry in experiment.methods:
        if entry.prior:
            entry.method.check(priors[entry.prior])
    for data in experiment.data:
        images = load_split(replace(data, count=1), experiment.seed, "train").images
        image_shape = shape_of(images)
        for degradation in experiment.degradations:
            others = torch.cat([images, 1 - images])  # a fill may want another picture
            try:
                operator = degradation.operator(image_shape, ["0"], experiment.seed)
                degraded_by(degradation, operator, images, ["0"], experiment.seed, others)
            except InputError as error:
                raise InputError(f"data set {data.label}, degradation {degradation.label}: {error}") from error
        for model in experiment.models:
            if model.data == data.label:
                try:
                    model.check_network(image_shape)
                except InputError as error:
                    raise InputError(f"model {model.label}: {error}") from error
        for prior in priors.values():
            prior.enlargement(image_shape)
