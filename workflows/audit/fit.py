"""Whether the network fits the pictures, before any work is done for it."""

from workflows.experiment.resolved import Experiment


def check_fit(experiment: Experiment) -> None:
    """Raises InputError where the network of an audit can't be built, or not be applied to its pictures as it is said
    to be."""
    (model,), (data,) = experiment.given_models, experiment.data
    model.check_network(data.image_shape)
