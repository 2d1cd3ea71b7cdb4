"""Whether the network fits the pictures, before any work is done for it."""

from memrec_core.auditing import network
from workflows.experiment.resolved import Experiment
from workflows.run.audit_set import load_split


def check_fit(experiment: Experiment) -> None:
    """Raises InputError where the network of an audit can't be built, or not be applied to its pictures as it is said
    to be, and where another range of pixels is clearly its own."""
    (model,), (data,) = experiment.given_models, experiment.data
    model.check_network(data.image_shape)
    network.check_fit(
        model.built(model.packed()), load_split(data, experiment.seed, "train").images, model.network.name
    )
