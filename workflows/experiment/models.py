"""The networks of an experiment."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, Any

import torch
from pydantic import ValidationInfo, field_validator, model_serializer, model_validator
from torch import nn

from memrec_core import autoencoders, checkpoints
from memrec_core.autoencoders import ARCHITECTURES
from memrec_core.errors import shown
from memrec_core.recovery.unknown_mask import FIRST_MASKS
from workflows.experiment.settings import Label, Positive, Section, arguments_of, check_keys, one_of

GENERIC = "generic"
"""What stands for the model in the results of methods without a network."""


class Model(Section):
    """An autoencoder; `gamma` and `first_mask` are those of its recovery.

    `data` is the label of the data set that it is trained on; where left out, one is trained on each.
    """

    gamma: Positive
    first_mask: Annotated[str, one_of("first mask", FIRST_MASKS)]
    data: Label = ""
    label: Label = ""

    @field_validator("label")
    @classmethod
    def _is_no_generic_label(cls, label: str) -> str:
        if label == GENERIC:
            raise ValueError(f"label {GENERIC} is that of the methods without a network; choose another")
        return label

    @property
    def usual_label(self) -> str:
        """What it is called where the user does not say."""
        raise NotImplementedError

    def ladder(self, targets: Sequence[float]) -> list[float | None]:
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
    options: dict[str, Any]

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

    def ladder(self, targets: Sequence[float]) -> list[float | None]:
        return sorted(targets, reverse=True)

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


def model_of(tree: Any, info: ValidationInfo) -> Model:
    if isinstance(tree, Model):
        return tree
    if not isinstance(tree, dict):
        raise ValueError(f"input should be a mapping of entries, not {shown(tree)}")
    return TrainedModel.model_validate(tree, context=info.context)
