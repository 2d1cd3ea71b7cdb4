"""What may be written in an experiment: images, networks, degradations and methods, as typed and checked objects."""

import dataclasses
import hashlib
import importlib
import inspect
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from torch import nn

from memrec_core import autoencoders, checkpoints
from memrec_core.autoencoders import ARCHITECTURES
from memrec_core.datasets import LOADERS
from memrec_core.degradations import DEGRADATIONS, Degradation
from memrec_core.errors import InputError, in_a_line, shown, unknown
from memrec_core.recovery import METHODS, Basis, Method
from memrec_core.recovery.method import SHARED
from memrec_core.recovery.unknown_mask import FIRST_MASKS
from memrec_core.training import RECIPES
from workflows.experiment import yaml_reading
from workflows.experiment.file import PRIORS
from workflows.experiment.settings import (
    Count,
    Label,
    NotNegative,
    Positive,
    Section,
    Whole,
    arguments_of,
    as_written,
    below,
    check_keys,
    entry,
    one_of,
    plain_settings,
)

__all__ = ["ELSEWHERE", "GENERIC", "Data", "Experiment", "MethodEntry", "Model", "TrainedModel", "Training"]

Folder = Annotated[str, Field(min_length=1)]
Context = str | None

ELSEWHERE = "elsewhere"
"""The context of an experiment whose files lie on other machines: its paths mean nothing on this one."""
USUAL_METHODS = ["unknown_mask", "known_mask", "autoencoder_iterations"]
GENERIC = "generic"
"""What stands for the model in the results of methods without a network."""


def _of_somebody(path: str) -> str:
    """The path, if it is one: a ~ in it may be the home folder of nobody."""
    if "\0" in path:
        raise ValueError(f"{shown(path)} is no path")
    try:
        Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{shown(path, quoted=False)} names the home folder of nobody on this machine") from error
    return path


def _takes(name: str, function: Callable[..., Any], options: Iterable[str]) -> None:
    """Raise ValueError where what makes a network, or reads a data set, has no such option."""
    known = inspect.signature(function).parameters
    for option in options:
        if option not in known:
            raise ValueError(f"{name} takes no {option}; leave it out")


