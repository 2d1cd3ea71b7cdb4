"""A network as it is applied, from memrec or from anywhere: in evaluation mode, and its output looked at."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import local

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


class Holder(nn.Module):
    """A module that applies a function of the user's, which it `holds`, in place of a module; None for a module."""

    holds: object = None


_ASKED = local()
"""`depth` is above 0 on a thread on which functions are applied, of whose modules nothing is known."""


@contextmanager
def evaluating(model: object) -> Iterator[None]:
    """`model` in evaluation mode inside the block; afterwards each of its modules has the mode that it had.

    A method of a module counts as that module, also where a Holder has it. Of any other function the modules are
    not known: they stay as they are, and one that is about to keep statistics of a batch, or to drop some of it, raises
    InputError where torch lets it be seen, which it does not in what is compiled or scripted.
    """
    owner = _owner(model)
    if owner is None:
        with _refusing_training():
            yield
        return
    before = [(module, module.training) for module in owner.modules()]
    if any(training for _, training in before):
        _to_evaluation(owner)
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def _owner(model: object) -> nn.Module | None:
    """The module that a module, one of its methods, or what holds such a method, is of."""
    if isinstance(model, Holder) and model.holds is not None:
        return _owner(model.holds)
    if isinstance(model, nn.Module):
        return model
    own = getattr(model, "__self__", None)
    return own if isinstance(own, nn.Module) else None


def _to_evaluation(module: nn.Module) -> None:
    try:
        module.eval()
    except NotImplementedError:  # a program of torch.export, which has the mode that it was exported in, stops it there
        for child in module.children():
            _to_evaluation(child)


@contextmanager
def _refusing_training() -> Iterator[None]:
    """Inside the block, on this thread, a module that does something else in training mode is refused in it."""
    _watch_modules()
    _ASKED.depth = getattr(_ASKED, "depth", 0) + 1
    try:
        yield
    finally:
        _ASKED.depth -= 1


@cache
def _watch_modules() -> None:
    """Once in a process, for compiled functions depend on which hooks there are."""
    register_module_forward_pre_hook(_refuse_training)


def _refuse_training(module: nn.Module, _: object) -> None:
    if torch.compiler.is_compiling() or not getattr(_ASKED, "depth", 0):
        return
    keeps = isinstance(module, _NormBase) and module.track_running_stats
    drops = (isinstance(module, _DropoutNd) and module.p > 0) or isinstance(module, nn.RReLU)
    if module.training and (keeps or drops):
        raise InputError(
            f"the function applies a module in training mode ({type(module).__name__}), whose output depends on chance "
            "or on the batch; call eval() of your network first, or give the network itself"
        )


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
