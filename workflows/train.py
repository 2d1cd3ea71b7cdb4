"""Training the networks of an experiment; their checkpoints go to the run's folder."""

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from memrec_core import autoencoders, checkpoints, training
from memrec_core.errors import InputError, TrainingError
from workflows.audit_set import load_split
from workflows.experiment import Experiment, Model
from workflows.plan import loss_label
from workflows.progress import console, progress_bar
from workflows.store import CHECKPOINTS, Store


def train_models(experiment: Experiment, store: Store) -> None:
    """Train every network that lacks a checkpoint, one after the other.

    A killed training goes on from its last state. Raises TrainingError, after whatever targets were reached, when a
    network can't reach the next.
    """
    todo = [model for model in experiment.models if not all(_have(store, model, experiment))]
    for model in experiment.models:
        if model not in todo:
            targets = len(experiment.training.targets)
            console.print(f"training: {model.label} is done, with {targets} checkpoints", highlight=False)
    if not todo:
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(len(os.sched_getaffinity(0)))  # a Ray job starts with OMP_NUM_THREADS=1
    images = load_split(experiment, "train").images.to(device)
    for model in todo:
        _train(experiment, model, images, store)


def trained_checkpoints(experiment: Experiment, store: Store) -> list[dict[str, Any]]:
    """The metadata of the experiment's checkpoints, each model's from the highest loss to the lowest.

    Raises InputError where one is missing.
    """
    found = []
    for model in experiment.models:
        for target in sorted(experiment.training.targets, reverse=True):
            name = checkpoint_file(model.label, target)
            if not store.exists(sidecar(name)):
                raise InputError(f"{store.uri} has no checkpoint {name}; run memrec train or memrec run first")
            found.append(_read_sidecar(store, name))
    return found


def load_checkpoint(store: Store, model: str, target: float) -> tuple[nn.Module, dict[str, Any]]:
    """The network and its metadata; see checkpoints.load for the errors."""
    name = checkpoint_file(model, target)
    for file in (name, sidecar(name)):
        if not store.exists(file):
            raise InputError(f"{store.show(file)} does not exist; remove {store.show(sidecar(name))} and train again")
    return checkpoints.from_bytes(store.read(name), store.read(sidecar(name)), store.show(name))


def checkpoint_file(model: str, target: float) -> str:
    return f"{CHECKPOINTS}/{model}/{loss_label(target)}.safetensors"


def sidecar(name: str) -> str:
    return name.removesuffix(".safetensors") + ".json"


def _have(store: Store, model: Model, experiment: Experiment) -> list[bool]:
    return [store.exists(sidecar(checkpoint_file(model.label, target))) for target in experiment.training.targets]


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


def _train(experiment: Experiment, model: Model, images: torch.Tensor, store: Store) -> None:
    settings, began = experiment.training, time.monotonic()
    torch.manual_seed(experiment.seed)
    network = autoencoders.build(model.architecture, tuple(images.shape[1:]), **model.options).to(images.device)
    state = Path(store.path(f"{CHECKPOINTS}/{model.label}/state.safetensors")) if store.is_local else None
    lowest = min(settings.targets)
    with progress_bar(f"training {model.label}", total=-math.log10(lowest)) as bar:

        def keep(network: nn.Module, reached: training.Reached) -> None:
            _keep(experiment, model, network, reached, store)
            bar.update(-math.log10(reached.loss), f"step {reached.step}, loss {reached.loss:.1e}: checkpoint kept")

        def show(step: int, loss: float) -> None:
            if step % 10 == 0 and loss > 0:
                bar.update(min(max(-math.log10(loss), 0), bar.total), f"step {step}, loss {loss:.1e}")

        try:
            history = training.train(
                network,
                images,
                settings.targets,
                experiment.seed,
                keep,
                optimiser=settings.optimiser,
                learning_rate=settings.learning_rate,
                batch_size=settings.batch_size,
                max_steps=settings.max_steps,
                state=state,
                on_step=show,
            )
        except TrainingError as error:
            raise TrainingError(f"{model.label}: {error} (checkpoints already reached are kept)") from error
    if state is not None:
        state.unlink(missing_ok=True)
    last = history.reached[-1]
    seconds = time.monotonic() - began
    console.print(
        f"training: {model.label} reached {last.loss:.1e} in {last.step} steps, {seconds:.0f} s", highlight=False
    )


def _keep(experiment: Experiment, model: Model, network: nn.Module, reached: training.Reached, store: Store) -> None:
    """Write a checkpoint, its sidecar last."""
    metadata = {
        "model": model.label,
        "target": reached.target,
        "loss": reached.loss,
        "step": reached.step,
        "seed": experiment.seed,
        "data_set": experiment.data.model_dump(),
        "experiment": experiment.name,
    }
    weights, metadata = checkpoints.to_bytes(network, metadata)
    name = checkpoint_file(model.label, reached.target)
    store.write(name, weights)
    store.write(sidecar(name), json.dumps(metadata, indent=2).encode())