class Data(Section):
    """A training set: `name` is one of memrec_core.datasets, `root` its folder or tar where it needs one, `label` what
    the results call it, its name where left out."""

    name: Annotated[str, one_of("data set", LOADERS)]
    label: Label | None = None
    count: Count | None = None
    size: Annotated[int, Field(ge=1, le=4096)] = 32
    root: Folder | None = None
    control_root: Folder | None = None
    control_count: NotNegative | None = None
    """How many images that were not trained on; as many as `count` where it is left out, 0 for none."""
    keep_duplicates: bool = False
    """Whether control images that are near-duplicates of training images count as control all the same."""

    @field_validator("root", "control_root")
    @classmethod
    def _absolute(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is None or (info.context == ELSEWHERE and Path(path).is_absolute()):
            return path
        if info.context == ELSEWHERE:
            raise ValueError(
                f"{shown(path)} is a path of this machine, and the data is read on the cluster; give the absolute path "
                "there, such as --set data.root=/data/pictures"
            )
        return str(Path(_of_somebody(path)).expanduser().absolute())

    @model_validator(mode="after")
    def _fill_in(self) -> "Data":
        _takes(self.name, LOADERS[self.name], [name for name in ("root", "control_root") if getattr(self, name)])
        object.__setattr__(self, "label", self.label or self.name)
        return self


class Model(Section):
    """An autoencoder; `gamma` and `first_mask` are those of its recovery.

    `data` is the label of the data set that it is trained on; where left out, one is trained on each.
    """

    gamma: Positive
    first_mask: Annotated[str, one_of("first mask", FIRST_MASKS)]
    data: Label | None = None
    label: Label | None = None

    @field_validator("label")
    @classmethod
    def _is_no_generic_label(cls, label: str | None) -> str | None:
        if label == GENERIC:
            raise ValueError(f"label {GENERIC} is that of the methods without a network; choose another")
        return label

    @property
    def usual_label(self) -> str:
        """What it is called where the user does not say."""
        raise NotImplementedError

    def ladder(self, training: "Training") -> list[float | None]:
        """The training losses of its checkpoints, from the highest; [None] for a network that is not trained here."""
        raise NotImplementedError

    def check(self, image_shape: tuple[int, int, int]) -> None:
        """Raises InputError where it can't be built for images (C, H, W)."""
        raise NotImplementedError

    def untrained(self, image_shape: tuple[int, int, int]) -> nn.Module:
        """A network of its kind, whose weights don't matter."""
        raise NotImplementedError

    def described(self, seed: int) -> dict[str, Any]:
        """What the sidecars of its checkpoints say of it, in a run with that seed."""
        raise NotImplementedError

    def restored(self, weights: bytes, sidecar: bytes, name: str) -> tuple[nn.Module, dict[str, Any]]:
        """The network and its metadata from the two files of a checkpoint; `name` is for error messages."""
        raise NotImplementedError

    def on_each(self, data_sets: Sequence[str]) -> Iterator["Model"]:
        """One for each of the data sets that it is trained on, by label; where there are several data sets, its label
        ends with theirs unless the user gave both."""
        label = self.label or self.usual_label
        given = len(data_sets) == 1 or (self.label and self.data)
        for data in [self.data] if self.data else data_sets:
            yield self.model_copy(update={"data": data, "label": label if given else f"{label}-{data}"})


class TrainedModel(Model):
    """One of memrec's architectures, trained here. `options` are the architecture's own; in the file they stand beside
    the other entries."""

    architecture: Annotated[str, one_of("autoencoder", ARCHITECTURES)]
    options: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, tree: Any) -> Any:
        """The file's entries, with those of the architecture gathered, and what was left open as it has it."""
        if not isinstance(tree, dict):
            return tree
        own = [name for name in cls.model_fields if name != "options"]
        name = tree.get("architecture")
        if not isinstance(name, str) or name not in ARCHITECTURES:
            check_keys({key: tree[key] for key in tree if "architecture" not in tree}, [*own, *_options()])
            return {key: tree[key] for key in own if key in tree} | {"gamma": 1.0, "first_mask": FIRST_MASKS[0]}
        kind = ARCHITECTURES[name]
        check_keys(tree, [*own, *kind.options])
        given = {key: tree[key] for key in own if tree.get(key) is not None}
        options = {key: value for key, value in tree.items() if key not in own and value is not None}
        options = {**kind.default_options, **arguments_of(kind.build, options, leaving_out=1)}
        return {"gamma": kind.gamma_for(options), "first_mask": kind.first_mask, **given, "options": options}

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("gamma", "first_mask", "data", "label")}
        return {"architecture": self.architecture, **self._flat_options, **own}

    @property
    def _flat_options(self) -> dict[str, Any]:
        """The options as YAML and JSON have them."""
        return {name: list(one) if isinstance(one, tuple) else one for name, one in self.options.items()}

    @property
    def usual_label(self) -> str:
        return ARCHITECTURES[self.architecture].label(self.options)

    def ladder(self, training: "Training") -> list[float | None]:
        return sorted(training.targets, reverse=True)

    def check(self, image_shape: tuple[int, int, int]) -> None:
        _check_built(self.architecture, json.dumps(self.options), image_shape)

    def untrained(self, image_shape: tuple[int, int, int]) -> nn.Module:
        return autoencoders.build(self.architecture, image_shape, **self.options)

    def described(self, seed: int) -> dict[str, Any]:
        return {"architecture": self.architecture, "options": self._flat_options, "seed": seed}

    def restored(self, weights: bytes, sidecar: bytes, name: str) -> tuple[nn.Module, dict[str, Any]]:
        return checkpoints.from_bytes(weights, sidecar, name)


