"""Whether the network fits the pictures, before any work is done for it."""

from memrec_core.auditing import network
from workflows.experiment.resolved import Experiment
from workflows.run.audit_set import load_splits


def check_fit(experiment: Experiment) -> None:
    """Raises InputError where the network of an audit can't be built, or not be applied to its pictures as it is said
    to be, where another range of pixels is clearly its own, and for a picture of either side that is none."""
    (model,), (data,) = experiment.given_models, experiment.data
    model.check_network(data.image_shape)
    images = load_splits(data, experiment.seed)["train"].images
    network.check_fit(model.built(model.packed()), images, model.network.name)
