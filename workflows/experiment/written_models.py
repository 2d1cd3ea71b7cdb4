"""What may be written of networks."""

import re
from abc import ABC, abstractmethod
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import InstanceOf, ValidationInfo, field_validator, model_validator

from memrec_core.autoencoders import ARCHITECTURES, Given
from memrec_core.autoencoders.loading import PROGRAMS
from memrec_core.errors import InputError, shown, unknown
from memrec_core.recovery import Denoiser
from memrec_core.recovery.unknown_mask import FIRST_MASKS
from memrec_core.training import RECIPES, STARTS
from workflows.experiment.models import GENERIC, GivenModel, Model, TrainedModel
from workflows.experiment.settings import (
    LABEL,
    Folder,
    Label,
    Positive,
    Section,
    absolute,
    arguments_of,
    check_keys,
    one_of,
)

OPTIMISERS_BEFORE = {"fc10": "adam", "fc20": "adam"}
"""What trains a network, where it is not its own of today, in a run whose folder is of a revision that did not write it
there."""


class TrainedBy(Section):
    """What trains a network: names and numbers of memrec_core.training, its kind's own where left out."""

    optimiser: Annotated[str, one_of("optimiser", RECIPES)] | None = None
    start: Annotated[str, one_of("start", STARTS)] | None = None
    learning_rate: Positive | None = None


class WrittenModel(Section, ABC):
    """An autoencoder; `gamma` and `first_mask` are those of its recovery, its kind's own where left out.

    `data` is the label of the data set that it is trained on; where left out, there is one for each. `label` is what
    the results call it; where left out, its kind's, with that of the data set where there are several.
    """

    gamma: Positive | None = None
    first_mask: Annotated[str, one_of("first mask", FIRST_MASKS)] | None = None
    data: Label | None = None
    label: Label | None = None

    @field_validator("label")
    @classmethod
    def _is_no_generic_label(cls, label: str | None) -> str | None:
        if label == GENERIC:
            raise ValueError(f"label {GENERIC} is that of the methods without a network; choose another")
        return label

    @property
    @abstractmethod
    def usual_label(self) -> str:
        """What it is called where the user does not say."""

    @abstractmethod
    def on(self, data: str, label: str, training: TrainedBy) -> Model:
        """What it means on a data set, as part of an experiment. Raises InputError where it has no meaning."""

    def as_kept(self, training: TrainedBy) -> "WrittenModel":
        """The same as a run's folder means it, where what it leaves out had another value before."""
        return self

    def label_on(self, data: str, several: bool) -> str:
        """What it is called on a data set, of one or `several`. Raises InputError where that can't name a folder."""
        label = self.label or self.usual_label
        if label == GENERIC or not re.fullmatch(LABEL, label):
            raise InputError(f"label {shown(label)} of a model can't name a folder of the run; give it another")
        return f"{label}-{data}" if several and not (self.label and self.data) else label


class WrittenTrainedModel(WrittenModel, TrainedBy):
    """One of memrec's architectures, to be trained, by what trains the others but for what it says. `options` are the
    architecture's own; in the file they stand beside the other entries."""

    architecture: Annotated[str, one_of("autoencoder", ARCHITECTURES)]
    options: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, tree: Any) -> Any:
        """The file's entries, with those of the architecture gathered and checked."""
        known = [name for name in cls.model_fields if name != "options"]
        common = {name: tree[name] for name in known if name in tree}
        name = tree.get("architecture")
        if not isinstance(name, str) or name not in ARCHITECTURES:  # which its own check tells
            if "architecture" not in tree:
                check_keys(tree, [*known, *_options()])
            return {**common, "options": {}}
        kind = ARCHITECTURES[name]
        if kind.name != name:
            raise ValueError(f"autoencoder {name} is registered under another name than its own, {kind.name}; use that")
        check_keys(tree, [*known, *kind.options])
        options = {key: value for key, value in tree.items() if key not in known and value is not None}
        return {**common, "options": arguments_of(kind.build, options, leaving_out=1)}

    @property
    def usual_label(self) -> str:
        kind = ARCHITECTURES[self.architecture]
        return kind.label({**kind.default_options, **self.options})

    def on(self, data: str, label: str, training: TrainedBy) -> TrainedModel:
        kind = ARCHITECTURES[self.architecture]
        options = {**kind.default_options, **self.options}
        optimiser = self.optimiser or training.optimiser or kind.optimiser
        start = self.start or training.start or kind.start
        for what, name, known in (("optimiser", optimiser, RECIPES), ("start", start, STARTS)):
            if name not in known:
                raise unknown(f"{what} of autoencoder {kind.name}", name, known)
        return TrainedModel(
            label=label,
            data=data,
            gamma=self.gamma or kind.gamma_for(options),
            first_mask=self.first_mask or kind.first_mask,
            architecture=self.architecture,
            options=options,
            optimiser=optimiser,
            start=start,
            learning_rate=self.learning_rate or training.learning_rate or RECIPES[optimiser].learning_rate,
        )

    def as_kept(self, training: TrainedBy) -> "WrittenTrainedModel":
        optimiser = self.optimiser or training.optimiser or OPTIMISERS_BEFORE.get(self.architecture)
        return self.model_copy(update={"optimiser": optimiser})


def _options() -> list[str]:
    """All that any architecture takes."""
    return list(dict.fromkeys(option for kind in ARCHITECTURES.values() for option in kind.options))


class WrittenGivenModel(WrittenModel):
    """A network from outside. In the file, the entries of `network` stand beside the others: `given` is its factory,
    package.module:build; the rest are those of memrec_core.autoencoders.Given."""

    network: InstanceOf[Given]
    weights: Folder | None = None
    """A safetensors file, or the folder of a model of diffusers; where left out, what the factory gives it."""

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, tree: Any) -> Any:
        known = [name for name in cls.model_fields if name != "network"]
        settings = {key: value for key, value in tree.items() if key not in ("given", *known) and value is not None}
        check_keys(tree, ["given", *known, *(field.name for field in fields(Given) if field.name != "factory")])
        settings = arguments_of(Given, settings, leaving_out=1)
        if not isinstance(tree["given"], str):
            raise ValueError(f"given: {shown(tree['given'])} is not of the form package.module:function")
        common = {name: tree[name] for name in known if name in tree}
        return {**common, "network": Given(tree["given"], **settings)}

    @field_validator("weights")
    @classmethod
    def _absolute(cls, path: str | None, info: ValidationInfo) -> str | None:
        return None if path is None else absolute(path, "the weights are", "models.0.weights=/data/w.pt", info.context)

    @property
    def usual_label(self) -> str:
        of_file = [Path(self.weights).stem] if self.weights and self.network.factory in PROGRAMS else []
        labels = (re.sub(r"[^A-Za-z0-9.-]+", ".", name).strip(".-")[:80] for name in (*of_file, self.network.name))
        return next((label for label in labels if label not in ("", GENERIC)), "")

    def on(self, data: str, label: str, training: TrainedBy) -> GivenModel:
        return GivenModel(
            label=label,
            data=data,
            gamma=self.gamma or Denoiser.gamma,
            first_mask=self.first_mask or FIRST_MASKS[0],
            network=self.network,
            weights=self.weights,
        )


def model_of(tree: Any, info: ValidationInfo) -> WrittenModel:
    """The network that an entry of the file describes."""
    if not isinstance(tree, dict):
        raise ValueError(f"input should be a mapping of entries, not {shown(tree)}")
    kind = WrittenGivenModel if "given" in tree else WrittenTrainedModel
    return kind.model_validate(tree, context=info.context)
