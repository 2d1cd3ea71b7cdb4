"""A network from a file of torch that is a program: TorchScript, an exported program, or a whole module as a pickle.

To open one is to do what it says, whatever that is. So it is opened where the user has said that it is trusted, and
nowhere else: no file, neither its own nor that of an experiment, can say so.
"""

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from memrec_core.autoencoders.program import Applied, Program, as_bytes, as_tensor, in_parts
from memrec_core.errors import InputError, in_a_line, shown_name

ENDINGS = (".pt", ".pth", ".pt2", ".ckpt", ".bin", ".pkl", ".ts", ".torchscript")
SCRIPT, EXPORTED, PICKLE = "torchscript", "exported", "pickle"
KINDS = {SCRIPT: "a TorchScript program", EXPORTED: "an exported program", PICKLE: "a pickle"}


class TorchProgram(Program):
    """See `Program`. It raises InputError as it is applied unless `trusted` was set.

    Args:
        size: of the file in bytes.
        kind: what it is, one of KINDS: it is opened as that, and as nothing else.
    """

    def __init__(self, size: int, kind: str) -> None:
        super().__init__(size)
        if kind not in KINDS:
            raise InputError(f"kind {kind!r} is none of {', '.join(KINDS)}; give one of these")
        self.kind, self.trusted = kind, False

    def opened(self) -> Applied:
        if not self.trusted:
            raise InputError(
                f"the network is {KINDS[self.kind]}, and to open it is to run what it says; if you trust where it is "
                "from, memrec audit takes --trust-code"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _OPENED[self.kind](io.BytesIO(as_bytes(self.program)))
        except InputError:
            raise
        except Exception as error:  # whatever the program does
            raise InputError(
                f"{KINDS[self.kind]} can't be opened ({type(error).__name__}: {in_a_line(error)}); save it again, and "
                "install what it is made of"
            ) from error


def described(path: str | Path) -> tuple[str, dict[str, Any]]:
    """What builds the network of a file: the name of the class above, and its options. Nothing of it is run. Raises
    InputError where it can't be read, or is of no such kind."""
    file = as_tensor(path)
    return f"{__name__}:{TorchProgram.__name__}", {"size": len(file), "kind": _kind(as_bytes(file), path)}


def tensors_of(path: str | Path) -> dict[str, Tensor]:
    """The file as the network's state dict. Nothing of it is run."""
    return {"program": as_tensor(path)}


def _kind(data: bytes, path: str | Path) -> str:
    """What a file is, by the names of its parts."""
    if data.startswith(b"\x80"):
        return PICKLE
    try:
        names = [name.partition("/")[2] for name in zipfile.ZipFile(io.BytesIO(data)).namelist()]
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise InputError(f"{shown_name(path)} is no file that torch saved; check it") from error
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return SCRIPT
    if "models/model.json" in names or "serialized_exported_program.json" in names:
        return EXPORTED
    if "data.pkl" in names:
        return PICKLE
    raise InputError(f"{shown_name(path)} is no file that torch saved; check it")


def _script(file: io.BytesIO) -> Applied:
    return _placed(torch.jit.load(file, map_location="cpu").eval())


def _exported(file: io.BytesIO) -> Applied:
    found = torch.export.load(file)
    taken = {node.name: node.meta.get("val") for node in found.graph.nodes if node.op == "placeholder"}
    images = [taken.get(str(name)) for name in found.graph_signature.user_inputs]
    applied = _placed(found.module())
    count = images[0].shape[0] if len(images) == 1 and isinstance(images[0], Tensor) and images[0].dim() else None
    return in_parts(applied, count) if isinstance(count, int) else applied


def _pickle(file: io.BytesIO) -> Applied:
    found = torch.load(file, map_location="cpu", weights_only=False)
    if not isinstance(found, nn.Module):
        raise InputError(
            f"the file holds a {type(found).__name__}, not a module; name the function that builds its network, "
            "package.module:build, and give the file as its weights"
        )
    return _placed(found.float().eval())


def _placed(network: nn.Module) -> Applied:
    """The network, moved to where its images are."""
    for weight in network.parameters():
        weight.requires_grad_(False)
    at = torch.device("cpu")

    def applied(x: Tensor) -> Any:
        nonlocal at
        if x.device != at:
            network.to(x.device)
            at = x.device
        return network(x)

    return applied


_OPENED = {SCRIPT: _script, EXPORTED: _exported, PICKLE: _pickle}
