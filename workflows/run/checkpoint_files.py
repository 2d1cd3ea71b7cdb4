"""The checkpoints in a run's folder: checkpoints/<model>/<loss>.safetensors, and .json, which is written last."""

import json
import time
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from torch import nn

from memrec_core import weights_file
from memrec_core.errors import InputError, shown
from workflows.errors import StoreError
from workflows.experiment.models import Model, TrainedModel
from workflows.experiment.resolved import Experiment
from workflows.run.run import Run
from workflows.run.store import CHECKPOINTS, CONNECTIONS, Store

STATE = "state"
"""How the name of a file begins, in a model's folder, in which its training stands between two checkpoints."""
Checkpoint = tuple[str, float | None]
"""A model's label and a target of the training loss; None where the model was not trained here."""
GIVEN = "given"
BETWEEN_S = 5.0
"""How long a writer that is alive may take between the two files of a checkpoint."""


def loss_label(loss: float | None) -> str:
    """A training loss as the name of a file or folder: 1e-08."""
    return GIVEN if loss is None else f"{loss:g}"


def all_checkpoints(experiment: Experiment) -> list[Checkpoint]:
    """All that the experiment's networks come from: what trainings end with, and what was given."""
    return [
        (model.label, target) for model in experiment.models for target in model.ladder(experiment.training.targets)
    ]


def checkpoints_there(run: Run, known: dict[Checkpoint, str] | None = None) -> dict[Checkpoint, str]:
    """The digest of each checkpoint that is there.

    Beside those that are `known` already, it looks for the next one of each model alone: trainings make them in turn.
    """
    if known is None:
        return {(entry["model"], entry["target"]): entry["digest"] for _, entry in sidecars_of(run)}
    found = dict(known)
    for model in run.experiment.models:
        for target in model.ladder(run.experiment.training.targets):
            name = checkpoint_file(model.label, target)
            if (model.label, target) in found:
                continue
            if run.store.exists(sidecar_file(name)):
                found[model.label, target] = _read_sidecar(run, model.label, target)["digest"]
            else:
                break
    return found


def anew(model: TrainedModel, targets: Sequence[float], there: Container[Checkpoint]) -> str:
    """A sentence where a network is to be trained from its beginning to a target that its own training is past, beside
    the checkpoints that it has; empty for any other."""
    ladder = sorted(targets, reverse=True)
    done = [target for target in ladder if (model.label, target) in there]
    missing = [target for target in ladder if target not in done and done and target > min(done)]
    if not missing:
        return ""
    return (
        f"{model.label} is trained anew, from its beginning, for {' and '.join(map(loss_label, missing))}, since its "
        f"training is past that; what is there ({', '.join(map(loss_label, done))}) stays, and on another machine or "
        "version of torch it is of another course"
    )


def other_checkpoints(run: Run, checkpoints: Iterable[Checkpoint]) -> dict[Checkpoint, str]:
    """The digests of the checkpoints that the experiment does not have, by their sidecars, whatever else these say."""
    found = {}
    for model, target in set(checkpoints) - set(all_checkpoints(run.experiment)):
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):  # then nothing can be asked for again
            found[model, target] = str(
                json.loads(run.store.read(sidecar_file(checkpoint_file(model, target))))["digest"]
            )
    return found


def load_checkpoint(store: Store, model: Model, target: float | None) -> tuple[nn.Module, dict[str, Any]]:
    """The network and its metadata; see checkpoints.load for the errors."""
    return model.restored(*read_checkpoint(store, model.label, target))


def read_checkpoint(store: Store, model: str, target: float | None) -> tuple[bytes, bytes, str]:
    """The weights and the sidecar as they are, and what to call them in error messages."""
    name = checkpoint_file(model, target)
    for file in (name, sidecar_file(name)):
        if not store.is_file(file):
            raise InputError(f"{store.show(file)} does not exist; memrec run makes it again")
    return store.read(name), store.read(sidecar_file(name)), store.show(name)


