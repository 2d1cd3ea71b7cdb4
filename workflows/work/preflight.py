"""What can be found wrong with an experiment before any work is done for it."""

from memrec_core import diffusion_prior
from memrec_core.degradations import shape_of
from memrec_core.errors import InputError
from workflows.experiment.methods import source_of
from workflows.experiment.written import Experiment
from workflows.run.audit_set import load_split


def check(experiment: Experiment) -> None:
    """Read one image of each data set, make every degradation, build every network and try those that are given, open
    the priors; raises InputError for the first of these that can't be.

    The other images are read by the job itself, once, on the cluster.
    """
    priors = [diffusion_prior.load(source_of(prior)) for prior in experiment.priors]
    for data in experiment.data:
        images = load_split(data.model_copy(update={"count": 1}), experiment.seed, "train").images
        image_shape = shape_of(images)
        for degradation in experiment.degradations:
            degradation.operator(image_shape, ["0"], experiment.seed)
        for model in experiment.models:
            if model.data == data.label:
                try:
                    model.check_network(image_shape)
                except InputError as error:
                    raise InputError(f"model {model.label}: {error}") from error
        for prior in priors:
            prior.enlargement(image_shape)
