"""Whether a network from outside is used as it was trained, in its range of pixels above all: it should know its own.

Under a wrong range a network gives little back, and an audit would call that clean. The right one shows in a single
application: the error between images and outputs is smaller by far.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from memrec_core.arguments import check_clean
from memrec_core.autoencoders.forms import RECONSTRUCT, forward
from memrec_core.autoencoders.given import Given, Wrapped, in_returned
from memrec_core.autoencoders.outputs import alternatives_in
from memrec_core.autoencoders.trial import undisturbed
from memrec_core.degradations import shape_of
from memrec_core.errors import InputError
from memrec_core.metrics import mse
from memrec_core.network import Network, checked

IMAGES, AT_ONCE = 32, 8
TIMES = 4.0
"""By how much smaller an error is clearly better."""
SMALL = 1e-3
"""An error up to this one is that of a network which knows its images."""
KNOWN = 0.5
"""The largest error of a network that knows its images at all, in parts of their variance. One that returns the same
whatever it is given, such as an untrained one, has a larger one under the range that suits it best."""
FORWARD = f"name that, deterministic: {forward.__module__}:{forward.__name__}"
REVERSED = "give a function that turns them on its way in and out, lambda x: network(x.flip(1)).flip(1)"

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Scaling:
    """What pixels of 0 and 1 are to a network: a range, or mean and std."""

    range: tuple[float, float] = (0.0, 1.0)
    mean: Numbers | None = None
    std: Numbers | None = None

    @property
    def flags(self) -> str:
        """As the command line takes it."""
        if self.mean is None or self.std is None:
            return f"--range {_listed(self.range)}"
        return f"--mean {_listed(self.mean)} --std {_listed(self.std)}"

    @property
    def arguments(self) -> str:
        """As a function's arguments in Python."""
        if self.mean is None or self.std is None:
            return f"range=({_listed(self.range, ', ')})"
        return f"mean=({_listed(self.mean, ', ')}), std=({_listed(self.std, ', ')})"

    @property
    def entry(self) -> str:
        """As an experiment's file has it."""
        if self.mean is None or self.std is None:
            return f"range: [{_listed(self.range, ', ')}]"
        return f"mean: [{_listed(self.mean, ', ')}], std: [{_listed(self.std, ', ')}]"

    @property
    def advice(self) -> str:
        return f"give {self.flags} (in Python {self.arguments}, in an experiment's file {self.entry})"

    def of(self, given: Given) -> Given:
        """The same network, that is given pixels so."""
        return replace(given, range=self.range, mean=self.mean, std=self.std)


USUAL = (Scaling(), Scaling((-1.0, 1.0)), Scaling((0.0, 255.0)), Scaling((-0.5, 0.5)))
"""A mean and std of 0.5 are the second of these."""
USUAL_COLOURS = (
    Scaling(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),  # of ImageNet
    Scaling(mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616)),  # of CIFAR-10
)


@dataclass(frozen=True)
class Fit:
    """How near to the images a network's output is, under its own range and under others.

    Args:
        images: how many were looked at.
        error: the median of MSE(f(x), x), in pixels in [0, 1], as the network is given; infinite where there is none.
        others: the same under each usual range.
        variance: the median variance of an image's pixels.
    """

    images: int
    error: float
    others: dict[Scaling, float]
    variance: float

    @property
    def better(self) -> Scaling | None:
        """The range that is clearly the network's in place of the one that it was given; None where none is."""
        best = min(self.others, key=lambda scaling: self.others[scaling])
        least = self.others[best]
        is_better = self.error > SMALL and least * TIMES <= self.error and least <= KNOWN * self.variance
        return best if is_better else None