def _options() -> set[str]:
    """All that any architecture takes."""
    return {option for kind in ARCHITECTURES.values() for option in kind.options}


@cache
def _check_built(architecture: str, options: str, image_shape: tuple[int, int, int]) -> None:
    """Build it without its memory, for its errors alone."""
    with torch.device("meta"):
        autoencoders.build(architecture, image_shape, **json.loads(options))


class Training(Section):
    """How the networks are trained; a checkpoint is kept at the first step that reaches each of `targets` (MSE)."""

    targets: Annotated[list[Positive], Field(min_length=1)] = [1e-4, 1e-5, 1e-6, 1e-7, 1e-8]
    optimiser: Annotated[str, one_of("optimiser", RECIPES)] | None = None
    learning_rate: Positive | None = None
    """These two are memrec_core.training's for the kind of network where left out."""
    batch_size: Count | None = None
    max_steps: Count = 200_000


class SharedSettings(Section):
    """Settings for all methods that have them: the counts of Algorithm 1, of the alternation, and of the plain
    autoencoder iterations. A method's own entry wins."""

    inner_iterations: Count | None = None
    max_iterations: Count | None = None
    max_autoencoder_iterations: Count | None = None
    first_mask: Annotated[str, one_of("first mask", FIRST_MASKS)] | None = None

    def of(self, method: type[Method]) -> dict[str, Any]:
        """Those that the method has, by its own names for them."""
        names = {one.metadata.get(SHARED, one.name): one.name for one in dataclasses.fields(method)}
        return {names[name]: value for name, value in self if name in names and value is not None}


class MethodEntry(NamedTuple):
    """A method with its settings, and what the results call it: by its name, unless it has a label of its own."""

    label: str
    method: Method

    @property
    def title(self) -> str:
        """What tables and pages call it."""
        return self.method.title if self.label == self.method.name else f"{self.method.title} ({self.label})"


def _model(tree: Any, info: ValidationInfo) -> Model:
    if isinstance(tree, Model):
        return tree
    if not isinstance(tree, dict):
        raise ValueError(f"input should be a mapping of entries, not {shown(tree)}")
    return TrainedModel.model_validate(tree, context=info.context)


def _degradation(tree: Any) -> Degradation:
    if isinstance(tree, tuple(DEGRADATIONS.values())):
        return tree
    if not isinstance(tree, Mapping):
        raise ValueError(f"input should be a mapping such as {{mask: center}}, not {shown(tree)}")
    return entry("degradation", DEGRADATIONS, tree)


def _written_degradation(degradation: Degradation) -> dict[str, Any]:
    return as_written(degradation.key, degradation)


def _method(tree: Any, info: ValidationInfo) -> MethodEntry:
    if isinstance(tree, MethodEntry):
        return tree
    tree = {"name": tree} if isinstance(tree, str) else tree
    if not isinstance(tree, dict):
        raise ValueError(f"input should be a method's name, or a mapping such as {{name: ...}}, not {shown(tree)}")
    name = tree.get("name")
    if not isinstance(name, str) or name not in METHODS:
        raise unknown("method", name, METHODS)
    kind = METHODS[name]
    named = _Named.model_validate({key: tree[key] for key in ("name", "label") if key in tree})
    settings = {key: value for key, value in tree.items() if key not in ("name", "label")}
    if isinstance(prior := settings.get("prior"), str):
        settings["prior"] = _place_of_prior(prior, info.context)
    try:
        return MethodEntry(named.label or name, kind(**arguments_of(kind, settings)))
    except ValidationError as error:
        for one in error.errors():
            if one["type"] == "missing":
                setting = one["loc"][0]
                raise ValueError(f"method {name} needs {name}.{setting}; README.md tells what it is") from error
        raise


