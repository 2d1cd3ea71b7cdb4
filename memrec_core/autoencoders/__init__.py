"""The autoencoders of the paper, and how others join them. Each maps a batch (N, C, H, W) to one of the same shape."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from memrec_core.arguments import check_image_shape, described
from memrec_core.autoencoders.architecture import Architecture
from memrec_core.autoencoders.fully_connected import FC10, FC20, fc10, fc20
from memrec_core.autoencoders.given import Given, given
from memrec_core.autoencoders.tied import TIED, tied
from memrec_core.autoencoders.trial import check, needed_multiple
from memrec_core.autoencoders.unet import UNET, unet
from memrec_core.errors import InputError, in_a_line, unknown
from memrec_core.registry import Registry

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Given",
    "architecture_of",
    "build",
    "check",
    "fc10",
    "fc20",
    "given",
    "needed_multiple",
    "tied",
    "unet",
]

ARCHITECTURES = Registry[Architecture](
    "network",
    {
        "fc10": FC10,
        "fc20": FC20,
        "unet": UNET,
        "tied": TIED,
    },
)
"""By name. A network from outside joins them: `ARCHITECTURES["mine"] = Architecture("mine", build=...)`."""


def build(name: str, image_shape: tuple[int, int, int], **options: Any) -> nn.Module:
    """A freshly initialised autoencoder for images of shape (C, H, W), drawn from torch's global random state.

    The model's `spec` attribute says how to build it again (see `checkpoints`). Raises InputError for an unknown name
    or option, a shape or option that is none, and a network that does not fit the memory.
    """
    architecture = _architecture(name)
    shape = check_image_shape(image_shape)
    try:
        options = architecture.with_defaults(shape, options)  # a checkpoint must outlive a change of the defaults
        model = architecture.build(shape, **options)
    except InputError:
        raise
    except (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError, MemoryError) as error:
        takes = ", ".join(architecture.options) or "none"
        raise InputError(
            f"autoencoder {name} can't be built for images of {shape} with options {described(options)} "
            f"({in_a_line(error)}); choose a smaller one, or other options (it takes {takes})"
        ) from error
    if not isinstance(model, nn.Module):
        raise InputError(f"the builder of autoencoder {name} returned {described(model)}; let it return a torch module")
    spec = {"architecture": name, "image_shape": list(shape), "options": options}
    model.spec = spec  # pyright: ignore[reportArgumentType] (a module keeps any attribute)
    return model


def architecture_of(model: object) -> Architecture | None:
    """The architecture of a model from `build`; None for any other."""
    spec = getattr(model, "spec", None)
    name = spec.get("architecture") if isinstance(spec, Mapping) else None
    return ARCHITECTURES.get(name) if isinstance(name, str) else None


def _architecture(name: object) -> Architecture:
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise unknown("autoencoder", name, sorted(ARCHITECTURES))
    return ARCHITECTURES[name]
