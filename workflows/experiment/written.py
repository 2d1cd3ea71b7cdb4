"""What may be written in an experiment: images, networks, degradations and methods, as typed and checked objects."""

import hashlib
import importlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator, field_serializer, field_validator, model_validator

from memrec_core.degradations import DEGRADATIONS, Degradation
from memrec_core.errors import InputError, in_a_line, shown, unknown
from memrec_core.recovery import METHODS, Basis, Method
from memrec_core.training import RECIPES
from workflows.experiment import yaml_reading
from workflows.experiment.data import Data
from workflows.experiment.methods import (
    SHARED_SETTINGS,
    MethodEntry,
    fitting,
    method_of,
    usual_methods,
    with_settings_in_place,
    written_method,
)
from workflows.experiment.models import GivenModel, Model, TrainedModel, model_of
from workflows.experiment.settings import (
    LABEL,
    Count,
    Label,
    NotNegative,
    Positive,
    Section,
    Whole,
    as_written,
    check_keys,
    made_from,
    one_of,
    settings_of,
)

NEEDED = ("noise_std", "label", "erases", "operator", "degrade")
"""What a degradation has, whoever made it."""


class Training(Section):
    """How the networks are trained; a checkpoint is kept at the first step that reaches each of `targets` (MSE)."""

    targets: Annotated[list[Positive], Field(min_length=1)] = Field(default=[1e-4, 1e-5, 1e-6, 1e-7, 1e-8])
    optimiser: Annotated[str, one_of("optimiser", RECIPES)] | None = None
    learning_rate: Positive | None = None
    """These two are memrec_core.training's for the kind of network where left out."""
    batch_size: Count | None = None
    max_steps: Count = 200_000


def _degradation(tree: Any) -> Degradation:
    if isinstance(tree, tuple(DEGRADATIONS.values())):
        return tree
    if not isinstance(tree, Mapping):
        raise ValueError(f"input should be a mapping such as {{mask: center}}, not {shown(tree)}")
    made: Degradation = made_from("degradation", DEGRADATIONS, tree, NEEDED)
    if not re.fullmatch(LABEL, made.label):
        raise ValueError(f"label {shown(made.label)} of a degradation can't name a folder; mend what makes it")
    written_degradation(made)  # raises where a file could not hold it
    return made


def _degradations_in(tree: dict[str, Any]) -> list[Degradation]:
    """Those of an experiment's entries that are right; the others are told of by their own field."""
    found = []
    for one in tree["degradations"] if isinstance(tree.get("degradations"), list) else []:
        with suppress(ValueError):
            found.append(_degradation(one))
    return found


def written_degradation(degradation: Degradation) -> dict[str, Any]:
    return as_written(degradation.key, degradation)


