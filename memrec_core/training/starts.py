"""Where a training begins: what is done to a freshly built network, knowing its training images, before the first step.

A network as it is built gives nothing for nothing, and learns the images' mean first, which takes it many of its steps.
Put into the last layer, or folded into the first and the last one, that mean is there at once.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from memrec_core.autoencoders import architecture_of
from memrec_core.errors import InputError, unknown
from memrec_core.registry import Registry

CONTRACTION = 1 / 5
"""What all hidden layers together are scaled by. As it is built, a centred network of twenty layers fits its images
without drawing their neighbourhoods to them, and hardly any comes back."""

Start = Callable[[nn.Module, Tensor], None]
"""Changes the weights of a network, given its training images (N, C, H, W)."""


@runtime_checkable
class Centrable(Protocol):
    """A network g that can take means (C, H, W) and a scale into its weights: afterwards it gives
    `mean_out + scale g((x - mean_in) / scale)`."""

    def center_(self, mean_in: Tensor, mean_out: Tensor, scale: float) -> None: ...


def as_built(model: nn.Module, images: Tensor) -> None:
    """The network stays as it is."""


def from_mean(model: nn.Module, images: Tensor) -> None:
    """The network adds what it gives to the images' mean. Raises InputError where it can't."""
    mean = images.mean(0)
    _centrable(model).center_(torch.zeros_like(mean), mean, 1.0)


def shifted(model: nn.Module, images: Tensor) -> None:
    """It acts on what images differ by from their mean, and adds it to that mean."""
    mean = images.mean(0)
    _centrable(model).center_(mean, mean, 1.0)


def centred(model: nn.Module, images: Tensor) -> None:
    """Likewise, in units of the images' standard deviation about their mean, one number for all pixels."""
    mean = images.mean(0)
    deviation = (images - mean).square().mean().sqrt().item()
    _centrable(model).center_(mean, mean, deviation or 1.0)  # all images may be one


@torch.no_grad()
def contracting(model: nn.Module, images: Tensor) -> None:
    """Likewise centred, after the weights of all layers but the last of `model.modules()` were scaled alike, together
    by `CONTRACTION`: what it gives for images that differ is near together."""
    _centrable(model)  # or else it is left as it is
    hidden = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)][:-1]
    if not hidden:
        raise InputError(
            f"a {type(model).__name__} can't begin contracting, for it has no two layers that are Linear or Conv2d; "
            "choose another start"
        )
    for layer in hidden:
        layer.weight.mul_(CONTRACTION ** (1 / len(hidden)))
    centred(model, images)


STARTS = Registry[Start](
    "start",
    {"built": as_built, "mean": from_mean, "shifted": shifted, "centred": centred, "contracting": contracting},
)
"""By name. Another from outside joins them: `STARTS["mine"] = function`."""


def start_for(model: nn.Module, name: str | None) -> tuple[str, Start]:
    """The start of that name, the model's own where it is left out; and its name. Raises InputError for an unknown
    name."""
    if name is None:
        architecture = architecture_of(model)
        name = "built" if architecture is None else architecture.start
    if not isinstance(name, str) or name not in STARTS:
        raise unknown("start", name, sorted(STARTS))
    return name, STARTS[name]


def _centrable(model: nn.Module) -> Centrable:
    if not isinstance(model, Centrable):
        raise InputError(
            f"a {type(model).__name__} can't begin from the images' mean, for it has no method center_(mean_in, "
            "mean_out, scale); choose the start built"
        )
    return model
