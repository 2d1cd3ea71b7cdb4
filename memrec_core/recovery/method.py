"""What a method of recovery is: an object whose fields are its settings, and that solves a problem."""

from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass
from enum import Enum
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from memrec_core.arguments import described
from memrec_core.degradations import Degradation, Operator
from memrec_core.errors import InputError
from memrec_core.network import Network
from memrec_core.recovery.result import Recovery


class Basis(Enum):
    """What a method rests on beside the degraded image: what is loaded for it, and how often it is done."""

    NETWORK = "an autoencoder: done for each checkpoint"
    PRIOR = "a generic prior of images: done once for a data set"
    NOTHING = "nothing: likewise"


@dataclass(frozen=True)
class Denoiser:
    """An autoencoder as the prior of a recovery, with the gamma and the first mask that suit it; a method's own
    settings win over these. Of a network of which nothing is known a gamma of 1 is the safest: with smaller ones the
    recovery from some diverges."""

    model: Network
    gamma: float = 1.0
    first_mask: str = "coin_flips"


@dataclass(frozen=True)
class Problem:
    """N images to be recovered from what a degradation left of them.

    Args:
        degraded: (N, C, H, W), of the range [0, 1] but for noise.
        operator: H of each of the N images; methods that are not `told` it make no use of it.
        noise_std: the standard deviation of each image's noise.
        ids: the images' names, which random numbers follow from; the same ones again for each of the `repeats`
            degradations that the batch holds one after the other.
        seed: the experiment's.
        repeats: how many times the batch holds the same images.
        batch_size: how many images are side by side; all where left out.
        device: where they are then; where `degraded` lies where left out.
        on_iteration: called with the estimates and masks (None where the method has none) of each outer iteration.
    """

    degraded: Tensor
    operator: Operator
    noise_std: Sequence[float]
    ids: Sequence[str]
    seed: int = 42
    repeats: int = 1
    batch_size: int | None = None
    device: torch.device | str | None = None
    on_iteration: Callable[[Tensor, Tensor | None], None] | None = None


class Method(Protocol):
    """A way to recover images: a frozen dataclass whose fields are its settings.

    One from outside derives from this class, for what it leaves open, and is added with `METHODS[name] = its class`.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    """Its settings: what the decorator `dataclass` makes."""
    name: ClassVar[str]
    """What an experiment calls it, its key in METHODS."""
    title: ClassVar[str]
    """What tables and pages call it."""
    does: ClassVar[str]
    """What it does, in a line."""
    rests_on: ClassVar[Basis]
    told: ClassVar[bool] = False
    """Whether it is told the degradation operator. The mask of one that is not is an estimate, which is measured."""
    other_form: ClassVar[str | None] = None
    """The method that stands for it under degradations that it does not accept, with the same settings."""

    @classmethod
    def accepts(cls, degradation: Degradation) -> bool:
        """Whether the method makes sense under that degradation."""
        return True

    def check(self, basis: Any) -> None:
        """Raises InputError where its settings do not fit the generic prior that it rests on."""

    def evaluations(self) -> int:
        """How many applications of its basis an image takes, as expected."""
        return 1

    def recover(self, basis: Any, problem: Problem) -> Recovery:
        """Solve the problem. `basis` is a Denoiser, a DiffusionPrior or None, as `rests_on` says."""
        ...


def denoiser(basis: object) -> Denoiser:
    """`basis`, which must be one. Raises InputError for another."""
    if not isinstance(basis, Denoiser):
        raise InputError(f"the method needs an autoencoder as Denoiser(model, gamma=...), not {described(basis)}")
    return basis


def mask_of(problem: Problem) -> Tensor:
    """The true mask of each image, (N, C, H, W). Raises InputError where the degradation erases nothing."""
    if problem.operator.kept is None:
        raise InputError("the method fills missing pixels, and under this degradation none are missing")
    return problem.operator.kept