def fit(network: Callable[..., Any], images: Tensor) -> Fit:
    """How a network fits up to 32 of the images (N, C, H, W) in [0, 1], spread over all of them.

    A network from `given` keeps its other settings; any other module or function is one in [0, 1]. Raises InputError
    where it can't be applied as it is given; under other ranges that is an infinite error.
    """
    check_clean(images, "images")
    if not len(images):
        raise InputError("there are no images to look at the fit of; give some of its training images")
    some, wrapped = _some(images), _wrapped(network)
    colours = USUAL_COLOURS if images.shape[1] == 3 else ()
    with undisturbed(wrapped) as device:
        some = some.to(device)
        error = _error(wrapped, some)
        others = {scaling: _error_under(scaling, wrapped, some) for scaling in (*USUAL, *colours)}
    variance = some.flatten(1).var(1, correction=0).median().item()
    return Fit(len(some), error, others, variance)


def check_range(network: Callable[..., Any], images: Tensor, name: str = "the network") -> Fit:
    """How the network fits. Raises InputError where it is given pixels in one range and was clearly trained in another.

    That is: the other's error is smaller at least fourfold, and that of a network that knows its images, and the
    error as it is given is over 1e-3.
    """
    found = fit(network, images)
    if (better := found.better) is not None:
        given = _wrapped(network).given
        used = Scaling(given.range, _tuple(given.mean), _tuple(given.std))
        raise InputError(
            f"{name} gives its images back with a median error of {found.error:.2g} under {used.flags}, and of "
            f"{found.others[better]:.2g} under {better.flags}, so it was trained in that range; {better.advice}"
        )
    return found


def check_use(network: Callable[..., Any], images: Tensor, name: str = "the network") -> None:
    """Raise InputError where the network clearly was trained to be used in another way: in another range of pixels (see
    `check_range`), with its colours the other way round, or for another entry of what it returns."""
    used, wrapped = check_range(network, images, name), _wrapped(network)
    if used.error <= SMALL:
        return
    ways: dict[str, Network] = {}
    if images.shape[1] == 3:
        ways[f"with its channels in reverse (blue, green, red); {REVERSED}"] = _reversed(wrapped)
    if wrapped.given.output is None:
        for entry in in_returned(alternatives_in, wrapped, shape_of(images)) or []:
            other = Wrapped(wrapped.network, replace(wrapped.given, output=entry))
            ways[f"in its entry {entry}; name that as the output (--output, output=, or output:)"] = other
    if wrapped.given.deterministic == RECONSTRUCT:
        ways[f"by its forward in place of its reconstruct; {FORWARD}"] = Wrapped(
            wrapped.network, replace(wrapped.given, deterministic=None)
        )
    with undisturbed(wrapped) as device:
        some = _some(images).to(device)
        for way, other in ways.items():
            error = _error_if_any(other, some)
            if error * TIMES <= used.error and error <= KNOWN * used.variance:
                raise InputError(
                    f"{name} gives its images back with a median error of {used.error:.2g}, and of {error:.2g} {way}"
                )


def _some(images: Tensor) -> Tensor:
    return images[torch.linspace(0, len(images) - 1, min(IMAGES, len(images))).round().long()]


def _wrapped(network: Callable[..., Any]) -> Wrapped:
    return network if isinstance(network, Wrapped) else Wrapped(network, Given(network))


def _reversed(network: Network) -> Network:
    return lambda x: network(x.flip(1)).flip(1)


def _error_under(scaling: Scaling, wrapped: Wrapped, images: Tensor) -> float:
    return _error_if_any(Wrapped(wrapped.network, scaling.of(wrapped.given)), images)


def _error_if_any(network: Network, images: Tensor) -> float:
    """Infinite where it refuses such images."""
    try:
        return _error(network, images)
    except InputError:
        return torch.inf


def _error(network: Network, images: Tensor) -> float:
    f = checked(network)
    error = torch.cat([mse(f(batch), batch) for batch in images.split(AT_ONCE)])
    return error.nan_to_num(nan=torch.inf, posinf=torch.inf).median().item()


def _listed(numbers: Numbers, between: str = ",") -> str:
    return between.join(f"{number:g}" for number in numbers)


def _tuple(numbers: float | Numbers | None) -> Numbers | None:
    return numbers if numbers is None or isinstance(numbers, tuple) else (numbers,)
