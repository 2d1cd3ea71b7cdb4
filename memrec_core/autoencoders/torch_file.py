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
from torch.fx import GraphModule

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
        self._networks: list[nn.Module] = []  # a list, so that its weights are not among the program's

    def inside(self) -> nn.Module:
        """The network that the file holds, where the program is. Raises InputError as it can't be opened."""
        if not self._networks:
            self._networks.append(self._network().to(self.program.device))
        return self._networks[0]

    def opened(self) -> Applied:
        network = self.inside()
        count = _batch_of(network)
        return network if count is None else in_parts(network, count)

    def close(self) -> None:
        super().close()
        self._networks.clear()

    def _apply(self, fn: Any, recurse: bool = True) -> "TorchProgram":
        """Its network goes where the program goes."""
        for network in self._networks:
            network._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def _network(self) -> nn.Module:
        if not self.trusted:
            raise InputError(
                f"the network is {KINDS[self.kind]}, and to open it is to run what it says; if you trust where it is "
                "from, memrec audit takes --trust-code"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                network = _OPENED[self.kind](io.BytesIO(as_bytes(self.program)))
                for weight in network.parameters():
                    weight.requires_grad_(False)
                return network
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


def _script(file: io.BytesIO) -> nn.Module:
    return torch.jit.load(file, map_location="cpu").eval()


def _exported(file: io.BytesIO) -> nn.Module:
    return torch.export.load(file).module()


def _pickle(file: io.BytesIO) -> nn.Module:
    found = torch.load(file, map_location="cpu", weights_only=False)
    if not isinstance(found, nn.Module):
        raise InputError(
            f"the file holds a {type(found).__name__}, not a module; name the function that builds its network, "
            "package.module:build, and give the file as its weights"
        )
    return found.float().eval()


def _batch_of(network: nn.Module) -> int | None:
    """How many images an exported program takes at once; None where that is left open, or not known."""
    graph = getattr(network, "graph", None) if isinstance(network, GraphModule) else None
    taken = [node.meta.get("val") for node in graph.nodes if node.op == "placeholder"] if graph is not None else []
    count = taken[0].shape[0] if len(taken) == 1 and isinstance(taken[0], Tensor) and taken[0].dim() else None
    return count if isinstance(count, int) else None


_OPENED = {SCRIPT: _script, EXPORTED: _exported, PICKLE: _pickle}
