"""The networks of an experiment: trained here, or given."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from typing import Annotated, Any

import torch
from pydantic import InstanceOf, PrivateAttr, ValidationInfo, field_validator, model_serializer, model_validator
from torch import nn

from memrec_core import autoencoders, checkpoints, weights_file
from memrec_core.autoencoders import ARCHITECTURES, Given
from memrec_core.autoencoders.given import build, from_safetensors, to_safetensors
from memrec_core.degradations import Shape
from memrec_core.errors import InputError, in_a_line, shown
from memrec_core.precision import full_float32
from memrec_core.recovery import Denoiser
from memrec_core.recovery.unknown_mask import FIRST_MASKS
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
    plain,
    plain_settings,
)

GENERIC = "generic"
"""What stands for the model in the results of methods without a network."""
OUTPUTS = 64
"""How many values of a given network's outputs are kept, about."""


class Model(Section, ABC):
    """An autoencoder; `gamma` and `first_mask` are those of its recovery.

    `data` is the label of the data set that it is trained on; where left out, there is one for each.
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
    @abstractmethod
    def usual_label(self) -> str:
        """What it is called where the user does not say."""

    @abstractmethod
    def ladder(self, targets: Sequence[float]) -> list[float | None]:
        """The training losses of its checkpoints, from the highest; [None] for a network that is not trained here."""

    @abstractmethod
    def check_options(self, image_shape: Shape) -> None:
        """Raises InputError where its entry describes no network for images (C, H, W)."""

    @abstractmethod
    def check_network(self, image_shape: Shape) -> None:
        """Raises InputError where it can't be built, or applied to such images."""

    @abstractmethod
    def example(self, image_shape: Shape) -> nn.Module:
        """A network of its kind, whose weights don't matter."""

    @abstractmethod
    def size(self, image_shape: Shape) -> int:
        """How many weights it has."""

    @abstractmethod
    def described(self, seed: int) -> dict[str, Any]:
        """What the sidecars of its checkpoints say of it, in a run with that seed."""

    @abstractmethod
    def restored(self, weights: bytes, sidecar: bytes, name: str) -> tuple[nn.Module, dict[str, Any]]:
        """The network and its metadata from the two files of a checkpoint; `name` is for error messages."""

    def identity(self) -> dict[str, Any]:
        """Its entry, without what changes no result."""
        return self.model_dump()

    def on_each(self, data_sets: Sequence[str]) -> Iterator["Model"]:
        """One for each of the data sets that it is trained on, by label; where there are several data sets, its label
        ends with theirs unless the user gave both."""
        label = self.label or self.usual_label
        if label == GENERIC or not re.fullmatch(LABEL, label):
            raise ValueError(f"label {shown(label)} of a model can't name a folder of the run; give it another")
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
        own = [name for name in cls.model_fields if name != "options"]
        name = tree.get("architecture")
        if not isinstance(name, str) or name not in ARCHITECTURES:
            if "architecture" not in tree:
                check_keys(tree, [*own, *_options()])
            rest = {"gamma": 1.0, "first_mask": FIRST_MASKS[0], "options": {}}  # the architecture is what is wrong
            return {**rest, **{key: tree[key] for key in own if key in tree}}
        kind = ARCHITECTURES[name]
        if kind.name != name:
            raise ValueError(f"autoencoder {name} is registered under another name than its own, {kind.name}; use that")
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
        return {name: plain(value) for name, value in self.options.items()}

    @property
    def usual_label(self) -> str:
        return ARCHITECTURES[self.architecture].label(self.options)

    def ladder(self, targets: Sequence[float]) -> list[float | None]:
        return [*sorted(targets, reverse=True)]

    def check_options(self, image_shape: Shape) -> None:
        _size(self.architecture, json.dumps(self._flat_options), image_shape)

    def check_network(self, image_shape: Shape) -> None:
        self.check_options(image_shape)

    def example(self, image_shape: Shape) -> nn.Module:
        return autoencoders.build(self.architecture, image_shape, **self.options)

    def size(self, image_shape: Shape) -> int:
        return _size(self.architecture, json.dumps(self._flat_options), image_shape)

    def described(self, seed: int) -> dict[str, Any]:
        return {"architecture": self.architecture, "options": self._flat_options, "seed": seed}

    def restored(self, weights: bytes, sidecar: bytes, name: str) -> tuple[nn.Module, dict[str, Any]]:
        return checkpoints.from_bytes(weights, sidecar, name)


def _options() -> set[str]:
    """All that any architecture takes."""
    return {option for kind in ARCHITECTURES.values() for option in kind.options}


@cache
def _size(architecture: str, options: str, image_shape: Shape) -> int:
    """How many weights such a network has: it is built without its memory."""
    with torch.device("meta"):
        network = autoencoders.build(architecture, image_shape, **json.loads(options))
    return _weights_in(network)


