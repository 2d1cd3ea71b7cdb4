"""The autoencoders of the paper. Each maps a batch (N, C, H, W) to a batch of the same shape."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from memrec_core.arguments import check_image_shape, described
from memrec_core.autoencoders.fully_connected import fc10, fc20
from memrec_core.autoencoders.tied import tied
from memrec_core.autoencoders.unet import unet
from memrec_core.errors import InputError, in_a_line, unknown

BUILDERS: dict[str, Callable[..., nn.Module]] = {"fc10": fc10, "fc20": fc20, "unet": unet, "tied": tied}


def build(name: str, image_shape: tuple[int, int, int], **options: Any) -> nn.Module:
    """A freshly initialised autoencoder for images of shape (C, H, W), drawn from torch's global random state.

    The model's `spec` attribute says how to build it again (see `checkpoints`). Raises InputError for an unknown name
    or option, a shape or option that is none, and a network that does not fit the memory.
    """
    builder = _builder(name)
    shape = check_image_shape(image_shape)
    try:
        arguments = inspect.signature(builder).bind(shape, **options)
        arguments.apply_defaults()  # a checkpoint must outlive a change of the defaults
        model = builder(*arguments.args, **arguments.kwargs)
    except InputError:
        raise
    except (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError, MemoryError) as error:
        raise InputError(
            f"autoencoder {name} can't be built for images of {shape} with options {described(options)} "
            f"({in_a_line(error)}); choose a smaller one, or see "
            f"autoencoders.{name} for the options that it takes"
        ) from error
    model.spec = {"architecture": name, "image_shape": list(shape), "options": _options(arguments)}
    return model


def _builder(name: object) -> Callable[..., nn.Module]:
    if not isinstance(name, str) or name not in BUILDERS:
        raise unknown("autoencoder", name, sorted(BUILDERS))
    return BUILDERS[name]


def default_activation(name: str) -> str:
    """The activation that `build` gives an autoencoder unless it is told another."""
    return inspect.signature(_builder(name)).parameters["activation"].default


def _options(arguments: inspect.BoundArguments) -> dict[str, Any]:
    """The arguments after the image's shape, as JSON keeps them."""
    _, *options = arguments.arguments.items()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options}
