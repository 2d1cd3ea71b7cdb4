"""What an audit has measured: the errors of each image under each attack, training and control images apart."""

from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike

from memrec_core.errors import InputError
from memrec_core.metrics import ACCURATE, APPROXIMATE, clopper_pearson, rate_difference


class Attack(NamedTuple):
    """A method of recovery under a degradation, by their labels."""

    method: str
    degradation: str

    def __str__(self) -> str:
        return f"{self.method} from behind {self.degradation}"


@dataclass(frozen=True)
class Side:
    """N images under A attacks, as float64; or N groups of images, see `grouped`.

    Args:
        recovered: (A, N), the MSE of what came back; NaN where the network gave no finite numbers for it.
        missing: (A, N), that over the erased pixels alone.
        damage: (A, N), the least MSE that is had without the network, of the degraded image itself and of that with
            smooth values in its holes: little where what was erased was black or plain anyway.
        reconstruction: (N,), the MSE of the network's output for the undamaged image.
        sizes: (N,), how many images each group has; None where an image stands for itself.
    """

    recovered: np.ndarray
    missing: np.ndarray
    damage: np.ndarray
    reconstruction: np.ndarray
    sizes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.reconstruction)

    @property
    def images(self) -> int:
        """How many images there are, whatever counts as one."""
        return len(self) if self.sizes is None else int(self.sizes.sum())

    @property
    def unasked(self) -> np.ndarray:
        """Which images (N,) the network gave no finite numbers for, undamaged or under any attack."""
        return np.isnan(self.recovered).all(0) | ~np.isfinite(self.reconstruction)

    @property
    def plain(self) -> np.ndarray:
        """Which images (N,) could not come back approximately, for they are had without the network, so near, under
        every attack; but for those that came back exactly."""
        return ~np.any([*(self.damage >= APPROXIMATE), *self.back(ACCURATE)], axis=0)

    def at(self, places: np.ndarray) -> "Side":
        """The images at some places, in that order."""
        return Side(
            self.recovered[:, places],
            self.missing[:, places],
            self.damage[:, places],
            self.reconstruction[places],
            None if self.sizes is None else self.sizes[places],
        )

    def back(self, threshold: float) -> np.ndarray:
        """Which images came back with an MSE under the threshold, (A, N) bool; not those that are had without the
        network, so near. What came back accurately did so under every larger threshold."""
        limits = {threshold, min(threshold, ACCURATE)}
        return np.any([(self.recovered < limit) & (self.damage >= limit) for limit in limits], axis=0)


@dataclass(frozen=True)
class Evidence:
    """All that the figures of an audit follow from. Raises InputError where the two sides are not of the attacks."""

    attacks: tuple[Attack, ...]
    train: Side
    control: Side

    def __post_init__(self) -> None:
        for name, side in (("training", self.train), ("control", self.control)):
            shape = (len(self.attacks), len(side))
            if not len(side):
                raise InputError(f"an audit needs {name} images, and there are none")
            if any(errors.shape != shape for errors in (side.recovered, side.missing, side.damage)):
                raise InputError(f"errors of {name} images are not those of {shape[0]} attacks on {shape[1]} images")


@dataclass(frozen=True)
class Comparison:
    """How many training and control images came back, and how sure the difference is. Shares are in [0, 1].

    `low` and `high` bound the training images' `rate`, the exact binomial interval; `excess` is that rate minus the
    control images', with Newcombe's interval; `p` is Fisher's exact test that no more come back of the former.
    """

    train: int
    train_count: int
    control: int
    control_count: int

    @property
    def rate(self) -> float:
        return self.train / self.train_count

    @property
    def control_rate(self) -> float:
        return self.control / self.control_count

    @property
    def interval(self) -> tuple[float, float]:
        return _bounds(self.train, self.train_count)

    @property
    def control_interval(self) -> tuple[float, float]:
        return _bounds(self.control, self.control_count)

    @property
    def excess(self) -> tuple[float, float, float]:
        """The difference of the rates, and its bounds."""
        found = rate_difference(self.train, self.train_count, self.control, self.control_count)
        value, low, high = (min(1.0, max(-1.0, float(number))) for number in found)  # rounding goes beyond
        return value, low, high

    @property
    def p(self) -> float:
        from scipy.stats import fisher_exact  # here, so that the rest of the core runs on torch and numpy

        others = [self.train_count - self.train, self.control_count - self.control]
        _, p = fisher_exact([[self.train, self.control], others], alternative="greater")
        return float(cast(float, p))


def compared(train: ArrayLike, control: ArrayLike) -> Comparison:
    """From the flags of both sides' images, (N,) and (M,) bool."""
    own, others = np.asarray(train), np.asarray(control)
    return Comparison(int(own.sum()), own.size, int(others.sum()), others.size)


def _bounds(successes: int, count: int) -> tuple[float, float]:
    low, high = clopper_pearson(successes, count)
    return float(low), float(high)


def by_attack(evidence: Evidence, threshold: float) -> dict[Attack, Comparison]:
    """Under each attack, how many came back with an MSE under the threshold."""
    both = zip(evidence.attacks, evidence.train.back(threshold), evidence.control.back(threshold), strict=True)
    return {attack: compared(train, control) for attack, train, control in both}


def by_any(evidence: Evidence, threshold: float) -> Comparison:
    """How many came back under at least one of the attacks: what is searched through for the training images is so for
    the control images too."""
    return compared(*(side.back(threshold).any(0) for side in (evidence.train, evidence.control)))


def per_cent(share: float) -> str:
    """A share in [0, 1] in words: 92.6 %, 0.0417 %, to three digits, or more of what is nearly all: 99.97 %. So 100 %
    is of all alone."""
    digits = 3
    while share < 1 and float(f"{100 * share:.{digits}g}") == 100:
        digits += 1
    return f"{100 * share:.{digits}g} %"