def _weights_in(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


class GivenModel(Model):
    """A network from outside, as it is. In the file, the entries of `network` stand beside the others: `given` is its
    factory, package.module:build; the rest are those of memrec_core.autoencoders.Given."""

    network: InstanceOf[Given]
    weights: Folder | None = None
    """A safetensors file; where left out, the weights that the factory gives it."""
    _allow_torch_weights: bool = PrivateAttr(default=False)
    """Whether `weights` may be a state dict that torch saved; not for a file to say."""

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, tree: Any) -> Any:
        own = [name for name in cls.model_fields if name != "network"]
        settings = {key: value for key, value in tree.items() if key not in ("given", *own)}
        check_keys(tree, ["given", *own, *(one.name for one in fields(Given) if one.name != "factory")])
        given = {key: tree[key] for key in own if tree.get(key) is not None}
        settings = arguments_of(Given, {key: value for key, value in settings.items() if value is not None}, 1)
        if not isinstance(tree["given"], str):
            raise ValueError(f"given: {shown(tree['given'])} is not of the form package.module:function")
        return {
            "gamma": Denoiser.gamma,
            "first_mask": FIRST_MASKS[0],
            **given,
            "network": Given(tree["given"], **settings),
        }

    @field_validator("weights")
    @classmethod
    def _absolute(cls, path: str | None, info: ValidationInfo) -> str | None:
        return None if path is None else absolute(path, "the weights are", "models.0.weights=/data/w.pt", info.context)

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        names = ("weights", "gamma", "first_mask", "data", "label")
        settings = plain_settings(self.network)
        return {"given": settings.pop("factory"), **settings, **{name: getattr(self, name) for name in names}}

    @property
    def usual_label(self) -> str:
        return re.sub(r"[^A-Za-z0-9.-]+", ".", self.network.name).strip(".-")[:80]

    def ladder(self, targets: Sequence[float]) -> list[float | None]:
        return [None]

    def check_options(self, image_shape: Shape) -> None:
        """Of code that the user has installed nothing runs before its network is asked for."""

    def check_network(self, image_shape: Shape) -> None:
        """Built as the run will build it, twice: a network that keeps something random must be the same each time."""
        packed = self.packed()
        autoencoders.check(from_safetensors(packed, self.network, self.network.name), image_shape, self.network.name)
        if self.outputs(packed, image_shape) != self.outputs(packed, image_shape):
            raise InputError(
                f"{self.network.name} builds another network each time, for it keeps something random that is not in "
                "its state dict; let it be seeded, or registered as a buffer that is saved"
            )

    def outputs(self, packed: bytes, image_shape: Shape) -> list[float]:
        """Some values of what it makes of the same few images each time: they tell whether its code is the same."""
        images = torch.rand(2, *image_shape, generator=torch.Generator().manual_seed(1))
        with torch.no_grad(), full_float32():
            values = from_safetensors(packed, self.network, self.network.name)(images).flatten()
        return values[:: max(len(values) // OUTPUTS, 1)].tolist()

    def packed(self) -> bytes:
        """Its weights as a run keeps them, a safetensors file: those of the user's file, or else of the factory.

        Raises InputError where the file can't be read, or the network not be built.
        """
        if self.weights is not None:
            tensors = weights_file.read_weights(self.weights, self._allow_torch_weights)
        else:
            network = build(self.network).network
            tensors = network.state_dict() if isinstance(network, nn.Module) else {}
        return to_safetensors(tensors, self.network)

    def allowing_torch_weights(self) -> "GivenModel":
        """The same, whose weights may be a state dict that torch saved."""
        allowed = self.model_copy()
        allowed._allow_torch_weights = True
        return allowed

    @property
    def allows_torch_weights(self) -> bool:
        return self._allow_torch_weights

    def example(self, image_shape: Shape) -> nn.Module:
        return build(self.network)

    def size(self, image_shape: Shape) -> int:
        return _weights_in(self.example(image_shape))

    def described(self, seed: int) -> dict[str, Any]:
        return self.network.spec

    def restored(self, weights: bytes, sidecar: bytes, name: str) -> tuple[nn.Module, dict[str, Any]]:
        try:
            metadata = json.loads(sidecar)
            fits = metadata["digest"] == weights_file.digest(weights)
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise InputError(f"the sidecar of {name} is damaged ({in_a_line(error)}); restore it") from error
        if not fits:
            raise InputError(f"{name} does not fit its sidecar: the digests differ; restore both")
        return from_safetensors(weights, self.network, name), metadata

    def identity(self) -> dict[str, Any]:
        """The weights are known by their digest, not by their place."""
        return {name: value for name, value in self.model_dump().items() if name != "weights"}


def model_of(tree: Any, info: ValidationInfo) -> Model:
    """The network that an entry of the file describes."""
    if isinstance(tree, Model):
        return tree
    if not isinstance(tree, dict):
        raise ValueError(f"input should be a mapping of entries, not {shown(tree)}")
    kind = GivenModel if "given" in tree else TrainedModel
    return kind.model_validate(tree, context=info.context)
