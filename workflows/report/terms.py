"""Masks and methods in a line each, with the paper's names."""

import re

from memrec_core.degradations import MASKS, Degradation, descriptions
from memrec_core.degradations.masks import hole, is_random

_NUMBERS = {name: number for number, name in MASKS.items()}


def described(degradation: Degradation) -> str:
    """What a degradation does to an image, without a full stop."""
    name = str(getattr(degradation, "name", ""))
    said = _sentence(descriptions().get(name, type(degradation).__doc__))
    if is_random(name):
        said = f"{hole(name).capitalize()}, are missing"
    paper = f" (the paper's mask {_NUMBERS[name]})" if name in _NUMBERS else ""
    return said + paper + _with_fill(degradation) + _with_noise(degradation)


def hidden(degradation: Degradation) -> str:
    """Where an image comes back from: "behind a centred square", "under blur_1"."""
    return str(getattr(degradation, "hidden", f"under {degradation.label}"))


def _with_fill(degradation: Degradation) -> str:
    fill = getattr(degradation, "fill", None)
    return "" if fill is None else f", filled with {fill.label}"


def _with_noise(degradation: Degradation) -> str:
    noise = degradation.noise_std
    return f", with Gaussian noise of standard deviation {noise:g}" if noise else ""


def _sentence(words: str | None) -> str:
    """The first sentence of a docstring, without its full stop."""
    return re.split(r"[.](?:\s|$)", " ".join((words or "").split()), maxsplit=1)[0]
