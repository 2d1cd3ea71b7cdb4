"""Weights as the bytes of a safetensors file, and by what they are known."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

SPEC = "memrec"
"""The key in the safetensors file's header of what it is the weights of, as JSON."""


def pack(tensors: Mapping[str, Tensor], spec: Mapping[str, Any] | None = None) -> bytes:
    """The tensors as a safetensors file, each with a memory of its own, and `spec`, if any, in its header.

    Raises TypeError or ValueError for a spec that JSON can't hold.
    """
    import safetensors.torch  # here, so that the networks alone run on torch and numpy

    seen: set[int] = set()
    own: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        own[name] = tensor.clone() if place in seen else tensor  # the format has no word for shared memory
        seen.add(place)
    return safetensors.torch.save(own, None if spec is None else {SPEC: json.dumps(spec, sort_keys=True)})


def spec_of(data: bytes) -> Any:
    """What a safetensors file's header says that it is the weights of; None where it says nothing.

    Raises one of ValueError, LookupError, TypeError and AttributeError for what is no such file.
    """
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    spec = header.get("__metadata__", {}).get(SPEC)
    return None if spec is None else json.loads(spec)


def digest(data: bytes) -> str:
    """Names a weights file in plans and results: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]
