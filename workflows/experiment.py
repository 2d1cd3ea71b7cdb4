"""The experiment file: which images, networks, degradations and methods, as typed and validated objects."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from memrec_core.autoencoders import default_activation
from memrec_core.degradations import MASKS
from memrec_core.errors import InputError, in_a_line, unknown
from workflows.data_folder import default_root
from workflows.methods import GENERIC, METHODS

SHIPPED = Path(__file__).parent / "experiments"
PRIORS = Path(__file__).parent / "priors"
MethodName = Literal[tuple(METHODS)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
"""A name that becomes a folder of the run."""


GAMMAS: dict[str | tuple[str, str], float] = {("fc10", "leaky_relu"): 0.5, "unet": 1.0}
"""Appendix D.2; 0.1 for all other networks."""


ELSEWHERE = "elsewhere"
"""The context of an experiment whose files lie on other machines: its paths mean nothing on this one."""


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path} names the home folder of nobody on this machine") from error


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """A training set: `name` is one of memrec_core.datasets, `root` its folder or tar where it needs one, `label` what
    the results call it, its name where left out."""

    name: str
    label: Label | None = None
    count: Count | None = None
    size: Count = 32
    root: str | None = None
    control_root: str | None = None
    control_count: Annotated[int, Field(ge=0)] | None = None
    """How many images that were not trained on; as many as `count` where it is left out, 0 for none."""

    @field_validator("root", "control_root")
    @classmethod
    def _absolute(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is None or (info.context == ELSEWHERE and Path(path).is_absolute()):
            return path
        if info.context == ELSEWHERE:
            raise ValueError(
                f"{path} is a path of this machine, and the data is read on the cluster; give the absolute path there, "
                "such as --set data.root=/data/pictures"
            )
        return str(_expanded(path).absolute())

    @model_validator(mode="after")
    def _fill_in(self) -> "Data":
        object.__setattr__(self, "label", self.label or self.name)
        return self


class Model(Section):
    """An autoencoder; `gamma` is that of its recovery, the paper's value where left out.

    `data` is the label of the data set that it is trained on; where left out, one is trained on each. `width` is for
    fc10, fc20 and tied, `channels` and `skips` for unet; these and `activation` are the architecture's own where left
    out.
    """

    architecture: str
    activation: str | None = None
    width: Count | None = None
    channels: list[Count] | None = None
    skips: list[Annotated[int, Field(ge=0)]] | None = None
    gamma: Positive | None = None
    data: Label | None = None
    label: Label | None = None

    @model_validator(mode="after")
    def _fill_in(self) -> "Model":
        if self.label == GENERIC:
            raise ValueError(f"label {GENERIC} is that of the methods without a network; choose another")
        try:
            object.__setattr__(self, "activation", self.activation or default_activation(self.architecture))
        except InputError as error:
            raise ValueError(str(error)) from error
        gamma = self.gamma or GAMMAS.get((self.architecture, self.activation), GAMMAS.get(self.architecture, 0.1))
        object.__setattr__(self, "gamma", gamma)
        return self

    def on_each(self, data_sets: list[str]) -> list["Model"]:
        """One for each of the data sets that it is trained on, by label; where there are several data sets, its label
        ends with theirs unless the user gave both."""
        if self.data is not None and self.data not in data_sets:
            raise ValueError(str(unknown("data set", self.data, data_sets)))
        label = self.label or f"{self.architecture}-{self.activation}"
        given = len(data_sets) == 1 or (self.label and self.data)
        return [
            self.model_copy(update={"data": data, "label": label if given else f"{label}-{data}"})
            for data in ([self.data] if self.data else data_sets)
        ]

    @property
    def options(self) -> dict[str, Any]:
        """What autoencoders.build takes."""
        shape = {"width": self.width, "channels": self.channels, "skips": self.skips}
        return {"activation": self.activation} | {name: value for name, value in shape.items() if value is not None}

    @property
    def first_mask(self) -> str:
        """The paper's first estimate of the mask for this architecture."""
        return "zeros" if self.architecture == "unet" else "coin_flips"


class Training(Section):
    """How the networks are trained; a checkpoint is kept at the first step that reaches each of `targets` (MSE)."""

    targets: Annotated[list[Positive], Field(min_length=1)] = [1e-4, 1e-5, 1e-6, 1e-7, 1e-8]
    optimiser: Literal["adam", "soap"] | None = None
    learning_rate: Positive | None = None
    """These two are memrec_core.training's for the kind of network where left out."""
    batch_size: Count | None = None
    max_steps: Count = 200_000


