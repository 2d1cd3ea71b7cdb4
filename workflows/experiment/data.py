"""The data sets of an experiment."""

from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from memrec_core.datasets import DATA_SETS
from memrec_core.errors import shown
from workflows.experiment.settings import (
    Count,
    Folder,
    Label,
    NotNegative,
    Section,
    absolute,
    check_keys,
    one_of,
)

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


class Data(Section):
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
    keep_duplicates: bool = False
    """Whether control images that are near-duplicates of training images count as control all the same."""
    options: dict[str, str | int | float | bool] = Field(default={}, exclude=True)
    """What else the data set takes; in the file these stand beside the other entries."""

    @model_validator(mode="before")
    @classmethod
    def _with_options(cls, tree: Any) -> Any:
        """The file's entries, with those that are the data set's own gathered."""
        if not isinstance(tree, dict) or "options" in tree:
            return tree
        name = tree.get("name")
        fields = [one for one in cls.model_fields if one != "options"]
        kind = DATA_SETS[name] if isinstance(name, str) and name in DATA_SETS else None
        known = [] if kind is None else [one for one in kind.options if one not in fields]
        check_keys(tree, [*fields, *known])
        options = {key: value for key, value in tree.items() if key in known}
        return {**{key: value for key, value in tree.items() if key not in options}, "options": options}

    @model_serializer(mode="wrap")
    def _flat(self, dumped: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {**dumped(self), **self.options}

    @field_validator("root", "control_root")
    @classmethod
    def _absolute(cls, path: str | None, info: ValidationInfo) -> str | None:
        return None if path is None else absolute(path, "the data is", "data.root=/data/pictures", info.context)

    @model_validator(mode="after")
    def _fill_in(self) -> "Data":
        for place in ("root", "control_root"):
            if getattr(self, place) and place not in DATA_SETS[self.name].options:
                raise ValueError(f"{self.name} takes no {place}; leave it out")
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
