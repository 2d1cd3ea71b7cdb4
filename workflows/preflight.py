"""What can be found wrong with an experiment before any work is done for it."""

from memrec_core import autoencoders, degradations, diffusion_prior
from workflows.audit_set import load_audit_set
from workflows.experiment import Experiment


def check(experiment: Experiment) -> None:
    """Read all images and the prior, build every network and mask; raises InputError for the first that can't be."""
    image_shape = load_audit_set(experiment).images.shape[1:]
    for degradation in experiment.degradations:
        degradations.mask(degradation.mask, image_shape, experiment.seed)
    for model in experiment.models:
        autoencoders.build(model.architecture, image_shape, **model.options)
    if "ddnm" in experiment.methods:
        diffusion_prior.load(experiment.ddnm.source).enlargement(image_shape)
