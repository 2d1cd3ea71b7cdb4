"""Networks from outside, as a run keeps them: their weights in its folder, with what they are in a sidecar."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memrec_core import weights_file
from memrec_core.errors import InputError
from workflows.experiment.models import GivenModel
from workflows.run.catalogue import Catalogue
from workflows.run.checkpoint_files import checkpoint_file, keep_checkpoint, sidecar_file
from workflows.run.run import Run
from workflows.terminal import say

ALIKE = 1e-3
"""How far, absolutely and in parts, a network's outputs may be from those of the run's first step: on another machine
they are summed in another order."""


def keep_given(run: Run, catalogues: Mapping[str, Catalogue]) -> None:
    """Keep the weights of the networks that are given, or see that they, and what is built with them, are those of the
    run's first step.

    Where the user's file is gone, what the run keeps will do, with a word. Raises InputError for other weights, for a
    file that can't be read, and for a network whose code gives other images by now.
    """
    store = run.store
    for model in run.experiment.given_models:
        name = checkpoint_file(model.label, None)
        if not store.exists(sidecar_file(name)):
            _keep(run, model, catalogues[model.data].fingerprint("train"))
            continue
        kept = json.loads(store.read(sidecar_file(name)))
        if model.weights is not None and not Path(model.weights).exists():
            say(f"model {model.label}: {model.weights} is gone; the run goes on with the weights that it kept")
        elif weights_file.digest(model.packed()) != kept.get("digest"):
            raise InputError(
                f"the weights of model {model.label} are not those that {store.uri} was begun with; restore "
                f"{model.weights or 'them'}, or choose another --run"
            )
        _check_outputs(run, model, kept)


def _check_outputs(run: Run, model: GivenModel, kept: Mapping[str, Any]) -> None:
    store = run.store
    name = checkpoint_file(model.label, None)
    if not store.is_file(name):  # which is told, or mended, where checkpoints are read
        return
    now = model.outputs(store.read(name), run.experiment.data_set(model.data).image_shape)
    if not np.allclose(now, kept.get("outputs", []), ALIKE, ALIKE):
        raise InputError(
            f"model {model.label}: with the weights that {store.uri} was begun with, {model.network.name} gives other "
            "images than then, so its code has changed; restore it, or choose another --run"
        )


def _keep(run: Run, model: GivenModel, asked_of: str) -> None:
    """Write the weights and what they are of. `asked_of` identifies the pixels of the images that count as its training
    images."""
    experiment, store = run.experiment, run.store
    weights, data = model.packed(), experiment.data_set(model.data)
    metadata = {
        "model": model.label,
        "target": None,
        "loss": None,
        "digest": weights_file.digest(weights),
        "trained_on": asked_of,
        "data_set": data.tree(),
        "experiment": experiment.name,
        "outputs": model.outputs(weights, data.image_shape),
        **model.described(experiment.seed),
    }
    name = checkpoint_file(model.label, None)
    store.remove(name)  # weights without a sidecar are those of a driver that was killed between the two
    keep_checkpoint(store, name, weights, metadata)
