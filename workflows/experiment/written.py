"""The experiment file: which images, networks, degradations and methods, as typed and validated objects."""

import hashlib
import inspect
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from memrec_core.autoencoders import BUILDERS, default_activation
from memrec_core.autoencoders.activations import ACTIVATIONS
from memrec_core.datasets import DATA_SETS
from memrec_core.degradations import MASKS
from memrec_core.degradations import mask as make_mask
from memrec_core.errors import InputError, shown, unknown
from memrec_core.recovery.unknown_mask import FIRST_MASKS
from memrec_core.training import RECIPES
from workflows.experiment import file as experiment_file
from workflows.experiment import yaml_reading
from workflows.experiment.data_folder import default_root
from workflows.experiment.file import PRIORS, SHIPPED, shipped
from workflows.experiment.invalid import sentence
from workflows.methods import GENERIC, METHODS

__all__ = ["PRIORS", "SHIPPED", "Data", "Degradation", "Experiment", "Model", "load", "parse", "shipped"]


def _whole(value: Any) -> Any:
    """A number without a fraction is a whole one, however it is written: 2e5 steps."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53 else value


def _one_of(kind: str, choices: Iterable[str]) -> AfterValidator:
    """The check that a name is one of `choices`; its error names the nearest."""

    def check(name: str) -> str:
        if name not in choices:
            raise ValueError(str(unknown(kind, name, choices)))
        return name

    return AfterValidator(check)


Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[Whole, Field(ge=1)]
NotNegative = Annotated[Whole, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
"""A name that becomes a folder of the run."""
Folder = Annotated[str, Field(min_length=1)]

ELSEWHERE = "elsewhere"
"""The context of an experiment whose files lie on other machines: its paths mean nothing on this one."""

GAMMAS: dict[str | tuple[str, str], float] = {("fc10", "leaky_relu"): 0.5, "unet": 1.0}
"""Appendix D.2; 0.1 for all other networks."""


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


LARGEST_SIDE = 4096
"""Of a picture, in pixels."""


def _size(value: Any) -> Any:
    """The side of a square, or height and width; refuses all else in one sentence, where pydantic has one of each."""
    sides = value if isinstance(value, list) else [value, value]
    if len(sides) != 2 or not all(type(side) is int and 1 <= side <= LARGEST_SIDE for side in sides):
        raise ValueError(
            f"{shown(value)} is no size; give the side of squares in pixels, from 1 to {LARGEST_SIDE}, or "
            "[height, width], such as [28, 20]"
        )
    return value


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Data(Section):
    """A training set: `name` is one of memrec_core.datasets, `root` its folder or tar where it needs one, `label` what
    the results call it, its name where left out.

    Pictures are brought to `size`, the side of a square or [height, width] in pixels, and to 1 (grey), 2 (grey and
    alpha), 3 (RGB) or 4 (RGB and alpha) `channels`.
    """

    name: Annotated[str, _one_of("data set", DATA_SETS)]
    label: Label | None = None
    count: Count | None = None
    size: Annotated[int | list[int], BeforeValidator(_size)] = 32
    channels: Annotated[int, Field(ge=1, le=4)] = 3
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
        _takes(self.name, DATA_SETS[self.name].load, [name for name in ("root", "control_root") if getattr(self, name)])
        object.__setattr__(self, "label", self.label or self.name)
        return self

    @property
    def height(self) -> int:
        return self.size if isinstance(self.size, int) else self.size[0]

    @property
    def width(self) -> int:
        return self.size if isinstance(self.size, int) else self.size[1]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        return self.channels, self.height, self.width


class Model(Section):
    """An autoencoder; `gamma` is that of its recovery, the paper's value where left out.

    `data` is the label of the data set that it is trained on; where left out, one is trained on each. `width` is for
    fc10, fc20 and tied, `channels` and `skips` for unet; these and `activation` are the architecture's own where left
    out.
    """

    architecture: Annotated[str, _one_of("autoencoder", BUILDERS)]
    activation: Annotated[str, _one_of("activation", ACTIVATIONS)] | None = None
    width: Count | None = None
    channels: list[Count] | None = None
    skips: list[NotNegative] | None = None
    gamma: Positive | None = None
    data: Label | None = None
    label: Label | None = None

    @model_validator(mode="after")
    def _fill_in(self) -> "Model":
        if self.label == GENERIC:
            raise ValueError(f"label {GENERIC} is that of the methods without a network; choose another")
        object.__setattr__(self, "activation", self.activation or default_activation(self.architecture))
        gamma = self.gamma or GAMMAS.get((self.architecture, self.activation), GAMMAS.get(self.architecture, 0.1))
        object.__setattr__(self, "gamma", gamma)
        _takes(self.architecture, BUILDERS[self.architecture], self.options)
        return self

    def on_each(self, data_sets: list[str]) -> list["Model"]:
        """One for each of the data sets that it is trained on, by label; where there are several data sets, its label
        ends with theirs unless the user gave both."""
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
    optimiser: Annotated[str, _one_of("optimiser", RECIPES)] | None = None
    learning_rate: Positive | None = None
    """These two are memrec_core.training's for the kind of network where left out."""
    batch_size: Count | None = None
    max_steps: Count = 200_000


