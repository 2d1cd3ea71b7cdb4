"""A model that the diffusers library saved: config.json says what it is, safetensors hold its weights.

No code of its folder is run, nothing is fetched, and no pickle is opened.
"""

import json
from pathlib import Path
from typing import Any

from torch import nn

from memrec_core.errors import InputError, in_a_line, shown, shown_name

CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
"""Where it is there, diffusers takes the weights from the files that it names."""


def configuration(folder: Path) -> dict[str, Any]:
    """What config.json says. Raises InputError where it is not there or damaged, or the weights are quantised."""
    config = entries_of(folder / CONFIG)
    if config.get("quantization_config") is not None:
        raise InputError(f"{shown_name(folder)} holds quantised weights; save it as plain numbers")
    return config


def loaded(folder: Path, made: Any) -> nn.Module:
    """The model of diffusers' class `made`, on the CPU.

    Raises InputError where its weights are damaged, no safetensors, or not exactly those of the class.
    """
    _check_files(folder)
    name = made.__name__
    try:
        model, said = made.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False, output_loading_info=True
        )
    except Exception as error:  # diffusers and safetensors fail in many ways over a damaged folder
        raise InputError(
            f"{shown_name(folder)} can't be loaded as diffusers' {name} ({in_a_line(error)}); save it again, with "
            "safe_serialization=True"
        ) from error
    if wrong := {what: keys for what, keys in said.items() if keys}:  # diffusers would draw what is missing
        raise InputError(
            f"the weights in {shown_name(folder)} are not those of its {name} ({shown(wrong, quoted=False)}); save it "
            "again"
        )
    return model


def entries_of(path: Path) -> dict[str, Any]:
    """A JSON file of values by name. Raises InputError where it is not there, or is none."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{shown_name(path)} does not exist; give the folder of a model of diffusers") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{shown_name(path)} is not JSON ({in_a_line(error)}); save the model again") from error
    if not isinstance(read, dict):
        raise InputError(f"{shown_name(path)} is not a mapping of names to values; save the model again")
    return read


def _check_files(folder: Path) -> None:
    """Raises InputError for weights in several files that are not all safetensors."""
    if not (folder / INDEX).is_file():
        return
    files = entries_of(folder / INDEX).get("weight_map")
    names = files.values() if isinstance(files, dict) else [None]
    if odd := [name for name in names if not isinstance(name, str) or not name.endswith(".safetensors")]:
        raise InputError(
            f"{shown_name(folder / INDEX)} names {shown(odd[0])}, which is no safetensors file; save it again"
        )
