"""Degradations of a run that differ in one setting alone, such as the noise or the fill."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from memrec_core.degradations import Degradation


class Variation(NamedTuple):
    """A degradation as another one with a setting of its own: the label of that one, and the setting."""

    base: str
    value: Any


def variations(degradations: Sequence[Degradation], setting: str) -> dict[str, Variation]:
    """By their labels, those of the degradations that are there in several variations of that setting."""
    found = {one.label: varied for one in degradations if (varied := _varied(one, setting)) is not None}
    bases = [varied.base for varied in found.values()]
    return {label: varied for label, varied in found.items() if bases.count(varied.base) > 1}


def _varied(degradation: Degradation, setting: str) -> Variation | None:
    """None where it has no such setting, or none that may be left out."""
    for field in dataclasses.fields(degradation):  # pyright: ignore[reportArgumentType] (each is a dataclass)
        if field.name == setting:
            made = field.default_factory
            default = field.default if made is dataclasses.MISSING else made()
            if default is not dataclasses.MISSING:
                base: Any = dataclasses.replace(degradation, **{setting: default})  # pyright: ignore
                return Variation(base.label, getattr(degradation, setting))
    return None