def _name_of_number(mask: Any) -> Any:
    """The paper's masks have numbers, with or without quotes."""
    number = str(mask) if isinstance(mask, str | int) and not isinstance(mask, bool) else ""
    return MASKS.get(int(number), number) if re.fullmatch("[0-9]{1,9}", number) else mask


def _known_mask(name: str) -> str:
    try:
        make_mask(name, (1, 64, 64))
    except InputError as error:
        raise ValueError(f"{unknown('mask', name, MASKS.values())}, or another per cent, 1 to 99") from error
    return name


class Degradation(Section):
    """A mask, by name or by the paper's number, and the standard deviation of Gaussian noise, in [0, 1] units."""

    mask: Annotated[str, BeforeValidator(_name_of_number), AfterValidator(_known_mask)]
    noise_std: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    per_image: bool = False
    """Whether each image has a random mask of its own."""

    @model_validator(mode="after")
    def _random_per_image(self) -> "Degradation":
        if self.per_image and not self.mask.startswith("random_"):
            raise ValueError(f"per_image is for random masks; {self.mask} is the same for all images")
        return self

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
    first_mask: Annotated[str, _one_of("first mask", FIRST_MASKS)] | None = None
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
        path = Path(_of_somebody(prior)).expanduser()
        here = prior.startswith(("~", ".")) or (path.is_dir() and not (PRIORS / prior).is_dir())
        if info.context == ELSEWHERE and here and not Path(prior).is_absolute():
            raise ValueError(
                f"{shown(prior)} is a path of this machine, and the prior is read on the cluster; give the absolute "
                "path there"
            )
        return str(path) if prior.startswith("~") else prior

    @property
    def source(self) -> str:
        """What diffusion_prior.load takes."""
        return str(PRIORS / self.prior) if (PRIORS / self.prior).is_dir() else self.prior


class Experiment(Section):
    """One experiment; a run's folder belongs to exactly one. `data` is a data set or a list of them."""

    name: Label
    description: str = ""
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = 42
    data: Annotated[list[Data], Field(min_length=1)]
    models: Annotated[list[Model], Field(min_length=1)]
    training: Training = Training()
    degradations: Annotated[list[Degradation], Field(min_length=1)]
    methods: Annotated[list[Annotated[str, _one_of("method", METHODS)]], Field(min_length=1)] = [
        "unknown_mask",
        "known_mask",
        "autoencoder_iterations",
    ]
    recovery: Recovery = Recovery()
    ddnm: Ddnm | None = None
    images_per_unit: Count | None = None
    """How many recoveries a work unit does, and one Parquet file holds, about: of a part of the images under one
    degradation, or of all of them under several. Where left out, so many that a unit takes two minutes, as measured on
    the cluster."""
    pictures: NotNegative = 0
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
        for number, model in enumerate(self.models):
            if model.data is not None and model.data not in labels:
                raise ValueError(f"models.{number}.data: {unknown('data set', model.data, labels)}")
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
            if twice := [label for label, times in Counter(labels).items() if times > 1]:
                raise ValueError(f"{what} has an entry twice ({shown(twice[0])}); give each once, or its own label")
        if "ddnm" in self.methods and self.ddnm is None:
            raise ValueError("method ddnm needs ddnm.prior, the folder of a diffusion model; see README.md")
        return self

    @property
    def digest(self) -> str:
        """Changes with anything that could change a result: not with what the experiment is called, nor with where the
        images lie, which are known by their pixels."""
        tree = self.model_dump(exclude={"name", "description", "data"})
        tree["data"] = [data.model_dump(exclude={"root", "control_root"}) for data in self.data]
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]

    def data_set(self, label: str) -> Data:
        return next(data for data in self.data if data.label == label)

    def keeping_duplicates(self) -> "Experiment":
        """The same, with control images that are near-duplicates of training images."""
        kept = [data.model_copy(update={"keep_duplicates": True}) for data in self.data]
        return self.model_copy(update={"data": kept})

    def to_yaml(self) -> str:
        return yaml_reading.write(self.model_dump())


