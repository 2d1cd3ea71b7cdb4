"""Whether the attacks find what is there, and nothing else: on a network that memorised all, and one that did not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from memrec_core.auditing.attacks import measure
from memrec_core.auditing.distinct import part
from memrec_core.auditing.evidence import per_cent
from memrec_core.datasets.image_set import ImageSet
from memrec_core.degradations import Degradation
from memrec_core.metrics import ACCURATE
from memrec_core.recovery import Method

MOST = 50
"""Images that the check is made on, from first to last."""
FOUND, NOTHING = 0.95, 0.0


@dataclass(frozen=True)
class Instrument:
    """By any attack, the share of `count` training images that came back exactly from a network that returns the
    nearest training image, and from one that returns its input; `works` where these are 95 % and more, and none."""

    count: int
    nearest: float
    identity: float

    @property
    def works(self) -> bool:
        return self.nearest >= FOUND and self.identity <= NOTHING


class Nearest:
    """f(x) = argmin over the `images` t of ||x - t||^2: each is an attractor, and nothing else is."""

    def __init__(self, images: Tensor) -> None:
        self.images, self.squares = images, images.flatten(1).square().sum(1)

    def __call__(self, x: Tensor) -> Tensor:
        images = self.images.to(x)
        return images[(self.squares.to(x) - 2 * x.flatten(1) @ images.flatten(1).T).argmin(1)]


def check_instrument(
    images: ImageSet,
    degradations: Sequence[Degradation],
    methods: Sequence[Method],
    seed: int = 42,
) -> Instrument:
    """Attack the two networks on some of the training images."""
    some = part(images, np.linspace(0, len(images) - 1, min(MOST, len(images))).round().astype(int))
    rates = [
        measure(network, some, "train", degradations, methods, seed).back(ACCURATE).any(0).mean()
        for network in (Nearest(some.images), lambda x: x.clone())
    ]
    return Instrument(len(some), *map(float, rates))


def in_words(instrument: Instrument) -> str:
    """What it found, a sentence."""
    return (
        f"The attacks {'work' if instrument.works else 'do not work'} on these images: of {instrument.count} of them, "
        f"a network that returns the nearest training image gives back {per_cent(instrument.nearest)} exactly, and "
        f"one that returns its input {per_cent(instrument.identity)}."
    )
