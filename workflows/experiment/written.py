"""What may be written in an experiment: images, networks, degradations and methods, typed and checked.

What is left out stays so: what it stands for is for `resolving` to say.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator, model_validator

from memrec_core.datasets import DATA_SETS
from memrec_core.degradations import DEGRADATIONS, Degradation
from memrec_core.errors import shown
from memrec_core.recovery import METHODS
from workflows.experiment.data import Option
from workflows.experiment.imports import import_all
from workflows.experiment.resolved import written_degradation
from workflows.experiment.settings import (
    LABEL,
    Count,
    Folder,
    Label,
    NotNegative,
    Positive,
    Section,
    Whole,
    absolute,
    check_keys,
    made_from,
    one_of,
)
from workflows.experiment.written_methods import SharedSettings, WrittenMethod, check_section
from workflows.experiment.written_models import TrainedBy, WrittenModel, model_of

LARGEST_SIDE = 4096
"""Of a picture, in pixels."""
NEEDED = ("noise_std", "label", "erases", "operator", "degrade")
"""What a degradation has, whoever made it."""


def _size(value: Any) -> Any:
    """The side of a square, or height and width; refuses all else in one sentence, where pydantic has one of each."""
    sides = value if isinstance(value, list) else [value, value]
    if len(sides) != 2 or not all(type(side) is int and 1 <= side <= LARGEST_SIDE for side in sides):
        raise ValueError(
            f"{shown(value)} is no size; give the side of squares in pixels, from 1 to {LARGEST_SIDE}, or "
            "[height, width], such as [28, 20]"
        )
    return value


class WrittenData(Section):
    """A training set: `name` is one of memrec_core.datasets, `root` its folder or tar where it needs one, `label` what
    the results call it, its name where left out.

    Pictures are brought to `size`, the side of a square or [height, width] in pixels, and to 1 (grey), 2 (grey and
    alpha), 3 (RGB) or 4 (RGB and alpha) `channels`.
    """

    name: Annotated[str, one_of("data set", DATA_SETS)]
    label: Label = ""
    count: Count | None = None
    size: Annotated[int | list[int], BeforeValidator(_size)] = 32
    channels: Annotated[int, Field(ge=1, le=4)] = 3
    root: Folder | None = None
    control_root: Folder | None = None
    control_count: NotNegative | None = None
    """How many images that were not trained on; as many as `count` where it is left out, 0 for none."""
    recover_count: Count | None = None
    """How many of the training images are recovered, drawn at random by the seed; all where it is left out."""
    keep_duplicates: bool = False
    """Whether control images that are near-duplicates of training images count as control all the same."""
    options: dict[str, Option] = Field(default={})
    """What else the data set takes; in the file these stand beside the other entries."""

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, tree: Any) -> Any:
        """The file's entries, with those that are the data set's own gathered."""
        if not isinstance(tree, dict):
            return tree
        name = tree.get("name")
        fields = [field for field in cls.model_fields if field != "options"]
        kind = DATA_SETS[name] if isinstance(name, str) and name in DATA_SETS else None
        known = [] if kind is None else [option for option in kind.options if option not in fields]
        check_keys(tree, [*fields, *known])
        options = {key: value for key, value in tree.items() if key in known}
        return {**{key: value for key, value in tree.items() if key not in options}, "options": options}

    @field_validator("root", "control_root")
    @classmethod
    def _absolute(cls, path: str | None, info: ValidationInfo) -> str | None:
        return None if path is None else absolute(path, "the data is", "data.root=/data/pictures", info.context)

    @model_validator(mode="after")
    def _takes_its_places(self) -> "WrittenData":
        for place in ("root", "control_root"):
            if getattr(self, place) and place not in DATA_SETS[self.name].options:
                raise ValueError(f"{self.name} takes no {place}; leave it out")
        return self


class WrittenTraining(TrainedBy):
    """How the networks are trained; a checkpoint is kept at the first step that reaches each of `targets` (MSE)."""

    targets: Annotated[list[Positive], Field(min_length=1)] = Field(default=[1e-4, 1e-5, 1e-6, 1e-7, 1e-8])
    batch_size: Count | None = None
    max_steps: Count = 200_000


def _degradation(tree: Any) -> Degradation:
    if not isinstance(tree, Mapping):
        raise ValueError(f"input should be a mapping such as {{mask: center}}, not {shown(tree)}")
    made: Degradation = made_from("degradation", DEGRADATIONS, tree, NEEDED)
    if not re.fullmatch(LABEL, made.label):
        raise ValueError(f"label {shown(made.label)} of a degradation can't name a folder; mend what makes it")
    written_degradation(made)  # raises where a file could not hold it
    return made


class WrittenExperiment(Section):
    """One experiment. `data` is a data set or a list of them."""

    name: Label
    description: str = ""
    imports: list[str] = Field(default=[])
    """Modules to import first, which add to the registries: masks, methods, networks and data sets of one's own."""
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = 42
    data: Annotated[list[WrittenData], Field(min_length=1)]
    models: Annotated[list[Annotated[WrittenModel, PlainValidator(model_of)]], Field(min_length=1)]
    training: WrittenTraining = WrittenTraining()
    degradations: Annotated[list[Annotated[Degradation, PlainValidator(_degradation)]], Field(min_length=1)]
    methods: Annotated[list[WrittenMethod], Field(min_length=1)] = Field(default=[])
    """Where left out, those of the paper that apply."""
    images_per_unit: Count | None = None
    """How many recoveries a work unit does, and one Parquet file holds, about: of a part of the images under one
    degradation, or of all of them under several. Where left out, so many that a unit takes two minutes, as measured on
    the cluster."""
    pictures: NotNegative = 0
    """Of how many images of each split the results keep pictures, as PNG."""
    attractors: bool | str = False
    """Whether the results have figures of each image as an attractor of the network, or which method's rows have them;
    those of the first method that uses a network where it is `true`."""
    recovery: SharedSettings | None = None
    sections: dict[str, dict[str, Any]] = Field(default={})
    """Settings for the methods of a name; in the file each stands beside the other entries, under that name."""

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, tree: Any) -> Any:
        """The file's entries, with the sections of methods gathered and checked."""
        if not isinstance(tree, dict):
            return tree
        imports = tree.get("imports")
        if isinstance(imports, list) and all(isinstance(name, str) for name in imports):
            import_all(imports)
        check_keys(tree, [*(name for name in cls.model_fields if name != "sections"), *METHODS])
        sections = {name: tree[name] for name in tree if name in METHODS and tree[name] is not None}
        for name, section in sections.items():
            check_section(name, section)
        return {**{key: value for key, value in tree.items() if key not in METHODS}, "sections": sections}

    def as_kept(self) -> "WrittenExperiment":
        """The same as a run's folder means it."""
        methods = [entry.as_kept() for entry in self.methods]
        models = [entry.as_kept(self.training) for entry in self.models]
        return self.model_copy(update={"methods": methods, "models": models})

    @field_validator("data", mode="before")
    @classmethod
    def _one_or_several(cls, data: Any) -> Any:
        return data if isinstance(data, list) else [data]
