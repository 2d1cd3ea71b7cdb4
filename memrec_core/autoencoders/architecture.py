"""What a kind of network knows about itself: how it is built, and what the paper uses for it."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Architecture:
    """A kind of network, by the name under which it stands in `ARCHITECTURES`.

    Args:
        name: as in experiments, checkpoints and results.
        build: makes the network from an image shape (C, H, W) and options that JSON can hold.
        gamma: the penalty weight of its recovery, where `gammas` has none for its activation (appendix D.2).
        gammas: the penalty weights by activation.
        first_mask: the first estimate of an unknown mask, one of `recovery.unknown_mask.FIRST_MASKS`.
        optimiser: one of `training.RECIPES`, used where training is told of none.
        start: one of `training.STARTS`, likewise.
    """

    name: str
    build: Callable[..., nn.Module]
    gamma: float = 0.1
    gammas: Mapping[str, float] = field(default_factory=dict, hash=False)
    first_mask: str = "coin_flips"
    optimiser: str = "adam"
    start: str = "built"

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """What `build` takes after the image shape, by name, with annotation and default."""
        _, *rest = self._signature.parameters.values()
        various = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return {parameter.name: parameter for parameter in rest if parameter.kind not in various}

    @property
    def default_options(self) -> dict[str, Any]:
        """The options that have a default, with it."""
        return {name: option.default for name, option in self.options.items() if option.default is not option.empty}

    @property
    def default_activation(self) -> str | None:
        """The activation unless it is told another; None where the network has none to choose."""
        return self.default_options.get("activation")

    def with_defaults(self, image_shape: tuple[int, int, int], options: Mapping[str, Any]) -> dict[str, Any]:
        """All options of a network, as JSON keeps them. Raises TypeError for one that `build` does not take."""
        bound = self._signature.bind(image_shape, **options)
        bound.apply_defaults()
        _, *rest = bound.arguments.items()
        found: dict[str, Any] = {}
        for name, value in rest:
            kind = self._signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                found |= value
            elif kind is not inspect.Parameter.VAR_POSITIONAL:
                found[name] = list(value) if isinstance(value, tuple) else value
        return found

    def gamma_for(self, options: Mapping[str, Any]) -> float:
        """The paper's gamma for a network of these options."""
        return self.gammas.get(self._activation(options) or "", self.gamma)

    def label(self, options: Mapping[str, Any]) -> str:
        """What results call a network of these options unless the user names it."""
        activation = self._activation(options)
        return self.name if activation is None else f"{self.name}-{activation}"

    @property
    def summary(self) -> str:
        """The first sentence of what `build` says of itself, up to its first semicolon, without its full stop."""
        words = " ".join((inspect.getdoc(self.build) or "").split())
        return re.split(r"[.;](?:\s|$)", words, maxsplit=1)[0]

    def _activation(self, options: Mapping[str, Any]) -> str | None:
        return options.get("activation") or self.default_activation

    @property
    def _signature(self) -> inspect.Signature:
        try:
            return inspect.signature(self.build, eval_str=True)
        except NameError:  # an annotation of names that are there for a type checker alone
            return inspect.signature(self.build)
