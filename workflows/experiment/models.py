"""The networks of an experiment: trained here, or given."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from memrec_core import autoencoders, checkpoints, weights_file
from memrec_core.autoencoders import Given, forms
from memrec_core.autoencoders.fit import check_use
from memrec_core.autoencoders.given import Wrapped, build, check_output, from_safetensors, to_safetensors
from memrec_core.autoencoders.loading import tensors_of
from memrec_core.degradations import Shape
from memrec_core.errors import InputError, in_a_line
from memrec_core.precision import full_float32
from memrec_core.training.floor import Ranked
from memrec_core.training.recipes import in_words
from workflows.experiment.plain import changed_settings, plain

GENERIC = "generic"
"""What stands for the model in the results of methods without a network."""
TRAINED_BY = ("optimiser", "start", "learning_rate")
"""What an entry says of its network's training."""
OUTPUTS = 64
"""How many values of a given network's outputs are kept, about."""


@dataclass(frozen=True, kw_only=True)
class Model(ABC):
    """An autoencoder.

    Args:
        label: what the results call it.
        data: the label of the data set that it is trained on, or asked of.
        gamma: the penalty weight of its recovery.
        first_mask: the first estimate of an unknown mask there.
    """

    label: str
    data: str
    gamma: float
    first_mask: str

    @abstractmethod
    def tree(self) -> dict[str, Any]:
        """Its entry, as YAML and JSON have it."""

    def identity(self) -> dict[str, Any]:
        """Its entry, without what changes no result."""
        return self.tree()

    @property
    def _common(self) -> dict[str, Any]:
        """How the entry of any model ends."""
        return {"gamma": self.gamma, "first_mask": self.first_mask, "data": self.data, "label": self.label}

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


@dataclass(frozen=True, kw_only=True)
class TrainedModel(Model):
    """One of memrec's architectures, trained here.

    Args:
        architecture: its name, one of memrec_core.autoencoders.
        options: all of the architecture's own.
        optimiser: what trains it, one of memrec_core.training.RECIPES; the experiment's, or else the architecture's.
        start: where its training begins, one of memrec_core.training.STARTS; likewise.
        learning_rate: the experiment's, or else the optimiser's.
    """

    architecture: str
    options: Mapping[str, Any] = field(hash=False)
    optimiser: str
    start: str
    learning_rate: float

    def tree(self) -> dict[str, Any]:
        """Its entry; the options stand beside the others."""
        return {"architecture": self.architecture, **self._plain_options, **self.trained_by, **self._common}

    @property
    def trained_by(self) -> dict[str, Any]:
        """What trains it, as its entry has it."""
        return {name: getattr(self, name) for name in TRAINED_BY}

    @property
    def _plain_options(self) -> dict[str, Any]:
        """The options as YAML and JSON have them."""
        return {name: plain(value) for name, value in self.options.items()}

    @property
    def recipe(self) -> str:
        """What results call the way it is trained."""
        return in_words(self.optimiser, self.start, self.learning_rate)

    def ladder(self, targets: Sequence[float]) -> list[float | None]:
        return [*sorted(targets, reverse=True)]

    def check_options(self, image_shape: Shape) -> None:
        _size(self.architecture, json.dumps(self._plain_options), image_shape)

    def check_network(self, image_shape: Shape) -> None:
        self.check_options(image_shape)

    def example(self, image_shape: Shape) -> nn.Module:
        return autoencoders.build(self.architecture, image_shape, **self.options)

    def output_rank(self, image_shape: Shape) -> int | None:
        """Of the affine subspace that all its outputs lie in; None where it is not known, or all there is."""
        with torch.device("meta"):
            network = self.example(image_shape)
        return network.output_rank if isinstance(network, Ranked) else None

    def size(self, image_shape: Shape) -> int:
        return _size(self.architecture, json.dumps(self._plain_options), image_shape)

    def described(self, seed: int) -> dict[str, Any]:
        return {"architecture": self.architecture, "options": self._plain_options, "seed": seed}

    def restored(self, weights: bytes, sidecar: bytes, name: str) -> tuple[nn.Module, dict[str, Any]]:
        return checkpoints.from_bytes(weights, sidecar, name)


