"""An autoencoder of the diffusers library from its folder: config.json names the class, safetensors hold the weights.

No code of the folder is run, and nothing is fetched. The classes are attributes here, so that
`memrec_core.autoencoders.diffusers_folder:AutoencoderKL` names what builds such a network wherever diffusers is.
"""

import inspect
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from memrec_core import diffusers_model
from memrec_core.diffusers_model import CONFIG
from memrec_core.errors import InputError, in_a_line, shown, shown_name, unknown
from memrec_core.torchvision_import import import_torchvision

PIPELINES = "vae"
"""The folder of the autoencoder in that of a pipeline."""


def __getattr__(name: str) -> type[nn.Module]:
    if not _is_an_autoencoders(name):
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return kind(name)


def kind(name: str) -> type[nn.Module]:
    """The library's class of autoencoders of that name. Raises InputError where diffusers or the class is missing."""
    try:
        import_torchvision()  # which diffusers needs
        import diffusers

        found = getattr(diffusers, name, None) if _is_an_autoencoders(name) else None
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"autoencoder {shown(name, quoted=False)} needs diffusers, which can't be imported ({in_a_line(error)}); "
            "pip install -c constraints.txt diffusers"
        ) from error
    if not (isinstance(found, type) and issubclass(found, nn.Module) and hasattr(found, "from_pretrained")):
        choices = [name for name in dir(diffusers) if _is_an_autoencoders(name)]
        raise unknown("autoencoder of diffusers", name, choices)
    return found


def described(folder: str | Path) -> tuple[str, dict[str, Any]]:
    """What builds the network of a folder: the name of a function, and its options. Raises InputError as `loaded`."""
    network = loaded(folder)
    config: Any = network.config
    options = {name: config[name] for name in inspect.signature(type(network)).parameters if name in config}
    return f"{__name__}:{type(network).__name__}", options


def tensors_of(folder: str | Path) -> dict[str, Tensor]:
    """The weights of a folder's network, by its names of today. Raises InputError as `loaded`."""
    return loaded(folder).state_dict()


def loaded(folder: str | Path) -> nn.Module:
    """The network of a folder, or of a pipeline's, on the CPU.

    Raises InputError where the folder or diffusers is not there, it is of no autoencoder, or its weights are not
    exactly those of its class.
    """
    place = _place(Path(folder))
    name = diffusers_model.configuration(place).get("_class_name")
    if not isinstance(name, str):
        raise InputError(f"{shown_name(place / CONFIG)} names no class of diffusers; give an autoencoder's folder")
    return diffusers_model.loaded(place, kind(name))


def is_folder(path: str | Path) -> bool:
    """Whether it is a folder such as these."""
    return (Path(path) / CONFIG).is_file() or (Path(path) / PIPELINES / CONFIG).is_file()


def _place(folder: Path) -> Path:
    if not is_folder(folder):
        raise InputError(f"{shown_name(folder)} is no folder of diffusers: it has no {CONFIG}; give an autoencoder's")
    return folder if (folder / CONFIG).is_file() else folder / PIPELINES


def _is_an_autoencoders(name: str) -> bool:
    return name.startswith("Autoencoder") or name in ("AsymmetricAutoencoderKL", "VQModel")