class Experiment(Section):
    """One experiment; a run's folder belongs to exactly one. `data` is a data set or a list of them."""

    name: Label
    description: str = ""
    imports: list[str] = Field(default=[])
    """Modules to import first, which add to the registries: masks, methods, networks and data sets of one's own."""
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = 42
    data: Annotated[list[Data], Field(min_length=1)]
    models: Annotated[
        list[Annotated[Model, PlainValidator(model_of), PlainSerializer(lambda model: model.model_dump())]],
        Field(min_length=1),
    ]
    training: Training = Training()
    degradations: Annotated[
        list[Annotated[Degradation, PlainValidator(_degradation), PlainSerializer(written_degradation)]],
        Field(min_length=1),
    ]
    methods: Annotated[
        list[Annotated[MethodEntry, PlainValidator(method_of), PlainSerializer(written_method)]], Field(min_length=1)
    ]
    images_per_unit: Count | None = None
    """How many recoveries a work unit does, and one Parquet file holds, about: of a part of the images under one
    degradation, or of all of them under several. Where left out, so many that a unit takes two minutes, as measured on
    the cluster."""
    pictures: NotNegative = 0
    """Of how many images of each split the results keep pictures, as PNG."""

    @model_validator(mode="before")
    @classmethod
    def _with_settings_in_place(cls, tree: Any) -> Any:
        """Each method's entry with the settings that stand elsewhere: in the section of its name, or among the shared
        ones."""
        if not isinstance(tree, dict):
            return tree
        _import(tree.get("imports"))
        check_keys(tree, [*cls.model_fields, SHARED_SETTINGS, *METHODS])
        return with_settings_in_place(tree, usual_methods(_degradations_in(tree)))

    @field_validator("data", mode="before")
    @classmethod
    def _one_or_several(cls, data: Any) -> Any:
        return data if isinstance(data, list) else [data]

    @field_serializer("data")
    def _as_given(self, data: list[Data]) -> Any:
        return [entry.model_dump() for entry in data] if len(data) > 1 else data[0].model_dump()

    @model_validator(mode="after")
    def _train_on_each_data_set(self) -> "Experiment":
        labels = [data.label for data in self.data]
        for number, model in enumerate(self.models):
            if model.data and model.data not in labels:
                raise ValueError(f"models.{number}.data: {unknown('data set', model.data, labels)}")
        object.__setattr__(self, "models", [own for model in self.models for own in model.on_each(labels)])
        return self

    @model_validator(mode="after")
    def _methods_fit_the_degradations(self) -> "Experiment":
        """Where a method has another form for degradations that it does not accept, that form stands beside it."""
        object.__setattr__(self, "methods", list(fitting(self.methods, self.degradations)))
        return self

    @model_validator(mode="after")
    def _distinct(self) -> "Experiment":
        for what, labels in (
            ("data", [data.label for data in self.data]),
            ("models", [model.label for model in self.models]),
            ("degradations", [degradation.label for degradation in self.degradations]),
            ("methods", [entry.label for entry in self.methods]),
            ("training.targets", [f"{target:g}" for target in self.training.targets]),
        ):
            if twice := [label for label, times in Counter(labels).items() if times > 1]:
                own = "" if what in ("degradations", "training.targets") else ", or its own label"
                raise ValueError(f"{what} has an entry twice ({shown(twice[0])}); give each once{own}")
        return self

    @model_validator(mode="after")
    def _networks_can_be_built(self) -> "Experiment":
        for number, model in enumerate(self.models):
            try:
                model.check_options(self.data_set(model.data).image_shape)
            except InputError as error:
                raise ValueError(f"models.{number}: {in_a_line(error)}") from error
        return self

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """What it imports is there wherever it arrives."""
        super().__setstate__(state)
        _import(self.imports)

    @property
    def digest(self) -> str:
        """Changes with anything that could change a result: not with what the experiment is called, nor with where the
        images lie, which are known by their pixels."""
        tree = self.model_dump(exclude={"name", "description", "data", "models"})
        tree["models"] = [model.identity() for model in self.models]
        tree["data"] = [data.model_dump(exclude={"root", "control_root"}) for data in self.data]
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]

    def data_set(self, label: str) -> Data:
        return next(data for data in self.data if data.label == label)

    def model(self, label: str) -> Model:
        return next(model for model in self.models if model.label == label)

    def degradation(self, label: str) -> Degradation:
        return next(degradation for degradation in self.degradations if degradation.label == label)

    def method(self, label: str) -> Method:
        return next(entry.method for entry in self.methods if entry.label == label)

    @property
    def titles(self) -> dict[str, str]:
        """What tables and pages call its methods, by their labels, in their order there."""
        titles = Counter(entry.title for entry in self.methods)
        return {
            entry.label: entry.title if titles[entry.title] == 1 else f"{entry.title} ({entry.label})"
            for entry in self.methods
        }

    @property
    def networked(self) -> list[MethodEntry]:
        """The methods that use a network: done for each of its checkpoints."""
        return [entry for entry in self.methods if entry.method.rests_on is Basis.NETWORK]

    @property
    def generic(self) -> list[MethodEntry]:
        """The methods that use none: done once for each data set."""
        return [entry for entry in self.methods if entry.method.rests_on is not Basis.NETWORK]

    @property
    def trained_models(self) -> list[TrainedModel]:
        """The networks that are trained here."""
        return [model for model in self.models if isinstance(model, TrainedModel)]

    @property
    def given_models(self) -> list[GivenModel]:
        """The networks from outside."""
        return [model for model in self.models if isinstance(model, GivenModel)]

    @property
    def priors(self) -> list[str]:
        """The generic priors that its methods rest on, each once."""
        return list(dict.fromkeys(entry.prior for entry in self.methods if entry.prior))

    def under(self, label: str) -> list[Degradation]:
        """The degradations that a method accepts."""
        return [degradation for degradation in self.degradations if self.method(label).accepts(degradation)]

    def left_out(self) -> list[str]:
        """A sentence for each group of degradations that some methods do not accept."""
        without: dict[tuple[str, ...], list[str]] = {}
        for one in self.methods:
            labels = tuple(
                degradation.label for degradation in self.degradations if not self._is_tried(one, degradation)
            )
            without.setdefault(labels, []).append(one.label)
        return [
            f"not applicable, and left out: {', '.join(methods)} under {', '.join(labels)}"
            for labels, methods in without.items()
            if labels
        ]

    def _is_tried(self, entry: MethodEntry, degradation: Degradation) -> bool:
        """Whether a method, or its form for other degradations, is tried under a degradation."""
        others = [one.method for one in self.methods if one.method.name == entry.method.other_form]
        twins = [other for other in others if settings_of(other) == settings_of(entry.method)]
        return any(method.accepts(degradation) for method in (entry.method, *twins))

    def keeping_duplicates(self) -> "Experiment":
        """The same, with control images that are near-duplicates of training images."""
        kept = [data.model_copy(update={"keep_duplicates": True}) for data in self.data]
        return self.model_copy(update={"data": kept})

    def allowing_torch_weights(self) -> "Experiment":
        """The same, with weights of given networks that torch may have saved."""
        models = [one.allowing_torch_weights() if isinstance(one, GivenModel) else one for one in self.models]
        return self.model_copy(update={"models": models})

    def to_yaml(self) -> str:
        return yaml_reading.write(self.model_dump())


def _import(modules: Any) -> None:
    """Import what registers methods, masks and the like of the user's own. Raises ValueError where that fails."""
    for name in modules if isinstance(modules, list) and all(isinstance(one, str) for one in modules) else []:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # of the user's own code, of any kind
            raise ValueError(
                f"imports: module {shown(name)} can't be imported ({type(error).__name__}: {in_a_line(error)}); "
                "install its package where memrec runs, on every node, or put its folder on PYTHONPATH"
            ) from error
