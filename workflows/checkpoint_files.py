"""The checkpoints in a run's folder: checkpoints/<model>/<loss>.safetensors, and .json, which is written last."""

import json
from typing import Any

from torch import nn

from memrec_core import checkpoints
from memrec_core.errors import InputError
from workflows.experiment import Experiment
from workflows.store import CHECKPOINTS, Store


def loss_label(loss: float) -> str:
    """A training loss as the name of a file or folder: 1e-08."""
    return f"{loss:g}"


Checkpoint = tuple[str, float]
"""A model's label and a target of the training loss."""


def all_checkpoints(experiment: Experiment) -> list[Checkpoint]:
    """What the experiment's trainings end with."""
    targets = sorted(experiment.training.targets, reverse=True)
    return [(model.label, target) for model in experiment.models for target in targets]


def trained_checkpoints(
    experiment: Experiment, store: Store, known: dict[Checkpoint, str] | None = None
) -> dict[Checkpoint, str]:
    """The digest of each checkpoint that is there.

    Beside those that are `known` already, it looks for the next one of each model alone: trainings make them in turn.
    """
    found = dict(known or {})
    for model in experiment.models:
        for target in sorted(experiment.training.targets, reverse=True):
            name = checkpoint_file(model.label, target)
            if (model.label, target) in found:
                continue
            if store.exists(sidecar(name)):
                found[model.label, target] = _read_sidecar(store, name)["digest"]
            elif known is not None:
                break
    return found


def load_checkpoint(store: Store, model: str, target: float) -> tuple[nn.Module, dict[str, Any]]:
    """The network and its metadata; see checkpoints.load for the errors."""
    return checkpoints.from_bytes(*read_checkpoint(store, model, target))


def read_checkpoint(store: Store, model: str, target: float) -> tuple[bytes, bytes, str]:
    """The weights and the sidecar as they are, and what to call them in error messages."""
    name = checkpoint_file(model, target)
    for file in (name, sidecar(name)):
        if not store.exists(file):
            raise InputError(f"{store.show(file)} does not exist; remove {store.show(sidecar(name))} and train again")
    return store.read(name), store.read(sidecar(name)), store.show(name)


def checkpoint_file(model: str, target: float) -> str:
    return f"{CHECKPOINTS}/{model}/{loss_label(target)}.safetensors"


def sidecar(name: str) -> str:
    return name.removesuffix(".safetensors") + ".json"


def _read_sidecar(store: Store, name: str) -> dict[str, Any]:
    try:
        metadata = json.loads(store.read(sidecar(name)))
        metadata["digest"], metadata["model"], metadata["target"], metadata["loss"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{store.show(sidecar(name))} is not the sidecar of a run's checkpoint ({error!r}); "
            "remove it, and memrec run trains that network again"
        ) from error
    return metadata
