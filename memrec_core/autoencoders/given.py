"""A network from outside behind memrec's interface: images (N, C, H, W) in [0, 1] in, and the same out.

What builds it is code that the user has installed, named by the user. Its weights are a file of numbers.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from memrec_core import factories
from memrec_core.arguments import check_counts, check_number, described, listed
from memrec_core.autoencoders.loading import check_finite, check_there, load, tensors_of
from memrec_core.autoencoders.outputs import images_in, made_in
from memrec_core.autoencoders.padding import padded
from memrec_core.autoencoders.program import Program
from memrec_core.autoencoders.torch_file import TorchProgram
from memrec_core.autoencoders.trial import check, undisturbed
from memrec_core.errors import InputError, in_a_line, shown
from memrec_core.network import Holder, misfit
from memrec_core.settings import BEFORE
from memrec_core.weights_file import pack, spec_of, weights_in


@dataclass(frozen=True)
class Given:
    """What is to be known of a network from outside. Its code is no part of that: its name is.

    Args:
        factory: a function without arguments but `options` that returns the network, by name (package.module:build) or
            itself; or the network, a module or any function of a batch.
        range: what pixels of 0 and 1 are to the network, in its input and its output.
        mean: what is subtracted from pixels in [0, 1] on the way in, a number or one for each channel.
        std: what they are divided by then; its output is taken back likewise. These two in place of `range`.
        output: the key, index or attribute of the images in what the network returns; where left out, the tensor that
            it returns, a `.sample` or `.reconstruction`, or the one entry of the input's shape.
        deterministic: a function, by name or itself, that is given the network and returns a function of a batch that
            always gives the same, such as a variational autoencoder's decoded mean.
        multiple: what its images' height and width must be multiples of: others are padded by reflection, and its
            output is cropped.
        options: what the factory takes, by name, as JSON could hold it; None for nothing.

    Raises InputError where one of them is none.
    """

    factory: str | Callable[..., Any]
    range: tuple[float, float] = (0.0, 1.0)
    mean: float | tuple[float, ...] | None = None
    std: float | tuple[float, ...] | None = None
    output: str | None = None
    deterministic: str | Callable[..., Any] | None = None
    multiple: int = field(default=1, metadata={BEFORE: 1})
    options: Mapping[str, Any] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        factories.check_name(self.factory, "the network")
        object.__setattr__(self, "options", _plain(self.options))
        check_counts(multiple=self.multiple)
        if self.deterministic is not None:
            factories.check_name(self.deterministic, "deterministic")
        if self.output is not None and (not isinstance(self.output, str) or not self.output):
            raise InputError(f"output {described(self.output)} is not text: a key, an index or an attribute's name")
        object.__setattr__(self, "range", _interval(self.range))
        if (self.mean is None) != (self.std is None):
            raise InputError("mean and std belong together; give both, or range, or neither")
        if self.mean is None:
            return
        if self.range != (0.0, 1.0):
            raise InputError("range and mean with std say the same in two ways; give one of them")
        object.__setattr__(self, "mean", _numbers("mean", self.mean, isfinite, "a finite number"))
        object.__setattr__(self, "std", _numbers("std", self.std, lambda std: 0 < std < float("inf"), "above 0"))

    @property
    def name(self) -> str:
        return factories.name_of(self.factory)

    @property
    def spec(self) -> dict[str, Any]:
        """All of it as JSON keeps it, for a digest; newer settings only where they change something."""
        values = {"range": [*self.range]} if self.mean is None else {"mean": _json(self.mean), "std": _json(self.std)}
        certain = None if self.deterministic is None else factories.name_of(self.deterministic)
        newer = {} if self.multiple == 1 else {"multiple": self.multiple}
        newer |= {} if self.options is None else {"options": self.options}
        return {"given": self.name, "output": self.output, "deterministic": certain, **values, **newer}

    @property
    def shift_and_scale(self) -> tuple[float | tuple[float, ...], float | tuple[float, ...]] | None:
        """What is subtracted from pixels in [0, 1], and what they are divided by then; None where they stay."""
        if self.mean is not None and self.std is not None:
            return self.mean, self.std
        low, high = self.range
        return None if (low, high) == (0.0, 1.0) else (-low / (high - low), 1 / (high - low))


class Wrapped(Holder):
    """A network from outside as memrec applies it: (N, C, H, W) in [0, 1] -> the same.

    `network` is the one from outside, whose state dict is that of its weights file.
    """

    shift: Tensor | None
    scale: Tensor | None

    def __init__(self, network: Callable[..., Any], given: Given) -> None:
        super().__init__()
        self.given, self.network = given, network
        self.holds = None if isinstance(network, nn.Module) else network
        self.applied = network if given.deterministic is None else _made_certain(_inside(network), given.deterministic)
        for name, value in zip(("shift", "scale"), given.shift_and_scale or (None, None), strict=True):
            numbers = None if value is None else torch.tensor(value, dtype=torch.float32).reshape(-1, 1, 1)
            self.register_buffer(name, numbers, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        fed, top, left = self.fed(x)
        images = images_in(self.applied(fed), fed, self.given.output)
        if images.shape != fed.shape:
            return images  # which is refused by who called
        if images.dtype != fed.dtype:  # which the scaling below would hide
            raise misfit(images, fed)
        if fed.shape != x.shape:
            images = images[..., top : top + x.shape[-2], left : left + x.shape[-1]].contiguous()
        scaling = self._scaling(x)
        return images if scaling is None else images * scaling[1] + scaling[0]

    def fed(self, x: Tensor) -> tuple[Tensor, int, int]:
        """What the network is given for images `x`: in its range, and padded; how many rows are new above, columns
        left."""
        scaling = self._scaling(x)
        return padded(x if scaling is None else (x - scaling[0]) / scaling[1], self.given.multiple)

    def _scaling(self, x: Tensor) -> tuple[Tensor, Tensor] | None:
        """`shift` and `scale` in the type of `x`. Raises InputError where they are of another number of channels."""
        if self.shift is None or self.scale is None:
            return None
        if odd := [len(numbers) for numbers in (self.shift, self.scale) if len(numbers) not in (1, x.shape[-3])]:
            raise InputError(
                f"mean and std are of {odd[0]} channels and the images of {x.shape[-3]}; give one number, or "
                "one for each channel"
            )
        return self.shift.to(x), self.scale.to(x)


def given(
    network: str | Callable[..., Any],
    weights: str | Path | None = None,
    *,
    range: tuple[float, float] = (0.0, 1.0),
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    output: str | None = None,
    deterministic: str | Callable[..., Any] | None = None,
    multiple: int = 1,
    options: Mapping[str, Any] | None = None,
    allow_torch: bool = False,
    image_shape: tuple[int, int, int] | None = None,
) -> Wrapped:
    """A network from outside, on the CPU, as the functions of memrec take it.

    Args:
        network: package.module:build, a function without arguments that returns the network; that function itself; or
            the network, a module or any function of a batch, which is used as it is.
        weights: its weights, a safetensors file, or the folder of a model of diffusers; where left out, its own.
        range: as `Given` has it, and so are mean, std, output, deterministic, multiple and options.
        allow_torch: whether `weights` may be a state dict that torch saved, or a checkpoint of Lightning's. It is read
            with `weights_only`, but a forged one might exploit that reader all the same.
        image_shape: (C, H, W); where given, the network is tried on such images (see `check`).

    Raises InputError where the network can't be built, or the weights are not its own, and as `check` and
    `check_output` do.
    """
    settings = Given(network, range, _tuple(mean), _tuple(std), output, deterministic, multiple, options)
    wrapped = build(settings, None if weights is None else tensors_of(weights, allow_torch, network))
    if image_shape is not None:
        check(wrapped, image_shape, settings.name)
        check_output(wrapped, image_shape)
    return wrapped


def check_output(network: Wrapped, image_shape: tuple[int, int, int]) -> None:
    """Raise InputError where a copy of the input would be taken for the network's images (C, H, W), although beside it
    it returns others. Of a network that gives its training images back that shows with random images alone."""
    other = None if network.given.output is not None else in_returned(made_in, network, image_shape)
    if other is not None:
        raise InputError(
            f"the first images that {network.given.name} returns are a copy of what it is given, and entry {other} is "
            f"like them; name the one that is meant, such as output: {other}"
        )


def in_returned(found_in: Callable[[object, Tensor], Any], network: Wrapped, image_shape: tuple[int, int, int]) -> Any:
    """What `found_in` finds in what the network returns for random images (C, H, W), and in what it was given; None
    where it can't be applied, which `check` tells."""
    with undisturbed(network) as device:
        images = torch.rand(2, *image_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
        fed, *_ = network.fed(images.to(device))
        try:
            return found_in(network.applied(fed), fed)
        except (Exception, SystemExit):  # whatever the user's own code does
            return None


def build(given: Given, tensors: Mapping[str, Tensor] | None = None, trust_code: bool = False) -> Wrapped:
    """The network, wrapped, with the weights of `tensors`, or as its factory made it where they are None.

    One that was made here is in evaluation mode, without gradients, and in float32: weights in half precision become
    float32 exactly, and those of float64 are rounded, by less than float32's own arithmetic. A module that was handed
    over stays as it is; one that is given weights is copied first. Torch's global random state stays as it was.
    With `trust_code` one that is a program of torch's may run what its file says, see `torch_file`.

    Raises InputError where the factory is not there, is none of a network or fails, or the tensors are not the
    network's: one is missing, too many, of another shape or kind, or not finite.
    """
    found = factories.builder(given.factory)
    if _is_there(found, given):
        if tensors is None:
            if isinstance(found, nn.Module):
                check_there(found, given.name)
            return Wrapped(found, given)
        if not isinstance(found, nn.Module):
            raise InputError(f"{given.name} is a function, which has no weights; leave the weights file out")
    with _seeded():
        network = _made(found, given)
    if isinstance(network, nn.Module):
        if tensors is not None:
            load(network, tensors, given.name)
        check_finite(network, given.name)
        if isinstance(network, TorchProgram):
            network.trusted = trust_code
    elif tensors is not None:
        raise InputError(f"{given.name} returned a function, which has no weights; leave the weights file out")
    return Wrapped(network, given)


@contextmanager
def _seeded() -> Iterator[None]:
    """Random numbers from the same seed each time, so that what a network draws as it is built, and keeps outside its
    state dict, is the same in each process. All random states are as before afterwards."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


def to_safetensors(tensors: Mapping[str, Tensor], given: Given) -> bytes:
    """The weights as a safetensors file, with what is to be known of the network in its header.

    Its `weights_file.digest` changes with the weights, and with anything in `given`. The tensors keep their types.
    """
    return pack(tensors, given.spec)


def from_safetensors(data: bytes, given: Given, name: str, trust_code: bool = False) -> Wrapped:
    """The network whose weights `to_safetensors` wrote; `name` is the file's, for the error messages, and `trust_code`
    as `build` has it.

    What is built is `given`, and never what the file says. Raises InputError where the two do not fit.
    """
    tensors = weights_in(data, name)
    try:
        spec = spec_of(data)
    except (ValueError, LookupError, TypeError, AttributeError):
        spec = None
    if spec != given.spec:
        raise InputError(
            f"{name} holds the weights of {_described(spec)}, and expected is {_described(given.spec)}; restore it, or "
            "choose another --run"
        )
    return build(given, tensors or None, trust_code)


def _is_there(found: Callable[..., Any], given: Given) -> bool:
    """Whether what was named or handed over is the network, not what makes it."""
    if given.options is None:
        makes = isinstance(given.factory, str) or factories.makes_networks(found)
        return isinstance(found, nn.Module) or not makes
    if isinstance(found, nn.Module):
        raise InputError(f"{given.name} is a network that is there, which takes no options; leave them out")
    return False


def _made(found: Callable[..., Any], given: Given) -> Callable[..., Any]:
    """The network that a factory returns; of one that was handed over, a copy that may be changed."""
    name = given.name
    try:
        network = copy.deepcopy(found) if isinstance(found, nn.Module) else found(**(given.options or {}))
        made = network.float().eval().requires_grad_(False) if isinstance(network, nn.Module) else network
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's own code does
        takes = "without arguments" if given.options is None else f"with the options {', '.join(given.options)}"
        raise InputError(
            f"{name} failed to build its network ({type(error).__name__}: {in_a_line(error)}); it must work {takes}, "
            "and return a torch module in float32"
        ) from error
    if not callable(made):
        raise InputError(
            f"{name} returned {described(made)}, and expected is a torch module; let it return the network"
        )
    return made


def _inside(network: Callable[..., Any]) -> Callable[..., Any]:
    return network.inside() if isinstance(network, Program) else network


def _made_certain(network: Callable[..., Any], deterministic: str | Callable[..., Any]) -> Callable[..., Any]:
    name = factories.name_of(deterministic)
    try:
        applied = factories.function(deterministic)(network)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(
            f"deterministic {name} failed on the network ({type(error).__name__}: {in_a_line(error)}); it must take "
            "the network, and return a function of a batch"
        ) from error
    if not callable(applied):
        raise InputError(f"deterministic {name} returned {described(applied)}; let it return a function of a batch")
    return applied


def _described(spec: object) -> str:
    """What a header says that the weights are of, in a sentence."""
    if not isinstance(spec, Mapping) or "given" not in spec:
        return "no network from outside"
    settings = ", ".join(f"{key} {value}" for key, value in spec.items() if key != "given" and value is not None)
    return shown(f"{spec['given']} ({settings})", quoted=False)


def _interval(bounds: object) -> tuple[float, float]:
    pair = listed(bounds)
    if pair is None or len(pair) != 2:
        raise InputError(f"range {described(bounds)} is not a pair, what pixels of 0 and 1 are, such as (-1, 1)")
    for bound in pair:
        check_number("range:", bound, "a finite number", isfinite)
    if not pair[0] < pair[1]:
        raise InputError(f"range {described(bounds)} is empty; give the lower bound first, such as (-1, 1)")
    return float(pair[0]), float(pair[1])


def _numbers(what: str, values: Any, accept: Callable[[float], bool], expected: str) -> float | tuple[float, ...]:
    """A number, or a tuple of one for each channel."""
    several = listed(values)
    for value in [values] if several is None else several:
        check_number(f"{what}:", value, expected, accept)
    if several == []:
        raise InputError(f"{what} is empty; give a number, or one for each channel")
    return float(values) if several is None else tuple(map(float, several))


def _tuple(values: float | Sequence[float] | None) -> Any:
    several = listed(values)
    return values if several is None else tuple(several)


def _plain(options: object) -> dict[str, Any] | None:
    """Options as JSON keeps them; None for none."""
    if options is None:
        return None
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise InputError(f"options {described(options)} are not values by name; give a mapping, such as {{width: 512}}")
    try:
        return json.loads(json.dumps(dict(options), allow_nan=False)) or None
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"options {described(options)} can't be written as JSON ({in_a_line(error)})") from error


def _json(values: Any) -> Any:
    return list(values) if isinstance(values, tuple) else values
