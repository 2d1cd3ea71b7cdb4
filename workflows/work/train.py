"""Training the networks of an experiment: the checkpoints, and the state between them, in the run's folder."""

import hashlib
import json
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from memrec_core import autoencoders, checkpoints, training
from memrec_core.errors import InputError
from workflows.experiment.models import TrainedModel
from workflows.experiment.resolved import Experiment
from workflows.run.audit_set import AuditSet
from workflows.run.checkpoint_files import STATE, checkpoint_file, keep_checkpoint, sidecar_file
from workflows.run.images import catalogues_of
from workflows.run.store import CHECKPOINTS, Store


class TrainingSummary(NamedTuple):
    """The end of a training."""

    loss: float
    step: int
    seconds: float


class StoredState:
    """A training's state in the run's folder. Its name follows from what its course does: one that was of other
    pictures or settings is not found."""

    def __init__(self, experiment: Experiment, store: Store, model: TrainedModel, trained_on: str) -> None:
        settings = experiment.training.tree()
        settings = {name: settings[name] for name in ("optimiser", "learning_rate", "batch_size")}
        content = [trained_on, experiment.seed, settings, model.architecture, model.options]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
        self.store, self.file = store, f"{CHECKPOINTS}/{model.label}/{STATE}-{digest}.safetensors"
        self.name = store.show(self.file)

    def read(self) -> bytes | None:
        return self.store.read(self.file) if self.store.exists(self.file) else None

    def write(self, data: bytes) -> None:
        self.store.write(self.file, data)

    def remove(self) -> None:
        self.store.remove(self.file)


def train_model(
    experiment: Experiment,
    model: TrainedModel,
    audit: AuditSet,
    store: Store,
    on_step: Callable[[int, float], None] | None = None,
    device: str = "cpu",
) -> TrainingSummary:
    """Train one network on the training images, with a checkpoint at each target.

    Args:
        experiment: with the targets.
        model: the network, and what trains it.
        audit: the images of its data set.
        store: the run's folder, where checkpoints go and the state from which an interrupted training goes on.
        on_step: called with each step's number and the loss that was seen last.
        device: cpu or cuda.

    Raises TrainingError, after whatever targets were reached, when it can't reach the next, and InputError for other
    pictures than the run was begun with.
    """
    settings, began, images = experiment.training, time.monotonic(), audit.training_images(device)
    trained_on = audit.catalogue.fingerprint("train")
    if model.data in (kept := catalogues_of(store)) and kept[model.data].fingerprint("train") != trained_on:
        raise InputError(
            f"the training images of data set {model.data} are not those that {store.uri} was begun with; restore "
            "them, on all nodes, or choose another --run"
        )
    _remove_halves(experiment, model, store)
    torch.manual_seed(experiment.seed)
    network = autoencoders.build(model.architecture, audit.image_shape, **model.options).to(images.device)
    state = StoredState(experiment, store, model, trained_on)
    history = training.train(
        network,
        images,
        settings.targets,
        experiment.seed,
        lambda network, reached: _keep(experiment, model, network, reached, trained_on, store),
        optimiser=model.optimiser,
        learning_rate=model.learning_rate,
        batch_size=settings.batch_size,
        max_steps=settings.max_steps,
        state=state,
        on_step=on_step,
    )
    state.remove()
    if not all(store.exists(sidecar_file(checkpoint_file(model.label, target))) for target in settings.targets):
        # The state counted a target as reached whose checkpoint has been removed since.
        return train_model(experiment, model, audit, store, on_step, device)
    return TrainingSummary(history.reached[-1].loss, history.reached[-1].step, time.monotonic() - began)


def _remove_halves(experiment: Experiment, model: TrainedModel, store: Store) -> None:
    """Weights without a sidecar are those of a writer that was killed between the two, or ones that a user no longer
    trusts."""
    for target in experiment.training.targets:
        name = checkpoint_file(model.label, target)
        if not store.exists(sidecar_file(name)):
            store.remove(name)


def _keep(
    experiment: Experiment,
    model: TrainedModel,
    network: nn.Module,
    reached: training.Reached,
    trained_on: str,
    store: Store,
) -> None:
    """Write a checkpoint; `trained_on` identifies the pixels of the training images."""
    name = checkpoint_file(model.label, reached.target)
    metadata = {
        "model": model.label,
        "target": reached.target,
        "loss": reached.loss,
        "step": reached.step,
        "seed": experiment.seed,
        "trained_on": trained_on,
        "data_set": experiment.data_set(model.data).tree(),
        "experiment": experiment.name,
    }
    weights, metadata = checkpoints.to_bytes(network, metadata)
    keep_checkpoint(store, name, weights, metadata)