@cache
def _size(architecture: str, options: str, image_shape: Shape) -> int:
    """How many weights such a network has: it is built without its memory."""
    with torch.device("meta"):
        network = autoencoders.build(architecture, image_shape, **json.loads(options))
    return _weights_in(network)


def _weights_in(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@dataclass(frozen=True, kw_only=True)
class GivenModel(Model):
    """A network from outside, as it is.

    Args:
        network: what is to be known of it.
        weights: the file that they are in, safetensors, or the folder of a model of diffusers; None for those that the
            factory gives it.
        allows_torch_weights: whether that may be a state dict that torch saved; not for a file to say.
        trusts_code: whether it may be a program of torch's, which is run; likewise.
    """

    network: Given
    weights: str | None
    allows_torch_weights: bool = False
    trusts_code: bool = False

    @property
    def named(self) -> forms.Named:
        """The network as the core knows it."""
        return forms.Named(self.network, self.weights, self.trusts_code)

    def built(self, packed: bytes) -> Wrapped:
        """The network from its weights as `packed` has them."""
        return from_safetensors(packed, self.network, self.network.name, self.trusts_code)

    def tree(self) -> dict[str, Any]:
        """Its entry; the network's own stand beside the others, and `given` is its factory."""
        settings = changed_settings(self.network)
        return {"given": settings.pop("factory"), **settings, "weights": self.weights, **self._common}

    def ladder(self, targets: Sequence[float]) -> list[float | None]:
        return [None]

    def check_options(self, image_shape: Shape) -> None:
        """Of code that the user has installed nothing runs before its network is asked for."""

    def check_network(self, image_shape: Shape) -> None:
        """Built as the run will build it, twice: a network that keeps something random must be the same each time."""
        packed = self.packed()
        network = self.built(packed)
        autoencoders.check(network, image_shape, self.network.name)
        check_output(network, image_shape)
        if self.outputs(packed, image_shape) != self.outputs(packed, image_shape):
            raise InputError(
                f"{self.network.name} builds another network each time, for it keeps something random that is not in "
                "its state dict; let it be seeded, or registered as a buffer that is saved"
            )

    def check_use(self, images: Tensor) -> None:
        """Raises InputError where the network clearly was trained on these images (N, C, H, W) in another range of
        pixels or order of colours, or for another output, than it is used. Where its file is gone, the run goes on with
        the weights that it kept of it."""
        if self.weights is None or Path(self.weights).exists():
            check_use(self.built(self.packed()), images, self.network.name)

    def outputs(self, packed: bytes, image_shape: Shape) -> list[float]:
        """Some values of what it makes of the same few images each time: they tell whether its code is the same."""
        images = torch.rand(2, *image_shape, generator=torch.Generator().manual_seed(1))
        with torch.no_grad(), full_float32():
            values = self.built(packed)(images).flatten()
        return values[:: max(len(values) // OUTPUTS, 1)].tolist()

    def packed(self) -> bytes:
        """Its weights as a run keeps them, a safetensors file: those of the user's file, or else of the factory.

        Raises InputError where the file can't be read, or the network not be built.
        """
        if self.weights is not None:
            tensors = tensors_of(self.weights, self.allows_torch_weights, self.network.factory)
        else:
            network = build(self.network).network
            tensors = network.state_dict() if isinstance(network, nn.Module) else {}
        return to_safetensors(tensors, self.network)

    def allowing_torch_weights(self) -> "GivenModel":
        """The same, whose weights may be a state dict that torch saved."""
        return replace(self, allows_torch_weights=True)

    def trusting_code(self) -> "GivenModel":
        """The same, which may be a program of torch's."""
        return replace(self, trusts_code=True)

    def example(self, image_shape: Shape) -> nn.Module:
        return self.named.example()

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
        return from_safetensors(weights, self.network, name, self.trusts_code), metadata

    def identity(self) -> dict[str, Any]:
        """The weights are known by their digest, not by their place."""
        return {name: value for name, value in self.tree().items() if name != "weights"}
