"""What can be found wrong with an experiment before any work is done for it."""

import torch

from memrec_core import autoencoders, degradations, diffusion_prior
from memrec_core.errors import InputError
from workflows.experiment.written import Experiment, Model
from workflows.run.audit_set import load_split


def check(experiment: Experiment) -> None:
    """Read one image of each data set, build every network and mask, open the prior; raises InputError for the first
    that can't be.

    The other images are read by the job itself, once, on the cluster.
    """
    prior = diffusion_prior.load(experiment.ddnm.source) if "ddnm" in experiment.methods else None
    for data in experiment.data:
        image_shape = load_split(data.model_copy(update={"count": 1}), experiment.seed, "train").images.shape[1:]
        for degradation in experiment.degradations:
            degradations.mask(degradation.mask, image_shape, experiment.seed)
        for model in experiment.models:
            if model.data == data.label:
                _check_network(model, image_shape)
        if prior is not None:
            prior.enlargement(image_shape)


def _check_network(model: Model, image_shape: tuple[int, ...]) -> None:
    """Build it without its memory, for its errors alone."""
    try:
        with torch.device("meta"):
            autoencoders.build(model.architecture, image_shape, **model.options)
    except InputError as error:
        raise InputError(f"model {model.label}: {error}") from error