class Degradation(Section):
    """A mask, by name or by the paper's number, and the standard deviation of Gaussian noise, in [0, 1] units."""

    mask: str
    noise_std: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    per_image: bool = False
    """Whether each image has a random mask of its own."""

    @model_validator(mode="after")
    def _random_per_image(self) -> "Degradation":
        if self.per_image and not self.mask.startswith("random_"):
            raise ValueError(f"per_image is for random masks; {self.mask} is the same for all images")
        return self

    @field_validator("mask", mode="before")
    @classmethod
    def _name_of_number(cls, mask: Any) -> Any:
        return MASKS.get(int(mask), str(mask)) if str(mask).isdecimal() else mask

    @property
    def label(self) -> str:
        own = "-per_image" if self.per_image else ""
        noise = f"-noise_{self.noise_std:g}" if self.noise_std else ""
        return f"{self.mask}{own}{noise}"


class Recovery(Section):
    """The counts of Algorithm 1, of the alternation and of the plain autoencoder iterations."""

    inner_iterations: Count = 40
    max_iterations: Count = 50
    max_autoencoder_iterations: Count = 1000
    first_mask: Literal["coin_flips", "zeros"] | None = None
    """The paper's for each architecture where left out."""


class Ddnm(Section):
    """The diffusion prior of the method ddnm, and the constants of its sampling."""

    prior: Annotated[str, Field(min_length=1)]
    """A folder in diffusers' layout, the name of one in workflows/priors, or a name on the Hugging Face hub."""
    may_have_seen: str = "not stated"
    """Whether the prior may have been trained on the audited images, in words for the report."""
    steps: Count = 100
    eta: Annotated[float, Field(ge=0, le=1)] = 0.85

    @field_validator("prior")
    @classmethod
    def _absolute(cls, prior: str, info: ValidationInfo) -> str:
        folder = _expanded(prior)
        here = folder.is_dir() and not (PRIORS / prior).is_dir()
        if info.context == ELSEWHERE and (here or prior.startswith(("~", "."))) and not Path(prior).is_absolute():
            raise ValueError(
                f"{prior} is a path of this machine, and the prior is read on the cluster; give the absolute path there"
            )
        return str(folder.absolute()) if here else prior

    @property
    def source(self) -> str:
        """What diffusion_prior.load takes."""
        return str(PRIORS / self.prior) if (PRIORS / self.prior).is_dir() else self.prior


class Experiment(Section):
    """One experiment; a run's folder belongs to exactly one. `data` is a data set or a list of them."""

    name: Label
    description: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    data: Annotated[list[Data], Field(min_length=1)]
    models: Annotated[list[Model], Field(min_length=1)]
    training: Training = Training()
    degradations: Annotated[list[Degradation], Field(min_length=1)]
    methods: Annotated[list[MethodName], Field(min_length=1)] = ["unknown_mask", "known_mask", "autoencoder_iterations"]
    recovery: Recovery = Recovery()
    ddnm: Ddnm | None = None
    images_per_unit: Count | None = None
    """How many recoveries a work unit does, and one Parquet file holds, about: of a part of the images under one
    degradation, or of all of them under several. Where left out, so many that a unit takes two minutes, as measured on
    the cluster."""
    pictures: Annotated[int, Field(ge=0)] = 0
    """Of how many images of each split the results keep pictures, as PNG."""

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
        object.__setattr__(self, "models", [own for model in self.models for own in model.on_each(labels)])
        return self

    @model_validator(mode="after")
    def _distinct(self) -> "Experiment":
        for what, labels in (
            ("data", [data.label for data in self.data]),
            ("models", [model.label for model in self.models]),
            ("degradations", [degradation.label for degradation in self.degradations]),
            ("methods", list(self.methods)),
            ("training.targets", [f"{target:g}" for target in self.training.targets]),
        ):
            if len(set(labels)) < len(labels):
                raise ValueError(f"{what} has an entry twice ({', '.join(labels)}); give each once, or its own label")
        if "ddnm" in self.methods and self.ddnm is None:
            raise ValueError("method ddnm needs ddnm.prior, the folder of a diffusion model; see README.md")
        return self

    @property
    def digest(self) -> str:
        """Changes with anything that could change a result."""
        tree = self.model_dump(exclude={"description"})
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]

    def data_set(self, label: str) -> Data:
        return next(data for data in self.data if data.label == label)

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)


