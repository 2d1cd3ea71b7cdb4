"""The experiment that an audit is."""

from pathlib import Path
from typing import Any

from memrec_core.auditing.attacks import DEGRADATIONS, METHODS
from memrec_core.auditing.network import settled
from memrec_core.autoencoders import forms
from memrec_core.errors import shown
from workflows.audit.asked import Asked
from workflows.audit.folders import Folders
from workflows.experiment.loading import experiment_from
from workflows.experiment.methods import MethodEntry
from workflows.experiment.plain import changed_settings
from workflows.experiment.resolved import Experiment, written_degradation

NAME = "audit"
SETTINGS = ("range", "mean", "std", "output", "deterministic")
"""Of the network, as an audit is asked for with them."""


def experiment_of(asked: Asked, folders: Folders, names_key: Path | None = None) -> Experiment:
    """A given network, asked of the pictures of both folders under the attacks of every audit; the key of the pictures'
    names where these are hidden. Raises InputError for what no network is given by."""
    tree = {
        "name": NAME,
        "description": f"What {shown(asked.model, quoted=False)} gives away of its training images.",
        "seed": asked.seed,
        "data": _data(folders) | ({} if names_key is None else {"names_key": str(names_key)}),
        "models": [_model(network_of(asked, folders))],
        "degradations": [written_degradation(degradation) for degradation in DEGRADATIONS],
        "methods": [MethodEntry(method.name, method).tree() for method in METHODS],
        "pictures": asked.pictures,
    }
    experiment = experiment_from(tree, NAME)
    experiment = experiment.trusting_code() if asked.trust_code else experiment
    return experiment.allowing_torch_weights() if asked.allow_torch_weights else experiment


def _data(folders: Folders) -> dict[str, Any]:
    channels, *size = folders.shape
    return {
        "name": "image_folder",
        "root": str(folders.train),
        "control_root": str(folders.control),
        "count": folders.count,
        "control_count": folders.control_count,
        "size": size,
        "channels": channels,
    }


def network_of(asked: Asked, folders: Folders) -> forms.Named:
    """The network as it is applied to the pictures, and where its weights are. Raises InputError where nothing of the
    kind is named, or it can't be built."""
    settings = {name: value for name in SETTINGS if (value := getattr(asked, name)) is not None}
    return settled(forms.named(asked.model, asked.weights, asked.trust_code, **settings), folders.shape)


def _model(named: forms.Named) -> dict[str, Any]:
    settings = changed_settings(named.given)
    return {"given": settings.pop("factory"), **settings, "weights": named.weights}
