"""Trained autoencoders as files: safetensors for the weights and a JSON sidecar that says what they are.

Neither format can execute code when it is opened, and nothing here ever unpickles.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from memrec_core import autoencoders
from memrec_core.atomic import write_bytes
from memrec_core.errors import InputError

FORMAT = 1


def save(path: str | Path, model: nn.Module, metadata: dict[str, Any]) -> dict[str, Any]:
    """Write the weights to `path` and the sidecar beside it, as .json; the sidecar last, as the mark of completion.

    `metadata` is anything JSON can hold (data set, loss, seed); architecture, options, image shape and digest are
    added from the model. Returns the whole metadata.
    """
    weights, metadata = to_bytes(model, metadata)
    write_bytes(Path(path), weights)
    write_bytes(sidecar(path), json.dumps(metadata, indent=2).encode())
    return metadata


def load(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model, in evaluation mode on the CPU, and its metadata.

    Raises InputError where a file is missing, is not what its name says (a pickle, say), or the two do not fit.
    """
    for file in (Path(path), sidecar(path)):
        if not file.is_file():
            raise InputError(f"{file} does not exist; a checkpoint is a .safetensors file and its .json sidecar")
    return from_bytes(Path(path).read_bytes(), sidecar(path).read_bytes(), str(path))


def sidecar(path: str | Path) -> Path:
    return Path(path).with_suffix(".json")


def to_bytes(model: nn.Module, metadata: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """The weights as a safetensors file's bytes, and the sidecar's contents."""
    spec = getattr(model, "spec", None)
    if spec is None:
        raise InputError("only a model from autoencoders.build can be saved: another can't be built again")
    weights = safetensors.torch.save({name: tensor.contiguous() for name, tensor in model.state_dict().items()})
    return weights, {**metadata, **spec, "digest": digest(weights), "format": FORMAT}


def from_bytes(weights: bytes, metadata_json: bytes, name: str) -> tuple[nn.Module, dict[str, Any]]:
    """The model and metadata from a checkpoint's two files; `name` is for the error messages."""
    try:
        tensors = safetensors.torch.load(weights)
    except (SafetensorError, ValueError) as error:
        kind = (
            " (it looks like a pickle, which memrec never opens)"
            if weights[:1] == b"\x80" or weights[:2] == b"PK"
            else ""
        )
        raise InputError(f"{name} is not a safetensors file{kind}; expected one that memrec wrote") from error
    metadata = _parse(metadata_json, name)
    if metadata["digest"] != digest(weights):
        raise InputError(f"{name} does not fit its sidecar: the digests differ; restore both, or train it again")
    with torch.device("meta"):  # without drawing initial weights, which takes seconds for a wide network
        model = autoencoders.build(metadata["architecture"], tuple(metadata["image_shape"]), **metadata["options"])
    model.to_empty(device="cpu")
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(
            f"{name} does not fit its sidecar: its weights are not those of {metadata['architecture']} with "
            f"{metadata['options']} at {metadata['image_shape']}; restore both, or train it again"
        ) from error
    return model.eval(), metadata


def digest(weights: bytes) -> str:
    """Names a checkpoint in plans and results: the first 16 hexadecimal digits of the SHA-256 of its weights file."""
    return hashlib.sha256(weights).hexdigest()[:16]


def _parse(metadata_json: bytes, name: str) -> dict[str, Any]:
    try:
        metadata = json.loads(metadata_json)
    except ValueError as error:
        raise InputError(f"the sidecar of {name} is not valid JSON ({error}); restore it, or train it again") from error
    expected = {"architecture": str, "image_shape": list, "options": dict, "digest": str}
    if not isinstance(metadata, dict):
        metadata = {}
    wrong = [key for key, kind in expected.items() if not isinstance(metadata.get(key), kind)]
    if wrong:
        raise InputError(f"the sidecar of {name} has no valid {', '.join(wrong)}; restore it, or train it again")
    return metadata