def shipped() -> list[str]:
    """The names of the experiments in workflows/experiments."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load(
    source: str, overrides: list[str] | None = None, variant: str | None = None, elsewhere: bool = False
) -> Experiment:
    """The experiment in the YAML file `source`, or the shipped one of that name, with `key=value` overrides.

    `variant` is one of the file's own, such as `cpu`: a smaller form of the experiment. A data set whose root the file
    leaves open is looked for where data_folder says; not where the experiment is for machines `elsewhere`, whose paths
    are left as they are. Raises InputError, in one sentence, for a file that is missing or not YAML, and for any wrong
    key or value.
    """
    experiment = parse(*_read(source), overrides, variant, elsewhere)
    if elsewhere:
        return experiment
    located = [data.model_copy(update={"root": data.root or default_root(data.name)}) for data in experiment.data]
    return experiment.model_copy(update={"data": located})


def data_sets_of(source: str, overrides: list[str] | None = None, variant: str | None = None) -> list[str]:
    """The names of the data sets, which need not be there yet; the rest as for `load`."""
    return [data.name for data in parse(*_read(source), overrides, variant).data]


def _read(source: str) -> tuple[str, str]:
    """The experiment's text, and what to call it in error messages."""
    if source in shipped():
        return (SHIPPED / f"{source}.yaml").read_text(), f"experiment {source}"
    if Path(source).is_file():
        return Path(source).read_text(errors="replace"), source
    if source.endswith((".yaml", ".yml")) or "/" in source:
        raise InputError(f"experiment file {source} does not exist; give a YAML file or one of {', '.join(shipped())}")
    raise unknown("experiment", source, shipped())


def parse(
    text: str, origin: str, overrides: list[str] | None = None, variant: str | None = None, elsewhere: bool = False
) -> Experiment:
    """The experiment that the YAML `text` describes; `origin` names it in error messages."""
    try:
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{origin} is not valid YAML: {in_a_line(error)}") from error
    if not isinstance(tree, dict):
        raise InputError(f"{origin} is not an experiment: expected a YAML mapping with name, data, models, ...")
    variants = {} if (given := tree.pop("variants", None)) is None else given
    if not isinstance(variants, dict):
        raise InputError(f"{origin}: variants is not a mapping, such as cpu: {{data: {{count: 50}}}}")
    if variant is not None:
        if variant not in variants:
            raise unknown(f"variant of {origin}", variant, variants)
        changes = {} if variants[variant] is None else variants[variant]
        if not isinstance(changes, dict):
            raise InputError(f"{origin}: variants.{variant} is not a mapping of entries, such as data: {{count: 50}}")
        smaller = f"{tree.get('description', '')} This is its variant {variant}, a smaller form of it."
        named = {"name": f"{tree['name']}-{variant}"} if "name" in tree else {}
        tree = _merged(tree, {**named, "description": smaller.strip(), **changes})
    for override in overrides or []:
        _override(tree, override)
    try:
        return Experiment.model_validate(tree, context=ELSEWHERE if elsewhere else None)
    except ValidationError as error:
        raise InputError(f"{origin}: {_sentence(error, tree)}") from error


def _merged(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`tree` with the entries of `changes` in place of its own, mapping by mapping; lists are replaced whole."""
    both = {
        key: _merged(tree[key], value) if _mappings(tree.get(key), value) else value for key, value in changes.items()
    }
    return {**tree, **both}


def _mappings(*values: Any) -> bool:
    return all(isinstance(value, dict) for value in values)


def _override(tree: Any, override: str) -> None:
    """Set the entry that a dotted key names: `training.max_steps=500`, `models.0.width=64`."""
    key, equals, value = override.partition("=")
    if not key or not equals:
        raise InputError(f"--set {override!r} is not key=value, such as data.count=100")
    *parents, last = key.split(".")
    try:
        for part in parents:
            tree = tree[int(part)] if isinstance(tree, list) else tree.setdefault(part, {})
        tree[int(last) if isinstance(tree, list) else last] = yaml.safe_load(value)
    except (ValueError, IndexError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise InputError(
            f"--set {override!r} names no entry of the experiment ({in_a_line(error)}); such as data.count=100"
        ) from error


def _sentence(error: ValidationError, tree: dict[str, Any]) -> str:
    """The first of pydantic's complaints about `tree`, with the nearest valid name for an unknown key."""
    first = error.errors(include_url=False)[0]
    location = first["loc"]
    if location[:2] == ("data", 0) and not isinstance(tree["data"], list):
        location = ("data", *location[2:])
    where = ".".join(str(part) for part in location)
    if first["type"] == "extra_forbidden":
        return f"{where}: {unknown('key', location[-1], _keys_at(location[:-1]))}"
    found = "" if first["type"] in ("missing", "value_error") else f", not {first['input']!r}"
    said = first["msg"].removeprefix("Value error, ")
    return f"{where}: {said[0].lower()}{said[1:]}{found}".removeprefix(": ")


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """The valid keys of the section that `location` leads to."""
    section: type[BaseModel] = Experiment
    kinds: dict[str, type[BaseModel]] = {
        "data": Data,
        "models": Model,
        "training": Training,
        "degradations": Degradation,
        "recovery": Recovery,
        "ddnm": Ddnm,
    }
    for part in location:
        section = kinds.get(str(part), section)
    return list(section.model_fields)