def keep_checkpoint(store: Store, name: str, weights: bytes, metadata: dict[str, Any]) -> None:
    """Write the two files of a checkpoint, its sidecar last.

    Where another driver makes the same one, the first stays, and the units that were recovered from it.
    """
    sidecar = json.dumps(metadata | {"digest": weights_file.digest(weights)}, indent=2).encode()
    if not store.write_new(name, weights) and not _comes(store, sidecar_file(name)):
        store.write(name, weights)  # the other one was killed between its two files
    store.write_new(sidecar_file(name), sidecar)
    if not _belong_together(store, name):  # two drivers were between the two files at once
        store.write(name, weights)
        store.write(sidecar_file(name), sidecar)


def _comes(store: Store, name: str) -> bool:
    """Whether a file is there, or is before long."""
    end = time.monotonic() + BETWEEN_S
    while not store.exists(name):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _belong_together(store: Store, name: str) -> bool:
    try:
        return json.loads(store.read(sidecar_file(name)))["digest"] == weights_file.digest(store.read(name))
    except FileNotFoundError:
        return False


def sidecars_of(run: Run) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and the sidecar's contents of each checkpoint of the experiment that is there."""
    there = set(run.store.names(CHECKPOINTS, ".json"))
    wanted = [(checkpoint_file(*checkpoint), checkpoint) for checkpoint in all_checkpoints(run.experiment)]
    wanted = [(name, checkpoint) for name, checkpoint in wanted if sidecar_file(name) in there]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        read = pool.map(lambda entry: _read_sidecar(run, *entry[1]), wanted)
        yield from zip((name for name, _ in wanted), read, strict=True)


def damaged_checkpoints(run: Run) -> dict[Checkpoint, str]:
    """What is wrong with each checkpoint whose sidecar is damaged or another's, or whose weights are gone."""
    there = set(run.store.names(CHECKPOINTS, ""))

    def wrong_with(checkpoint: Checkpoint) -> str:
        name = checkpoint_file(*checkpoint)
        if sidecar_file(name) not in there and not run.store.is_folder(sidecar_file(name)):
            return ""
        if name not in there:
            return f"{run.store.show(name)} is gone"
        try:
            _read_sidecar(run, *checkpoint)
        except InputError as error:
            return str(error)
        return ""

    checkpoints = all_checkpoints(run.experiment)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        found = zip(checkpoints, pool.map(wrong_with, checkpoints), strict=True)
        return {checkpoint: what for checkpoint, what in found if what}


def set_checkpoint_aside(store: Store, model: str, target: float | None) -> str:
    """Move a checkpoint's files out of the way; says where they are."""
    name = checkpoint_file(model, target)
    moved = [store.set_aside(file) for file in (sidecar_file(name), name) if store.exists(file)]
    return f"what is left of the checkpoint is {' and '.join(moved)} now, and it is made again"


def checkpoint_file(model: str, target: float | None) -> str:
    return f"{CHECKPOINTS}/{model}/{loss_label(target)}.safetensors"


def sidecar_file(name: str) -> str:
    return name.removesuffix(".safetensors") + ".json"


def _read_sidecar(run: Run, label: str, target: float | None) -> dict[str, Any]:
    """Raises InputError unless it is there, whole, and of that network at that target."""
    name, store = checkpoint_file(label, target), run.store
    model = run.experiment.model(label)
    expected = {"model": label, "target": target, **model.described(run.experiment.seed)}
    try:
        metadata = json.loads(store.read(sidecar_file(name)))
        _, loss = metadata["digest"], metadata["loss"]
        found = {key: metadata[key] for key in expected}
    except (StoreError, FileNotFoundError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, StoreError) and store.is_file(sidecar_file(name)):
            raise
        raise InputError(f"{store.show(sidecar_file(name))} is not the sidecar of a run's checkpoint") from error
    if found != expected or not _reaches(loss, target):
        raise InputError(f"{store.show(sidecar_file(name))} is the sidecar of another checkpoint")
    recipe = metadata.get("recipe")  # earlier revisions did not write it
    if recipe is not None and isinstance(model, TrainedModel) and recipe != model.recipe:
        raise InputError(
            f"{store.show(sidecar_file(name))} is of a network that was trained by {shown(recipe)}, and the experiment "
            f"has it trained by {shown(model.recipe)}"
        )
    return metadata


def _reaches(loss: Any, target: float | None) -> bool:
    if target is None:
        return loss is None
    return isinstance(loss, float | int) and not isinstance(loss, bool) and 0 <= loss <= target
