"""Networks from outside, as a run keeps them: their weights in its folder, with what they are in a sidecar."""

import json
from collections.abc import Mapping
from pathlib import Path

from memrec_core import weights_file
from memrec_core.errors import InputError
from workflows.experiment.models import GivenModel
from workflows.experiment.written import Experiment
from workflows.run.catalogue import Catalogue
from workflows.run.checkpoint_files import checkpoint_file, sidecar_file
from workflows.run.store import Store
from workflows.terminal import say


def keep_given(experiment: Experiment, store: Store, catalogues: Mapping[str, Catalogue]) -> None:
    """Keep the weights of the networks that are given, or see that they are those of the run's first step.

    Where the user's file is gone, what the run keeps will do, with a word. Raises InputError for other weights, and for
    a file that can't be read.
    """
    for model in experiment.given_models:
        name = checkpoint_file(model.label, None)
        if not store.exists(sidecar_file(name)):
            _keep(experiment, model, store, name, catalogues[model.data].fingerprint("train"))
        elif model.weights is not None and not Path(model.weights).exists():
            say(f"model {model.label}: {model.weights} is gone; the run goes on with the weights that it kept")
        elif weights_file.digest(model.packed()) != json.loads(store.read(sidecar_file(name)))["digest"]:
            raise InputError(
                f"the weights of model {model.label} are not those that {store.uri} was begun with; restore "
                f"{model.weights or 'them'}, or choose another --run"
            )


def _keep(experiment: Experiment, model: GivenModel, store: Store, name: str, asked_of: str) -> None:
    """Write the weights, and then the sidecar; of several drivers the first one's stay. `asked_of` identifies the
    pixels of the images that count as its training images."""
    weights = model.packed()
    metadata = {
        "model": model.label,
        "target": None,
        "loss": None,
        "digest": weights_file.digest(weights),
        "trained_on": asked_of,
        "data_set": experiment.data_set(model.data).model_dump(),
        "experiment": experiment.name,
        **model.described(experiment.seed),
    }
    store.write_new(name, weights)
    store.write_new(sidecar_file(name), json.dumps(metadata, indent=2).encode())
