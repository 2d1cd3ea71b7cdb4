"""What a user asks an audit for, from the text of its options."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from memrec_core.errors import InputError, shown
from workflows.audit.grouping import pattern_of

COUNT, ALL = 100, "all"
"""Images of each side where no number is asked for, and the word for as many as there are."""
Number = TypeVar("Number", int, float)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An audit.

    Args:
        model: what builds the network, as the entry `given` of an experiment has it, or where it is, see `forms.named`.
        train: the folder of images that it was trained on.
        control: that of others.
        weights: the file of its weights; None for those that it is built with.
        range: what pixels of 0 and 1 are to the network; None for 0 and 1.
        mean: with `std` in place of `range`, a number or one for each channel.
        std: likewise.
        output: which part of what it returns are the images; None where that is plain.
        deterministic: the name of a function that makes it so; None where it is.
        count: how many images of each side; all of them where None.
        size: (height, width) in pixels; that of the pictures where None.
        channels: 1 to 4; those of the pictures where None.
        pictures: of how many images of each side the results keep pictures.
        seed: what all random numbers follow from.
        max_rate: the share of training images that may come back; None where the user names none.
        allow_torch_weights: whether the weights may be a file that torch saved.
        trust_code: whether the network is a file of torch's that is run.
        hash_names: whether keyed hashes stand for the names of the pictures.
        group: what makes pictures count as one, see `grouping`; None where each counts for itself.
    """

    model: str
    train: str
    control: str
    weights: str | None = None
    range: tuple[float, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    output: str | None = None
    deterministic: str | None = None
    count: int | None = COUNT
    size: tuple[int, int] | None = None
    channels: int | None = None
    pictures: int = 8
    seed: int = 42
    max_rate: float | None = None
    allow_torch_weights: bool = False
    trust_code: bool = False
    hash_names: bool = False
    group: str | None = None

    def __post_init__(self) -> None:
        if self.max_rate is not None and not 0 < self.max_rate < 1:
            raise InputError(f"--max-rate {self.max_rate:g} is no share between 0 and 1; give one such as 0.01")
        if self.group is not None:
            pattern_of(self.group)
            if self.hash_names:
                raise InputError("--group goes by the names that --hash-names hides; give one of the two")


def numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """The numbers of an option, between commas. Raises InputError where one is none."""
    return None if text is None else _listed(option, text, float, "numbers such as -1,1", math.isfinite)


def count_of(text: str) -> int | None:
    """How many images of each side; None for all."""
    if text.strip().lower() == ALL:
        return None
    found = _listed("--count", text, int, "a number of images from 1 on, or all", lambda count: count >= 1)
    if len(found) != 1:
        raise InputError(f"--count {shown(text)} is several numbers; give one, or all")
    return found[0]


def size_of(text: str | None) -> tuple[int, int] | None:
    """Height and width, or the side of a square."""
    if text is None:
        return None
    expected = "a height and a width in pixels, such as 28,20, or the side of a square"
    sides = _listed("--size", text.replace("x", ","), int, expected, lambda side: side >= 1)
    if len(sides) not in (1, 2):
        raise InputError(f"--size {shown(text)} is not {expected}; give that")
    height, width = (sides * 2)[:2]
    return height, width


def _listed(
    option: str, text: str, kind: Callable[[str], Number], expected: str, accepts: Callable[[Number], bool]
) -> tuple[Number, ...]:
    try:
        found = tuple(kind(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(map(accepts, found)):
        raise InputError(f"{option} {shown(text)} is not {expected}; give that")
    return found
