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
from memrec_core.training.state import OtherTrainingError
from workflows.experiment.models import TrainedModel
from workflows.run.audit_set import AuditSet
from workflows.run.checkpoint_files import STATE, checkpoint_file, keep_checkpoint, sidecar_file
from workflows.run.images import catalogues_of
from workflows.run.run import Run
from workflows.run.store import CHECKPOINTS


class TrainingSummary(NamedTuple):
    """The end of a training, and what a user must know of it, a sentence or nothing."""

    loss: float
    step: int
    seconds: float
    remark: str = ""


class StoredState:
    """A training's state in the run's folder. Its name follows from what its course does: one that was of other
    pictures or settings is not found."""

    def __init__(self, run: Run, model: TrainedModel, trained_on: str) -> None:
        experiment, store = run.experiment, run.store
        course = {**model.trained_by, "batch_size": experiment.training.batch_size}
        content = [trained_on, experiment.seed, course, model.architecture, model.options]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
        self.store, self.file = store, f"{CHECKPOINTS}/{model.label}/{STATE}-{digest}.safetensors"
        self.name = store.show(self.file)

    def read(self) -> bytes | None:
        return self.store.read(self.file) if self.store.exists(self.file) else None

    def write(self, data: bytes) -> None:
        self.store.write(self.file, data)

    def set_aside(self) -> str:
        """Move it out of the way of a training from the beginning; says where it is."""
        return self.store.show(self.store.set_aside(self.file))


def train_model(
    run: Run,
    model: TrainedModel,
    audit: AuditSet,
    on_step: Callable[[int, float], None] | None = None,
    device: str = "cpu",
    on_remark: Callable[[str], None] | None = None,
) -> TrainingSummary:
    """Train one network on the training images, with a checkpoint at each target.

    Args:
        run: its experiment has the targets and the batch size; its folder is where checkpoints go, and the state from
            which an interrupted training goes on.
        model: the network.
        audit: the images of its data set.
        on_step: called with each step's number and the loss that was seen last.
        device: cpu or cuda.
        on_remark: called with what a user must know, a sentence: that the training begins from its beginning, say.

    Raises TrainingError, after whatever targets were reached, when it can't reach the next, and InputError for other
    pictures than the run was begun with.
    """
    experiment, store = run.experiment, run.store
    settings, began, images = experiment.training, time.monotonic(), audit.training_images(device)
    trained_on = audit.catalogue.fingerprint("train")
    if model.data in (kept := catalogues_of(store)) and kept[model.data].fingerprint("train") != trained_on:
        raise InputError(
            f"the training images of data set {model.data} are not those that {store.uri} was begun with; restore "
            "them, on all nodes, or choose another --run"
        )
    _remove_halves(run, model)
    torch.manual_seed(experiment.seed)
    network = autoencoders.build(model.architecture, audit.image_shape, **model.options).to(images.device)
    state = StoredState(run, model, trained_on)
    try:
        history = training.train(
            network,
            images,
            settings.targets,
            experiment.seed,
            lambda network, reached: _keep(run, model, network, reached, trained_on),
            optimiser=model.optimiser,
            start=model.start,
            learning_rate=model.learning_rate,
            batch_size=settings.batch_size,
            max_steps=settings.max_steps,
            state=state,
            on_step=on_step,
        )
    except OtherTrainingError:
        why = "the state of its training may be past a target that the experiment has gained since"
    else:
        if all(store.exists(sidecar_file(checkpoint_file(model.label, target))) for target in settings.targets):
            return TrainingSummary(history.reached[-1].loss, history.reached[-1].step, time.monotonic() - began)
        why = "a checkpoint that its training had reached is not there any more"
    remark = f"{model.label} is trained from its beginning, since {why}; that state is {state.set_aside()} now"
    if on_remark is not None:
        on_remark(remark)
    return train_model(run, model, audit, on_step, device, on_remark)._replace(remark=remark)


def _remove_halves(run: Run, model: TrainedModel) -> None:
    """Weights without a sidecar are those of a writer that was killed between the two, or ones that a user no longer
    trusts."""
    for target in run.experiment.training.targets:
        name = checkpoint_file(model.label, target)
        if not run.store.exists(sidecar_file(name)):
            run.store.remove(name)


def _keep(
    run: Run,
    model: TrainedModel,
    network: nn.Module,
    reached: training.Reached,
    trained_on: str,
) -> None:
    """Write a checkpoint; `trained_on` identifies the pixels of the training images."""
    name, experiment = checkpoint_file(model.label, reached.target), run.experiment
    metadata = {
        "model": model.label,
        "target": reached.target,
        "loss": reached.loss,
        "step": reached.step,
        "recipe": model.recipe,
        "seconds": None if reached.seconds is None else round(reached.seconds, 1),
        "seed": experiment.seed,
        "trained_on": trained_on,
        "data_set": experiment.data_set(model.data).tree(),
        "experiment": experiment.name,
    }
    weights, metadata = checkpoints.to_bytes(network, metadata)
    keep_checkpoint(run.store, name, weights, metadata)
