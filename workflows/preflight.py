"""What can be found wrong with an experiment before any work is done for it."""

from memrec_core import autoencoders, degradations, diffusion_prior
from workflows.audit_set import load_split
from workflows.experiment import Experiment


def check(experiment: Experiment) -> None:
    """Read one image, build every network and mask, open the prior; raises InputError for the first that can't be.

    The other images are read by the job itself, once, on the cluster.
    """
    one = experiment.model_copy(update={"data": experiment.data.model_copy(update={"count": 1, "control_count": 1})})
    image_shape = load_split(one, "train").images.shape[1:]
    for degradation in experiment.degradations:
        degradations.mask(degradation.mask, image_shape, experiment.seed)
    for model in experiment.models:
        autoencoders.build(model.architecture, image_shape, **model.options)
    if "ddnm" in experiment.methods:
        diffusion_prior.load(experiment.ddnm.source).enlargement(image_shape)
