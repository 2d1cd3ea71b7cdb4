"""The activation functions of the paper's networks, by name."""

from collections.abc import Callable

from torch import nn

from memrec_core.errors import unknown

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "softplus": nn.Softplus,
}


def activation_layer(name: str) -> nn.Module:
    """A new activation module; each layer has its own, so that each PReLU learns its own slope."""
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise unknown("activation", name, sorted(ACTIVATIONS))
    return ACTIVATIONS[name]()
