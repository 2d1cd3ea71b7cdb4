"""Weights as files: safetensors, and what torch saves where the user allows it. No object is ever unpickled.

A safetensors file is a JSON header and numbers. A torch file is a pickle, which is read with torch's `weights_only`:
that builds tensors and plain containers alone, but it is a larger reader than that of numbers, and has had its holes.
Where a checkpoint names classes beside its tensors, as those of Lightning do, inert ones stand for them.
"""

import hashlib
import io
import json
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import safe_globals

from memrec_core.arguments import described
from memrec_core.errors import InputError, in_a_line, shown, shown_name
from memrec_core.inert import Inert, classes_in, doer_in, stand_ins

SPEC = "memrec"
"""The key in the safetensors file's header of what it is the weights of, as JSON."""
TORCH_FILE = (b"PK\x03\x04", b"\x80")
"""How a zip and a pickle begin; a safetensors file may begin so too, with the length of its header."""
LEAST_TORCH = "2.10"
"""In earlier versions a forged file could get the better of the reader of weights."""
LIGHTNING, LIGHTNINGS = "pytorch-lightning_version", "state_dict"
"""By which key a checkpoint is known as Lightning's, and under which its weights are."""


def read_weights(path: str | Path, allow_torch: bool = False) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name, on the CPU; of a state dict that torch saved, where that is allowed.

    Of a checkpoint that holds more than one dict, the one of tensors by name is taken; of Lightning's, its state_dict.
    Raises InputError for a file
    that can't be read, is of another kind, or holds no such dict or several.
    """
    if not isinstance(path, str | Path):
        raise InputError(f"weights {described(path)} are not the path of a file; give that of a .safetensors file")
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{shown_name(path)} can't be read ({in_a_line(error)}); check it") from error
    return weights_in(data, str(path), allow_torch)


def weights_in(data: bytes, name: str, allow_torch: bool = False) -> dict[str, Tensor]:
    """The tensors in a file's bytes, as `read_weights`; `name` is for the error messages."""
    if _has_header(data) or not data.startswith(TORCH_FILE):
        return _of_safetensors(data, name)
    if not allow_torch:
        raise InputError(
            f"{name} is a torch file, and one may be crafted to exploit its reader; convert it to safetensors, or, if "
            "you trust where it is from, give --allow-torch-weights (allow_torch=True in Python)"
        )
    return _state_dict(_of_torch(data, name), name)


def pack(tensors: Mapping[str, Tensor], spec: Mapping[str, Any] | None = None) -> bytes:
    """The tensors as a safetensors file, each with a memory of its own, and `spec`, if any, in its header.

    Raises TypeError or ValueError for a spec that JSON can't hold.
    """
    import safetensors.torch  # here, so that the networks alone run on torch and numpy

    seen: set[int] = set()
    own: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise InputError(f"the state {name} is {described(tensor)}, which no file of tensors holds; leave it out")
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


def _has_header(data: bytes) -> bool:
    """Whether it begins as a safetensors file does: with the length of a JSON object that is there."""
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8


def _of_safetensors(data: bytes, name: str) -> dict[str, Tensor]:
    import safetensors.torch
    from safetensors import SafetensorError

    try:
        return safetensors.torch.load(data)
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(f"{name} is not a safetensors file ({in_a_line(error)}); give one that is whole") from error


def _of_torch(data: bytes, name: str) -> Any:
    """What torch reads with `weights_only`, and with nothing less, should that fail. Raises InputError for a file whose
    checksums are not those of its contents, which torch does not look at."""
    if torch.__version__ < LEAST_TORCH:  # which torch compares as versions
        raise InputError(
            f"{name} is a torch file, and torch {torch.__version__} may be exploited by a forged one; upgrade torch to "
            f"{LEAST_TORCH} or newer, or convert the file to safetensors"
        )
    names = classes_in(data)
    if doer := doer_in(names):
        raise InputError(
            f"{name} names {shown(doer, quoted=False)}, which no file of weights needs, so it was not opened; do not "
            "trust it, and give one whose origin you know"
        )
    try:
        if data.startswith(b"PK") and (damaged := zipfile.ZipFile(io.BytesIO(data)).testzip()):
            raise ValueError(f"{damaged} is damaged")
        with warnings.catch_warnings(), safe_globals([*stand_ins(names)]):
            warnings.simplefilter("ignore")  # of what the file may be, while it is refused below
            return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except Exception as error:  # of a damaged or forged file the reader fails in many ways
        raise InputError(_refusal(str(error), name, names)) from error


def _refusal(said: str, name: str, names: Sequence[str]) -> str:
    """Why a torch file was not read, without torch's advice to read it with less care."""
    held = re.search(r"GLOBAL ([\w.]+)", said)
    if held is None and names and "is damaged" not in said:
        return (
            f"{name} holds objects beside its weights that can't be passed over ({shown(names[0], quoted=False)}); "
            "save module.state_dict() alone"
        )
    if held is None and "TorchScript" not in said:
        return f"{name} is not a file of weights that torch saved, or is damaged; give a .safetensors file"
    return _conversion(name, held and held[1])


def _conversion(name: str, held: str | None) -> str:
    """How the user, who trusts it, converts a file that holds an object of the class `held`, or a program."""
    what = "a TorchScript program" if held is None else f"more than tensors ({shown(held, quoted=False)})"
    load = f"torch.jit.load({str(name)!r})" if held is None else f"torch.load({str(name)!r}, weights_only=False)"
    return (
        f"{name} holds {what}, such as a whole module, and opening it would run what it says; if it is your own, "
        f"convert it with `import torch, safetensors.torch; module = {load}; safetensors.torch.save_file({{key: "
        "tensor.contiguous().clone() for key, tensor in module.state_dict().items()}, 'weights.safetensors')`"
    )


def _state_dict(found: Any, name: str) -> dict[str, Tensor]:
    """The one dict of tensors by name in what torch read: that itself, or an entry of it."""
    if _is_state(found):
        return _plain(found, name)
    entries = found if isinstance(found, Mapping) else {}
    states = {shown(key, quoted=False): entry for key, entry in entries.items() if _is_state(entry)}
    if LIGHTNING in entries and LIGHTNINGS in states:
        states = {LIGHTNINGS: states[LIGHTNINGS]}
    if len(states) > 1:
        raise InputError(
            f"{name} holds several dicts of weights ({', '.join(states)}); save the one of the network that is meant "
            "as a file of its own"
        )
    if not states:
        if unknown := [entry for entry in (found, *entries.values()) if isinstance(entry, Inert)]:
            raise InputError(_conversion(name, unknown[0].name))
        raise InputError(f"{name} holds no dict of weights by name, but {_kind(found)}; save module.state_dict() alone")
    return _plain(next(iter(states.values())), name)


def _is_state(found: object) -> bool:
    """Whether it is a dict of tensors by name, with one at least."""
    return (
        isinstance(found, Mapping)
        and len(found) > 0
        and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in found.items())
    )


def _plain(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Without gradients. Raises InputError for a tensor that is not a plain array of numbers."""
    for key, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise InputError(f"{name}: {key} is quantised, sparse or without values; save it as plain numbers")
    return {key: tensor.detach() for key, tensor in state.items()}


def _kind(found: object) -> str:
    if not isinstance(found, Mapping):
        return f"a {type(found).__name__}"
    others = [shown(key, quoted=False) for key, value in found.items() if not isinstance(value, Tensor)]
    return f"{', '.join(others[:5])} beside the tensors" if others else "an empty one"
