"""The forms in which a network from outside is named, and what makes those certain that would sample."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from memrec_core.autoencoders import diffusers_folder, onnx_file, torch_file
from memrec_core.autoencoders.given import Given, Wrapped, build
from memrec_core.autoencoders.loading import PROGRAMS, tensors_of
from memrec_core.autoencoders.program import Program
from memrec_core.errors import InputError, shown, shown_name

DIFFUSERS = "diffusers:"
OF_WEIGHTS = {".h5", ".safetensors", *torch_file.ENDINGS}
"""How files are called that hold weights or programs, and don't say which network they are of without being run."""


@dataclass(frozen=True)
class Named:
    """A network, and the file or folder of its weights; None for those that it has from what builds it. `trusts_code`:
    whether that may be a program of torch's, which is run."""

    given: Given
    weights: str | None
    trusts_code: bool = False

    def built(self, allow_torch: bool = False) -> Wrapped:
        """The network with its weights. Raises InputError as `loading.tensors_of` and `given.build` do."""
        tensors = None if self.weights is None else tensors_of(self.weights, allow_torch, self.given.factory)
        return build(self.given, tensors, self.trusts_code)

    def example(self) -> Wrapped:
        """Such a network for what does not depend on its weights, which are read where it is nothing without."""
        return self.built() if self.given.factory in PROGRAMS else build(self.given)


def named(
    model: str | Callable[..., Any], weights: str | Path | None = None, trust_code: bool = False, **settings: Any
) -> Named:
    """The network that `model` is or names: `package.module:build`; `diffusers:FOLDER`, where FOLDER holds what
    diffusers saved; a file of ONNX; or, with `trust_code`, one of torch's that is a program or a whole module. The last
    three have their own weights, and what they are built with is part of the network's settings: a run needs the file
    or folder no more than another weights file.

    `settings` are those of `Given`. Raises InputError where it names nothing of the kind. Nothing of a file is run.
    """
    found = _with_its_weights(model, trust_code) if isinstance(model, str) else None
    if trust_code and not (found and found[0] is torch_file):
        raise InputError(
            "trust_code (--trust-code) is for a network that is a file of torch's with its code, such as model.pt; "
            "leave it out"
        )
    if found is None:
        return Named(Given(model, **settings), _text(weights))
    if weights is not None:
        raise InputError(f"{shown_name(model)} holds its own weights; leave {shown_name(weights)} out")
    kind, path = found
    factory, options = kind.described(path)
    return Named(Given(factory, options=options, **settings), str(path.absolute()), trust_code)


def _with_its_weights(model: str, trust_code: bool) -> tuple[Any, Path] | None:
    """The module that knows such files or folders, and the place of this one; None for the name of a function. Raises
    InputError for a file that is neither."""
    path = Path(model.removeprefix(DIFFUSERS)).expanduser()
    if model.startswith(DIFFUSERS) and (path.is_dir() or not model.removeprefix(DIFFUSERS).isidentifier()):
        return diffusers_folder, path
    if diffusers_folder.is_folder(path):
        raise InputError(f"{shown_name(model)} is a folder of diffusers; name it as {DIFFUSERS}{shown_name(model)}")
    ending = path.suffix.lower()
    if ending == onnx_file.ENDING:
        return onnx_file, path
    if trust_code and ending in torch_file.ENDINGS:
        return torch_file, path
    if ending in OF_WEIGHTS:
        trusted = (
            "; or, where it is a program or a whole module whose origin you trust, give --trust-code, which runs it "
            "(in Python load it, and give the module)"
        )
        raise InputError(
            f"{shown_name(model)} is a file, and does not say what builds its network without being run; name the "
            "function that does, package.module:build, and give the file as its weights, --weights (weights= in "
            f"Python){trusted if ending in torch_file.ENDINGS else ''}"
        )
    return None


RECONSTRUCT = f"{__name__}:reconstruct"
"""The function below, by the name that `deterministic` takes."""


def preferred(network: object) -> str | None:
    """The name of a function for `deterministic` that suits the network as it is; None where nothing is known to."""
    network = network.inside() if isinstance(network, Program) else network
    if any(f"{kind.__module__}.{kind.__name__}".startswith("diffusers.") for kind in type(network).__mro__):
        is_kl = any(kind.__name__ == "AutoencoderKL" for kind in type(network).__mro__)
        return f"{__name__}:{autoencoder_kl.__name__}" if is_kl else None
    method = getattr(network, "reconstruct", None)
    return RECONSTRUCT if callable(method) and _takes_a_batch(method) else None


def reconstruct(network: Any) -> Callable[[Tensor], Any]:
    """For `deterministic`: the network's own method of that name, as that of a variational autoencoder."""
    if not callable(method := getattr(network, "reconstruct", None)):
        raise InputError(
            f"{type(network).__name__} has no method reconstruct; leave deterministic out, or name another"
        )
    return method


def forward(network: Any) -> Callable[[Tensor], Any]:
    """For `deterministic`: the network as it is, where its method `reconstruct` would be taken."""
    return network


def autoencoder_kl(network: Any) -> Callable[[Tensor], Tensor]:
    """For `deterministic`: what an AutoencoderKL of diffusers decodes of the mode of its latents."""
    if not all(callable(getattr(network, name, None)) for name in ("encode", "decode")):
        raise InputError(
            f"{shown(type(network).__name__)} is no AutoencoderKL; leave deterministic out, or name another"
        )
    encode, decode = network.encode, network.decode
    return lambda x: decode(encode(x).latent_dist.mode()).sample


def _takes_a_batch(method: Callable[..., Any]) -> bool:
    try:
        inspect.signature(method).bind(None)
    except (TypeError, ValueError):  # the latter for functions that do not say what they take
        return False
    return True


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)
