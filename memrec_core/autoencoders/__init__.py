"""The autoencoders of the paper. Each maps a batch (N, C, H, W) to a batch of the same shape."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from memrec_core.autoencoders.fully_connected import fc10, fc20
from memrec_core.autoencoders.tied import tied
from memrec_core.autoencoders.unet import unet
from memrec_core.errors import InputError, unknown

BUILDERS: dict[str, Callable[..., nn.Module]] = {"fc10": fc10, "fc20": fc20, "unet": unet, "tied": tied}


def build(name: str, image_shape: tuple[int, int, int], **options: Any) -> nn.Module:
    """A freshly initialised autoencoder for images of shape (C, H, W), drawn from torch's global random state.

    The model's `spec` attribute says how to build it again (see `checkpoints`). Raises InputError for an unknown name
    or option.
    """
    if name not in BUILDERS:
        raise unknown("autoencoder", name, sorted(BUILDERS))
    shape = tuple(int(side) for side in image_shape)
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(f"image shape {tuple(image_shape)} is not (channels, height, width) with positive entries")
    try:
        arguments = inspect.signature(BUILDERS[name]).bind(shape, **options)
        arguments.apply_defaults()  # a checkpoint must outlive a change of the defaults
        model = BUILDERS[name](*arguments.args, **arguments.kwargs)
    except TypeError as error:
        raise InputError(f"autoencoder {name} can't be built with options {options}: {error}") from error
    model.spec = {"architecture": name, "image_shape": list(shape), "options": _options(arguments)}
    return model


def default_activation(name: str) -> str:
    """The activation that `build` gives an autoencoder unless it is told another."""
    if name not in BUILDERS:
        raise unknown("autoencoder", name, sorted(BUILDERS))
    return inspect.signature(BUILDERS[name]).parameters["activation"].default


def _options(arguments: inspect.BoundArguments) -> dict[str, Any]:
    """The arguments after the image's shape, as JSON keeps them."""
    _, *options = arguments.arguments.items()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options}
