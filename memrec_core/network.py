"""A network as it is applied, from memrec or from anywhere: in evaluation mode, and its output looked at."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import get_ident

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.module import register_module_forward_pre_hook

from memrec_core.arguments import described, dtype_name
from memrec_core.device import is_of_the_device
from memrec_core.errors import InputError, in_a_line

Network = Callable[[Tensor], Tensor]
IN_PLACE = (
    "the autoencoder changes its input in place, or returns one and the same tensor each time; call model.eval() and "
    "give lambda x: model(x.clone()).clone() instead"
)

IN_TRAINING = (_NormBase, _DropoutNd, nn.RReLU)
"""Modules that do something else in training mode."""


@contextmanager
def evaluating(model: object) -> Iterator[None]:
    """`model` in evaluation mode inside the block; afterwards each of its modules has the mode that it had.

    A method of a module counts as that module. Of any other function, also one that a module `holds_function`, the
    modules are not known: they stay as they are, and one that is about to keep statistics of a batch, or to drop some
    of it, raises InputError.
    """
    owner = model if isinstance(model, nn.Module) else getattr(model, "__self__", None)
    if not isinstance(owner, nn.Module) or getattr(owner, "holds_function", False):
        with _refusing_training():
            yield
        return
    before = [(module, module.training) for module in owner.modules()]
    if any(training for _, training in before):
        with suppress(NotImplementedError):  # a program of torch.export has the mode that it was exported in
            owner.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@contextmanager
def _refusing_training() -> Iterator[None]:
    """Inside the block a module whose training mode matters is refused in it; on other threads one may be trained."""
    here = get_ident()

    def refuse(module: nn.Module, _: object) -> None:
        if module.training and isinstance(module, IN_TRAINING) and get_ident() == here:
            raise InputError(
                f"the function applies a module in training mode ({type(module).__name__}), whose output depends on "
                "chance or on the batch; call eval() of your network first, or give the network itself"
            )

    hook = register_module_forward_pre_hook(refuse)
    try:
        yield
    finally:
        hook.remove()


def device_of(network: object) -> torch.device:
    """Where its weights are; the CPU for one that has none."""
    tensors = [*network.parameters(), *network.buffers()] if isinstance(network, nn.Module) else []
    return tensors[0].device if tensors else torch.device("cpu")


@contextmanager
def as_prior(model: Network) -> Iterator[Network]:
    """`model` in evaluation mode, as a function that is `checked`."""
    with evaluating(model):
        yield checked(model)


def checked(model: Network) -> Network:
    """`model` as a function of a batch (N, C, H, W) that raises InputError unless its output is a batch of the same
    shape, type and device, and its input left as it was.

    What a model raises over a batch is told in the InputError's sentence too; what the device raises stays as it is.
    """
    if not callable(model):
        raise InputError(f"the autoencoder must be a module or a function of a batch, not {described(model)}")

    def applied(x: Tensor) -> Tensor:
        version = None if x.is_inference() else x._version
        try:
            out = model(x)
        except (Exception, SystemExit) as error:  # whatever the user's own code does
            if isinstance(error, InputError) or is_of_the_device(error):
                raise
            said = in_a_line(error) if isinstance(error, Exception) else f"SystemExit: {in_a_line(error)}"
            raise InputError(
                f"the autoencoder can't be applied to {described(x)}{_weights_of(model, x)} ({said}); "
                "give it images as it was trained on"
            ) from error
        if not isinstance(out, Tensor) or not _is_like(out, x):
            raise misfit(out, x)
        if version is not None and x._version != version:
            raise InputError(IN_PLACE)
        return out.detach() if out.requires_grad and not torch.is_grad_enabled() else out

    return applied


def _is_like(out: Tensor, x: Tensor) -> bool:
    return (out.shape, out.dtype, out.device, out.layout) == (x.shape, x.dtype, x.device, x.layout)


def misfit(out: object, x: Tensor) -> InputError:
    """The error for an output that is not like the batch `x`."""
    if isinstance(out, Tensor):
        returned, advice = described(out), "give one whose output is of its input's shape, type and device"
    else:
        returned, advice = f"a {type(out).__name__}", "give a function that returns the images alone"
    return InputError(f"the autoencoder returned {returned} for {described(x)}; {advice}")


def _weights_of(model: object, x: Tensor) -> str:
    """What is said of weights that are of another type than `x`, or elsewhere."""
    weight = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    if weight is None or (weight.dtype == x.dtype and weight.device == x.device):
        return ""
    return f", for its weights are {dtype_name(weight.dtype)} on {weight.device} and the images on {x.device}"