class _Named(Section):
    """What is not a setting in a method's entry."""

    name: str
    label: Label | None = None


def _written_method(entry: MethodEntry) -> dict[str, Any]:
    return {"name": entry.method.name, "label": entry.label, **plain_settings(entry.method)}


def _place_of_prior(prior: str, context: Context) -> str:
    """A folder's path, without a ~; the name of a shipped prior, or one on the hub, as it is."""
    path = Path(_of_somebody(prior)).expanduser()
    here = prior.startswith(("~", ".")) or (path.is_dir() and not (PRIORS / prior).is_dir())
    if context == ELSEWHERE and here and not Path(prior).is_absolute():
        raise ValueError(
            f"{shown(prior)} is a path of this machine, and the prior is read on the cluster; give the absolute "
            "path there"
        )
    return str(path) if prior.startswith("~") else prior


def source_of(prior: str) -> str:
    """What diffusion_prior.load takes: the folder of a shipped prior, by its name, or else the prior as it is."""
    return str(PRIORS / prior) if (PRIORS / prior).is_dir() else prior


class Experiment(Section):
    """One experiment; a run's folder belongs to exactly one. `data` is a data set or a list of them."""

    name: Label
    description: str = ""
    imports: list[str] = []
    """Modules to import first, which add to the registries: masks, methods, networks and data sets of one's own."""
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = 42
    data: Annotated[list[Data], Field(min_length=1)]
    models: Annotated[
        list[Annotated[Model, PlainValidator(_model), PlainSerializer(lambda model: model.model_dump())]],
        Field(min_length=1),
    ]
    training: Training = Training()
    degradations: Annotated[
        list[Annotated[Degradation, PlainValidator(_degradation), PlainSerializer(_written_degradation)]],
        Field(min_length=1),
    ]
    methods: Annotated[
        list[Annotated[MethodEntry, PlainValidator(_method), PlainSerializer(_written_method)]], Field(min_length=1)
    ]
    recovery: SharedSettings = SharedSettings()
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
        sections = {key: tree[key] for key in tree if key in METHODS and tree[key] is not None}
        for name, section in sections.items():
            _check_section(name, section)
        tree = {key: value for key, value in tree.items() if key not in METHODS}
        check_keys(tree, [*cls.model_fields, *METHODS])
        methods = tree.get("methods", USUAL_METHODS)
        if isinstance(methods, list):
            shared = _shared(tree.get("recovery"))
            methods = [_with_settings(one, shared, sections) for one in methods]
        return {**tree, "methods": methods}

    @field_validator("data", mode="before")
    @classmethod
    def _one_or_several(cls, data: Any) -> Any:
        return data if isinstance(data, list) else [data]

    @field_serializer("data")
    def _as_given(self, data: list[Data]) -> Any:
        return [entry.model_dump() for entry in data] if len(data) > 1 else data[0].model_dump()

    @model_validator(mode="after")
    def _train_on_each_data_set(self) -> "Experiment":
        labels = [str(data.label) for data in self.data]
        for number, model in enumerate(self.models):
            if model.data is not None and model.data not in labels:
                raise ValueError(f"models.{number}.data: {unknown('data set', model.data, labels)}")
        object.__setattr__(self, "models", [own for model in self.models for own in model.on_each(labels)])
        return self

    @model_validator(mode="after")
    def _methods_fit_the_degradations(self) -> "Experiment":
        """Where a method has another form for degradations that it does not accept, that form stands beside it."""
        object.__setattr__(self, "methods", list(_fitting(self.methods, self.degradations)))
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
                raise ValueError(f"{what} has an entry twice ({shown(twice[0])}); give each once, or its own label")
        return self

    @model_validator(mode="after")
    def _networks_can_be_built(self) -> "Experiment":
        for number, model in enumerate(self.models):
            try:
                model.check(self.data_set(str(model.data)).image_shape)
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
        tree = self.model_dump(exclude={"name", "description", "data", "recovery"})
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
        return {entry.label: entry.title for entry in self.methods}

    @property
    def trained_models(self) -> list[Model]:
        """The networks that are trained here."""
        return [model for model in self.models if model.ladder(self.training) != [None]]

    @property
    def priors(self) -> list[str]:
        """The generic priors that its methods rest on, each once."""
        return list(dict.fromkeys(one.method.prior for one in self.methods if one.method.rests_on is Basis.PRIOR))

    def under(self, label: str) -> list[Degradation]:
        """The degradations that a method accepts."""
        return [degradation for degradation in self.degradations if self.method(label).accepts(degradation)]

    def left_out(self) -> list[str]:
        """A sentence for each method that does not accept all degradations."""
        sentences = []
        for entry in self.methods:
            accepted = self.under(entry.label)
            if rest := [one.label for one in self.degradations if one not in accepted]:
                sentences.append(f"method {entry.label} does not apply under {', '.join(rest)}, and is left out there")
        return sentences

    def keeping_duplicates(self) -> "Experiment":
        """The same, with control images that are near-duplicates of training images."""
        kept = [data.model_copy(update={"keep_duplicates": True}) for data in self.data]
        return self.model_copy(update={"data": kept})

    def to_yaml(self) -> str:
        return yaml_reading.write(self.model_dump())