def load(
    source: str,
    overrides: list[str] | None = None,
    variant: str | None = None,
    elsewhere: bool = False,
    run: str | None = None,
) -> Experiment:
    """The experiment in the YAML file `source`, or the shipped one of that name, with `key=value` overrides.

    `variant` is one of the file's own, such as `cpu`: a smaller form of the experiment. A data set whose root the file
    leaves open is looked for where data_folder says; not where the experiment is for machines `elsewhere`, whose paths
    are left as they are. What `overrides` change is said in the description, and a shipped experiment that they change
    has the name of its `run`'s folder. Raises InputError, in one sentence, for a file that is missing or not YAML, and
    for any wrong key or value.
    """
    found = experiment_file.find(source)
    experiment = parse(found.text, found.origin, overrides, variant, found.folder, elsewhere)
    if overrides:
        plain = _without_overrides(found, variant)
        if plain is None or _about(plain) != _about(experiment):
            name = experiment.name if plain is None else plain.name
            experiment = _retitled(experiment, name, overrides, run, source in shipped())
    if elsewhere:
        return experiment
    located = [data.model_copy(update={"root": data.root or default_root(data.name)}) for data in experiment.data]
    return experiment.model_copy(update={"data": located})


def data_sets_of(source: str, overrides: list[str] | None = None, variant: str | None = None) -> list[str]:
    """The names of the data sets, which need not be there yet; the rest as for `load`."""
    found = experiment_file.find(source)
    return [data.name for data in parse(found.text, found.origin, overrides, variant, found.folder).data]


def parse(
    text: str,
    origin: str,
    overrides: list[str] | None = None,
    variant: str | None = None,
    folder: Path | None = None,
    elsewhere: bool = False,
) -> Experiment:
    """The experiment that the YAML `text` describes; `origin` names it in error messages. Its relative paths start from
    `folder`, the working directory where left out; those of `overrides` always from the working directory."""
    context = ELSEWHERE if elsewhere else None
    written = experiment_file.read(text, origin, None if elsewhere else folder or Path.cwd())
    tree = written.tree if variant is None else written.smaller(variant)
    if _is_valid(written.tree, context):  # else the file leaves entries to --set
        for name in written.variants:  # a mistake in one does not wait until it is asked for
            _checked(written.smaller(name), f"{origin}, variant {shown(name, quoted=False)}", context)
    changed = experiment_file.with_overrides(tree, overrides or [], None if elsewhere else Path.cwd())
    return _checked(changed, origin, context)


def resolved(text: str, origin: str) -> Experiment:
    """The experiment that `to_yaml` wrote: nothing in it depends on where it is read."""
    return _checked(yaml_reading.read(text, origin), origin)


def _without_overrides(found: experiment_file.Source, variant: str | None) -> Experiment | None:
    """The experiment as its file has it; None where that leaves entries to --set."""
    try:
        return parse(found.text, found.origin, None, variant, found.folder)
    except InputError:
        return None


def _about(experiment: Experiment) -> dict[str, Any]:
    """What an experiment's name and description speak of: not where the data of a publisher lie."""
    tree = experiment.model_dump(exclude={"name", "description"})
    tree["data"] = [
        data.model_dump(exclude={"root", "control_root"} if DATA_SETS[data.name].place else None)
        for data in experiment.data
    ]
    return tree


def _retitled(experiment: Experiment, name: str, overrides: list[str], run: str | None, is_shipped: bool) -> Experiment:
    """The experiment with a description that says what was changed of the one called `name`; and, where that is
    shipped, so that its name stands for something else, with the name of the run's folder."""
    given = {experiment_file.parts_of(override)[0] for override in overrides}
    update = {}
    if "description" not in given:
        changes = [override for override in overrides if experiment_file.parts_of(override)[0] != "name"]
        update["description"] = f"{name} with {', '.join(changes)}."
    if is_shipped and "name" not in given:
        folder = re.sub(r"[^A-Za-z0-9._-]+", "-", (run or "").rstrip("/").rpartition("/")[2]).strip("-._")
        update["name"] = (folder or f"{name}-changed")[:80]
    return experiment.model_copy(update=update)


def _checked(tree: Any, origin: str, context: str | None = None) -> Experiment:
    try:
        return Experiment.model_validate(tree, context=context)
    except ValidationError as error:
        raise InputError(f"{origin}: {sentence(error, Experiment, tree)}") from error


def _is_valid(tree: Any, context: str | None) -> bool:
    try:
        Experiment.model_validate(tree, context=context)
    except ValidationError:
        return False
    return True
