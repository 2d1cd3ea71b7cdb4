"""The forms in which a network from outside is named, and what makes those certain that would sample."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from memrec_core.autoencoders import diffusers_folder
from memrec_core.autoencoders.given import Given
from memrec_core.errors import InputError, shown, shown_name

DIFFUSERS = "diffusers:"
OF_WEIGHTS = {".bin", ".ckpt", ".h5", ".onnx", ".pkl", ".pt", ".pt2", ".pth", ".safetensors"}
"""How files are called that hold weights or programs, and don't say which network they are of without being run."""


@dataclass(frozen=True)
class Named:
    """A network, and the file or folder of its weights; None for those that it has from what builds it."""

    given: Given
    weights: str | None


def named(model: str | Callable[..., Any], weights: str | Path | None = None, **settings: Any) -> Named:
    """The network that `model` is or names: `package.module:build`, or `diffusers:FOLDER`, where FOLDER holds what
    diffusers saved, with its weights. What its class is built with is then part of the network's own settings: a run
    needs the folder no more than another weights file.

    `settings` are those of `Given`. Raises InputError where it names nothing of the kind.
    """
    if not isinstance(model, str):
        return Named(Given(model, **settings), _text(weights))
    folder = Path(model.removeprefix(DIFFUSERS)).expanduser()
    if model.startswith(DIFFUSERS) and (folder.is_dir() or not model.removeprefix(DIFFUSERS).isidentifier()):
        if weights is not None:
            raise InputError(f"{shown_name(model)} holds its own weights; leave {shown_name(weights)} out")
        factory, options = diffusers_folder.described(folder)
        return Named(Given(factory, options=options, **settings), str(folder.absolute()))
    if diffusers_folder.is_folder(folder):
        raise InputError(f"{shown_name(model)} is a folder of diffusers; name it as {DIFFUSERS}{shown_name(model)}")
    if folder.suffix.lower() in OF_WEIGHTS:
        raise InputError(
            f"{shown_name(model)} is a file, and does not say what builds its network without being run; name the "
            "function that does, package.module:build, and give the file as its weights, --weights (weights= in Python)"
        )
    return Named(Given(model, **settings), _text(weights))


def preferred(network: object) -> str | None:
    """The name of a function for `deterministic` that suits the network as it is; None where nothing is known to."""
    if any(f"{kind.__module__}.{kind.__name__}".startswith("diffusers.") for kind in type(network).__mro__):
        is_kl = any(kind.__name__ == "AutoencoderKL" for kind in type(network).__mro__)
        return f"{__name__}:{autoencoder_kl.__name__}" if is_kl else None
    method = getattr(network, "reconstruct", None)
    return f"{__name__}:{reconstruct.__name__}" if callable(method) and _takes_a_batch(method) else None


def reconstruct(network: Any) -> Callable[[Tensor], Any]:
    """For `deterministic`: the network's own method of that name, as that of a variational autoencoder."""
    if not callable(method := getattr(network, "reconstruct", None)):
        raise InputError(
            f"{type(network).__name__} has no method reconstruct; leave deterministic out, or name another"
        )
    return method


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