def _import(modules: Any) -> None:
    """Import what registers methods, masks and the like of the user's own. Raises ValueError where that fails."""
    for name in modules if isinstance(modules, list) else []:
        try:
            importlib.import_module(name)
        except Exception as error:  # of the user's own code, of any kind
            raise ValueError(
                f"imports: module {shown(name)} can't be imported ({type(error).__name__}: {in_a_line(error)}); install "
                "it where memrec runs, or correct its name"
            ) from error


def _check_section(name: str, section: Any) -> None:
    """Raises ValidationError for what is wrong in the section of a method's settings."""
    if not isinstance(section, dict):
        raise ValueError(f"{name}: input should be a mapping of its settings, not {shown(section)}")
    try:
        arguments_of(METHODS[name], section)
    except ValidationError as error:
        raise below(name, error) from error


def _shared(tree: Any) -> SharedSettings:
    try:
        return SharedSettings.model_validate(tree or {})
    except ValidationError:  # which the field itself tells of
        return SharedSettings()


def _with_settings(entry: Any, shared: SharedSettings, sections: Mapping[str, Any]) -> Any:
    name = entry.get("name") if isinstance(entry, dict) else entry
    if not isinstance(name, str) or name not in METHODS:
        return entry
    return {"name": name, **shared.of(METHODS[name]), **sections.get(name, {}), **(entry if entry != name else {})}


def _fitting(methods: Sequence[MethodEntry], degradations: Sequence[Degradation]) -> Iterator[MethodEntry]:
    """The methods that accept some of the degradations. Where one has another form for the rest, that stands beside it.

    Raises ValueError for a method that accepts none, in whatever form.
    """
    given = {type(entry.method) for entry in methods}
    for number, entry in enumerate(methods):
        own, other = type(entry.method), METHODS.get(getattr(entry.method, "other_form", ""))
        fits = any(map(own.accepts, degradations))
        if fits:
            yield entry
        if other is not None and other not in given and any(map(other.accepts, degradations)):
            label = other.name if entry.label == own.name else f"{entry.label}-{other.name}" if fits else entry.label
            yield MethodEntry(label, other(**vars(entry.method)))
        elif not fits and other not in given:
            would = [name for name, kind in METHODS.items() if any(map(kind.accepts, degradations))]
            raise ValueError(
                f"methods.{number}: {entry.method.name} accepts none of the degradations "
                f"({', '.join(one.label for one in degradations)}); choose among {', '.join(would)}, or add a "
                "degradation that it accepts, such as {mask: center}"
            )
