"""What one task recovers, and one Parquet file holds."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from memrec_core.degradations import Degradation
from memrec_core.recovery import Method
from workflows.experiment.models import GENERIC, Model
from workflows.experiment.plain import changed_settings
from workflows.experiment.resolved import Experiment, written_degradation
from workflows.run.checkpoint_files import loss_label
from workflows.run.store import RECOVERY

Kind = tuple[str, str, str]
"""Data set, model and method."""
Network = tuple[str, float | None, str | None]
"""Model, target loss and the digest of the weights."""
SEVERAL = "several"
"""What stands for the degradation in the path of a unit that has several."""


class Place(NamedTuple):
    """What a method works on: a data set, and a network at one of its targets, or none."""

    data_set: str
    model: str
    target_loss: float | None


@dataclass(frozen=True)
class Unit:
    """What one task recovers, and one Parquet file holds: images start to stop of a data set under some degradations,
    one checkpoint, one method, by its label. A method that uses no network has the model `generic`; it has no training
    loss, nor has a network that was not trained here.

    `pictures` is of how many of the first images of each split it keeps pictures (None in plans of an earlier revision:
    as many as the experiment said then); whether that was `raised` since it was planned.

    `batch_size` is how many recoveries are side by side on the device, `images` a digest of the images' names and
    pixels, `settings` one of what else the values follow from. `checkpoint` is the digest of the weights (of the prior,
    or nothing, for a method that uses no network): None until the network is trained.
    """

    data_set: str
    model: str
    target_loss: float | None
    method: str
    degradations: tuple[str, ...]
    start: int
    stop: int
    images: str
    settings: str
    batch_size: int
    checkpoint: str | None = None
    pictures: int | None = None
    raised: bool = False

    @property
    def place(self) -> Place:
        return Place(self.data_set, self.model, self.target_loss)

    @property
    def network(self) -> Network:
        """Which one it is of. Two networks of an experiment may have the same weights, and differ in
        gamma, in the first mask, or in the images that their loss is of."""
        return self.model, self.target_loss, self.checkpoint

    @cached_property
    def name(self) -> str:
        """Follows from what the unit computes, so that the same work has the same file."""
        if self.checkpoint is None:
            raise ValueError(f"the unit {self} has no name before its network is trained")
        trained = f"{self.target_loss} {self.checkpoint}"  # two targets may have been reached at the same step
        content = (self.data_set, self.model, trained, *self.degradations, self.method, self.images, self.settings)
        content += (f"{self.pictures} pictures",) if self.raised else ()
        return hashlib.sha256("\x1f".join(content).encode()).hexdigest()[:16]

    @property
    def kind(self) -> Kind:
        """Units of one kind take equally long an image."""
        return self.data_set, self.model, self.method

    @property
    def file(self) -> str:
        degradation = self.degradations[0] if len(self.degradations) == 1 else SEVERAL
        return f"{self.folder}/{degradation}/{self.method}/{self.name}.parquet"

    @property
    def folder(self) -> str:
        """The folder of all units with this checkpoint."""
        network = f"{self.model}/{loss_label(self.target_loss)}" if self.uses_network else GENERIC
        return f"{RECOVERY}/{network}"

    @property
    def uses_network(self) -> bool:
        return self.model != GENERIC

    def __len__(self) -> int:
        """How many recoveries it is: an image under one degradation is one."""
        return (self.stop - self.start) * len(self.degradations)


def settings_digest(
    seed: int, model: Model | None, method: Method, degradations: Sequence[Degradation], attractors: bool = False
) -> str:
    """Changes with whatever of the experiment, beside what a unit names, gives its rows other values."""
    content: dict[str, Any] = {
        "seed": seed,
        "method": [method.name, changed_settings(method)],
        "degradations": [written_degradation(degradation) for degradation in degradations],
    }
    if model is not None:
        content["network"] = [model.gamma, model.first_mask]
    if attractors:
        content["attractors"] = True
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def settings_of_unit(experiment: Experiment, model: str, method: str, degradations: Sequence[str]) -> str:
    """`settings_digest` of what the labels stand for in the experiment."""
    return settings_digest(
        experiment.seed,
        None if model == GENERIC else experiment.model(model),
        experiment.method(method),
        [experiment.degradation(label) for label in degradations],
        experiment.attractors == method,
    )


def digest_of(units: Sequence[Unit]) -> str:
    """Changes with any of the units, whatever their order."""
    return hashlib.sha256("\n".join(sorted(unit.name for unit in units)).encode()).hexdigest()[:16]
