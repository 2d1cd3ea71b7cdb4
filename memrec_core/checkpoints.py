"""Trained autoencoders as files: safetensors for the weights and a JSON sidecar that says what they are.

Neither format can execute code when it is opened, and nothing here ever unpickles.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from memrec_core import autoencoders
from memrec_core.arguments import described, dtype_name
from memrec_core.atomic import write_bytes
from memrec_core.errors import InputError, in_a_line, shown
from memrec_core.weights_file import digest, pack, spec_of

FORMAT = 2
"""1 had the network's architecture and options in the sidecar alone, which no digest covers; it is read as before."""


def save(path: str | Path, model: nn.Module, metadata: dict[str, Any]) -> dict[str, Any]:
    """Write the weights to `path` and the sidecar beside it, as .json; the sidecar last, as the mark of completion.

    `metadata` is anything JSON can hold (data set, loss, seed); architecture, options, image shape and digest are
    added from the model. Returns the whole metadata. Raises InputError for a path that does not end in .safetensors, a
    model that is not from autoencoders.build or whose weights are not finite float32, and metadata or options that are
    no JSON.
    """
    path = _path(path)
    weights, metadata = to_bytes(model, metadata)
    try:
        described_in_json = json.dumps(metadata, indent=2).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"metadata can't be written as JSON ({in_a_line(error)}); keep to what JSON holds") from error
    write_bytes(path, weights)
    write_bytes(sidecar(path), described_in_json)
    return metadata


def load(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model, in evaluation mode on the CPU, and its metadata.

    Raises InputError where a file is missing, is not what its name says (a pickle, say), or the two do not fit.
    """
    path = _path(path)
    for file in (path, sidecar(path)):
        if not file.is_file():
            raise InputError(f"{file} does not exist; a checkpoint is a .safetensors file and its .json sidecar")
    try:
        weights, metadata_json = path.read_bytes(), sidecar(path).read_bytes()
    except OSError as error:
        raise InputError(f"{error.filename} can't be read ({in_a_line(error)}); check that it may be read") from error
    return from_bytes(weights, metadata_json, str(path))


def _path(path: object) -> Path:
    """`path`, unless it is of another name: 1e-3 and 1e-3.5, say, would have the same sidecar."""
    if not isinstance(path, str | Path) or Path(path).suffix != ".safetensors" or Path(path).is_dir():
        raise InputError(
            f"{shown(path)} is not the path of a checkpoint; give that of a file that ends in .safetensors"
        )
    return Path(path)


def sidecar(path: str | Path) -> Path:
    return Path(path).with_suffix(".json")


def to_bytes(model: nn.Module, metadata: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """The weights as a safetensors file's bytes, and the sidecar's contents."""
    spec = getattr(model, "spec", None)
    if spec is None:
        raise InputError("only a model from autoencoders.build can be saved: another can't be built again")
    if not isinstance(metadata, Mapping):
        raise InputError(f"metadata {shown(metadata)} is not a dict; give one with what is known of the model")
    tensors = model.state_dict()
    _check_values(tensors, "the model", "train it again, or call model.float()")
    try:
        weights = pack(tensors, spec)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the options {described(spec['options'])} can't be written as JSON ({in_a_line(error)}); build the model "
            "with numbers, text and lists of them"
        ) from error
    return weights, {**metadata, **spec, "digest": digest(weights), "format": FORMAT}


def from_bytes(weights: bytes, metadata_json: bytes, name: str) -> tuple[nn.Module, dict[str, Any]]:
    """The model and metadata from a checkpoint's two files; `name` is for the error messages.

    What the sidecar asks for takes no memory before the weights are seen to be it.
    """
    tensors, spec = _read(weights, name)
    metadata = _parse(metadata_json, name)
    if metadata["digest"] != digest(weights):
        raise InputError(f"{name} does not fit its sidecar: the digests differ; restore both, or train it again")
    asked = {key: metadata[key] for key in ("architecture", "image_shape", "options")}
    if spec is not None and spec != asked:
        raise _misfit(name, asked)
    try:
        with torch.device("meta"):  # without drawing initial weights, which takes seconds for a wide network
            model = autoencoders.build(asked["architecture"], asked["image_shape"], **asked["options"])
    except (InputError, TypeError) as error:  # the latter for an option of the name of an argument of build
        raise InputError(f"the sidecar of {name} describes no network: {in_a_line(error)}") from error
    if _shapes(tensors) != _shapes(model.state_dict()):
        raise _misfit(name, asked)
    _check_values(tensors, name, "remove it, and train that model again", model.state_dict())
    if _computes_tensors(model):
        with torch.random.fork_rng(devices=[]):  # loading draws no random numbers
            model = autoencoders.build(asked["architecture"], asked["image_shape"], **asked["options"])
    else:
        model.to_empty(device="cpu")
    model.load_state_dict(tensors)
    return model.eval(), metadata


def _computes_tensors(model: nn.Module) -> bool:
    """Whether the model has tensors that are no part of its state: only building it gives their values."""
    kept = set(model.state_dict())
    if any(name not in kept for name, _ in model.named_buffers()):
        return True
    return any(isinstance(value, Tensor) for module in model.modules() for value in vars(module).values())


def _read(weights: bytes, name: str) -> tuple[dict[str, Tensor], Any]:
    """The tensors of a safetensors file, and what it says that they are; None where it is of the first format."""
    try:
        tensors = safetensors.torch.load(weights)
        return tensors, spec_of(weights)
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        pickled = weights[:1] == b"\x80" or weights[:2] == b"PK"
        kind = " (it looks like a pickle, which memrec never opens)" if pickled else ""
        raise InputError(f"{name} is not a safetensors file{kind}; expected one that memrec wrote") from error


def _parse(metadata_json: bytes, name: str) -> dict[str, Any]:
    try:
        metadata = json.loads(metadata_json)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"the sidecar of {name} is not valid JSON ({in_a_line(error)}); restore it, or train it again"
        ) from error
    expected = {"architecture": str, "image_shape": list, "options": dict, "digest": str, "format": int}
    if not isinstance(metadata, dict):
        metadata = {}
    wrong = [key for key, kind in expected.items() if type(metadata.get(key)) is not kind]
    if wrong:
        raise InputError(f"the sidecar of {name} has no valid {', '.join(wrong)}; restore it, or train it again")
    if not 1 <= metadata["format"] <= FORMAT:
        raise InputError(
            f"{name} is of format {shown(metadata['format'])}, and this memrec reads 1 to {FORMAT}; update memrec"
        )
    return metadata


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _check_values(
    tensors: Mapping[str, Tensor], name: str, advice: str, model: Mapping[str, Tensor] | None = None
) -> None:
    """Raise InputError unless all weights are finite float32. Counts, such as those of batch normalisation, are of the
    type that the `model` has for them, or any where there is none to ask."""
    for key, tensor in tensors.items():
        asked = tensor.dtype if model is None else model[key].dtype
        expected = torch.float32 if asked.is_floating_point or asked.is_complex else asked
        if tensor.dtype != expected:
            raise InputError(
                f"{name} has weights of type {dtype_name(tensor.dtype)}, and expected are {dtype_name(expected)}; "
                f"{advice}"
            )
        if not tensor.isfinite().all():
            raise InputError(f"{name} has weights that are not finite; {advice}")


def _misfit(name: str, asked: dict[str, Any]) -> InputError:
    return InputError(
        f"{name} does not fit its sidecar: its weights are not those of {shown(asked['architecture'], quoted=False)} "
        f"with {described(asked['options'])} at {described(asked['image_shape'])}; restore both, or train it again"
    )
