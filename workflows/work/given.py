"""Networks from outside, as a run keeps them: their weights in its folder, with what they are in a sidecar."""

import json
from collections.abc import Mapping

from torch import nn

from memrec_core import weights_file
from memrec_core.autoencoders.given import build, to_safetensors
from memrec_core.errors import InputError
from workflows.experiment.models import GivenModel
from workflows.experiment.written import Experiment
from workflows.run.catalogue import Catalogue
from workflows.run.checkpoint_files import checkpoint_file, sidecar_file
from workflows.run.store import Store


def keep_given(experiment: Experiment, store: Store, catalogues: Mapping[str, Catalogue]) -> None:
    """Keep the weights of the networks that are given, or see that they are those of the run's first step.

    Where the user's file can't be read any more, what the run keeps will do. Raises InputError for other weights.
    """
    for model in experiment.given_models:
        name = checkpoint_file(model.label, None)
        if not store.exists(sidecar_file(name)):
            _keep(experiment, model, store, name, catalogues[model.data].fingerprint("train"))
            continue
        now, kept = _weights_now(model), json.loads(store.read(sidecar_file(name)))["digest"]
        if now is not None and weights_file.digest(now) != kept:
            raise InputError(
                f"the weights of model {model.label} are not those that {store.uri} was begun with; restore "
                f"{model.weights or 'them'}, or choose another --run"
            )


def _weights_now(model: GivenModel) -> bytes | None:
    """The weights as the run keeps them, from the user's file; None where that can't be read."""
    try:
        return _weights_of(model)
    except InputError:
        return None


def _weights_of(model: GivenModel) -> bytes:
    """A safetensors file. Raises InputError where the user's can't be read, or the network not be built."""
    tensors = model.tensors()
    if tensors is None:
        network = build(model.network).network
        tensors = network.state_dict() if isinstance(network, nn.Module) else {}
    return to_safetensors(tensors, model.network)


def _keep(experiment: Experiment, model: GivenModel, store: Store, name: str, asked_of: str) -> None:
    """Write the weights, and then the sidecar; of several drivers the first one's stay. `asked_of` identifies the
    pixels of the images that count as its training images."""
    weights = _weights_of(model)
    build(model.network, weights_file.weights_in(weights, name))
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
