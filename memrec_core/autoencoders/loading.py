"""Weights into a network from outside: all of them and no other, or a sentence that says which do not fit."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from memrec_core.arguments import dtype_name
from memrec_core.autoencoders import diffusers_folder, onnx_file, torch_file
from memrec_core.autoencoders.onnx_file import OnnxProgram
from memrec_core.autoencoders.torch_file import TorchProgram
from memrec_core.errors import InputError, in_a_line, shown
from memrec_core.weights_file import read_weights

PROGRAMS = {
    f"{made.__module__}:{made.__name__}": read
    for made, read in ((OnnxProgram, onnx_file.tensors_of), (TorchProgram, torch_file.tensors_of))
}
"""By the name of what builds them, the networks whose file is not read for its numbers, but kept as it is."""
MOST_KEYS = 4
"""How many keys of a state dict a sentence names."""


def tensors_of(weights: str | Path, allow_torch: bool = False, factory: object = None) -> Mapping[str, Tensor]:
    """The weights in a file, as `read_weights` reads it, or in the folder of a model that diffusers saved; the file
    itself where `factory` names one of PROGRAMS."""
    if isinstance(factory, str) and factory in PROGRAMS:
        return PROGRAMS[factory](weights)
    if isinstance(weights, str | Path) and diffusers_folder.is_folder(weights):
        return diffusers_folder.tensors_of(weights)
    return read_weights(weights, allow_torch)


def load(network: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Give `network` the tensors, each in the type that the network has for it; `name` is the network's.

    What another program put before all keys (`module.`, `model.`) is left out where the rest are just the network's.
    Raises InputError unless they are all of its tensors and no other, each of its shape and kind.
    """
    tensors = _without_prefix(tensors, network)
    _check_shapes(network, tensors, name)
    try:
        missing, unexpected = network.load_state_dict(dict(tensors), strict=False)  # of these two the sentence is ours
    except Exception as error:  # modules may load in ways of their own
        raise _misfit(name, [in_a_line(error)]) from error
    own = network.state_dict()
    there = {_memory(own[key]) for key in tensors if key in own} - {None}
    missing = [key for key in missing if _memory(own.get(key)) not in there]  # of tied weights a file may have one
    if missing or unexpected:
        raise _misfit(name, [*_keys("missing", missing), *_keys("unexpected", sorted(unexpected))])


def _memory(weight: object) -> tuple[Any, ...] | None:
    """What two names of one tensor have in common; None for what has no memory."""
    if not isinstance(weight, Tensor) or weight.is_meta or not weight.numel():
        return None
    return weight.data_ptr(), weight.shape, weight.stride(), weight.dtype


def check_there(network: nn.Module, name: str) -> None:
    """Raise InputError for a weight without memory."""
    for key, weight in network.named_parameters():
        if weight.is_meta:
            raise InputError(f"{name}: the weight {key} has no memory (the device meta); build the network on the CPU")


def check_finite(network: nn.Module, name: str) -> None:
    """Raise InputError for a weight that is not finite, or not there."""
    check_there(network, name)
    for key, weight in network.named_parameters():
        if not weight.isfinite().all():
            raise InputError(f"{name}: the weight {key} is not finite; give the weights of a network that was trained")


def _without_prefix(tensors: Mapping[str, Tensor], network: nn.Module) -> Mapping[str, Tensor]:
    wanted, found = set(network.state_dict()), dict(tensors)
    while found and set(found) != wanted and all("." in key for key in found):
        if len({key.partition(".")[0] for key in found}) > 1:
            break
        found = {key.partition(".")[2]: tensor for key, tensor in found.items()}
    return found if set(found) == wanted else tensors


def _check_shapes(network: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Raise InputError for a tensor of another shape, or of a kind that can't become the network's."""
    wrong = []
    for key, own in network.state_dict().items():
        tensor = tensors.get(key)
        if not isinstance(own, Tensor) or tensor is None:
            continue
        if tensor.shape != own.shape:
            wrong.append(f"{key} is {tuple(tensor.shape)} where {tuple(own.shape)} is expected")
        elif not _becomes(tensor.dtype, own.dtype):
            wrong.append(f"{key} is {dtype_name(tensor.dtype)} where {dtype_name(own.dtype)} is expected")
    if wrong:
        unexpected = sorted(set(tensors) - set(network.state_dict()))
        missing = sorted(set(network.state_dict()) - set(tensors))
        raise _misfit(name, [*_some(wrong), *_keys("missing", missing), *_keys("unexpected", unexpected)])


def _becomes(dtype: torch.dtype, wanted: torch.dtype) -> bool:
    """Whether numbers of that type can be taken as the wanted one: a float as any float, a count as a wider one."""
    if dtype.is_floating_point or wanted.is_floating_point:
        return dtype.is_floating_point and wanted.is_floating_point
    return torch.promote_types(dtype, wanted) == wanted


def _misfit(name: str, wrong: Sequence[str]) -> InputError:
    return InputError(
        f"the weights do not fit the network of {name}: {'; '.join(wrong)}; give the file that was saved of it"
    )


def _keys(what: str, keys: Sequence[str]) -> list[str]:
    return [f"{what} {'are' if len(keys) > 1 else 'is'} {', '.join(_some(keys))}"] if keys else []


def _some(entries: Sequence[str]) -> list[str]:
    more = [f"{len(entries) - MOST_KEYS} more"] if len(entries) > MOST_KEYS else []
    return [*(shown(entry, quoted=False) for entry in islice(entries, MOST_KEYS)), *more]
