"""The state of a training as one file, from which it resumes as if nothing had been."""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from memrec_core.arguments import described
from memrec_core.atomic import write_bytes
from memrec_core.errors import InputError, in_a_line
from memrec_core.training.batches import Batches, RunningMean
from memrec_core.training.progress import History, Progress, Reached
from memrec_core.weights_file import pack

STATE_SHARE = 0.05
"""How much of the time keeping the state may take: where it takes more, it is kept more seldom than asked, but at least
a tenth as often."""


class OtherTrainingError(InputError):
    """A state is that of a training on other images, or may be past some of the targets without a checkpoint."""


class State(Protocol):
    """Where the state of a training is kept, as one file that appears whole or not at all."""

    name: str

    def read(self) -> bytes | None:
        """What was written last; None where nothing was."""

    def write(self, data: bytes) -> None: ...


class StateFile:
    """A state in a local file."""

    def __init__(self, path: str | Path) -> None:
        self.path, self.name = Path(path), str(path)

    def read(self) -> bytes | None:
        if self.path.is_dir():
            raise InputError(f"{self.name} is a folder; the state of a training is a file: give one in it")
        return self.path.read_bytes() if self.path.exists() else None

    def write(self, data: bytes) -> None:
        write_bytes(self.path, data)


def state_of(state: str | Path | State | None) -> State | None:
    if isinstance(state, str | Path):
        return StateFile(state)
    if state is not None and not all(hasattr(state, name) for name in ("name", "read", "write")):
        raise InputError(f"state must be the path of a file, or None, not {described(state)}")
    return state


@dataclass
class Course:
    """What a training changes as it goes: the weights, the optimiser's tensors, the loss, and the progress."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    loss: RunningMean
    progress: Progress = field(default_factory=Progress)


class Keeper:
    """Keeps the state of a course every so many seconds, or not at all where there is no `state`."""

    def __init__(self, state: State | None, every_s: float) -> None:
        self.state, self.every_s = state, every_s
        self.due = math.inf

    def resume(self, course: Course, batches: Batches, targets: Sequence[float], recipe: str, is_named: bool) -> bool:
        """Take up the course that was kept, if any; says whether there was one. Raises InputError, and leaves the
        course as it is, where that was on other batches, by another recipe (a training is by `recipe`, which is the
        network's own unless it `is_named`), or to other targets."""
        if self.state is None:
            return False
        if (saved := self.state.read()) is not None:
            kept = _kept_in(saved, self.state.name)
            if kept.progress.of != batches.digest or not kept.progress.leads_to(targets):
                raise OtherTrainingError(
                    f"{self.state.name} is the state of a training on other images or to other targets; remove it to "
                    "train afresh"
                )
            then = kept.progress.recipe or _recipe_before(recipe, is_named)
            if then != recipe:
                raise OtherTrainingError(
                    f"{self.state.name} is the state of a training by {then}, and this one is by {recipe}; name that "
                    "optimiser, start and learning rate, or remove it to train afresh"
                )
            _go_on(kept, self.state.name, course)
        course.progress.recipe = recipe
        course.progress.of = batches.digest
        course.progress.go_on_to(targets)
        self.due = time.monotonic() + self.every_s
        return saved is not None

    def keep(self, course: Course, at_once: bool = False) -> None:
        """Write the state, if it is due or `at_once`; the longer that takes, the later it is due again."""
        if self.state is None or ((now := time.monotonic()) <= self.due and not at_once):
            return
        self.state.write(_to_bytes(course))
        took = time.monotonic() - now
        self.due = now + min(max(self.every_s, took / STATE_SHARE), 10 * self.every_s)


def _recipe_before(recipe: str, is_named: bool) -> str:
    """What a state that names no recipe was trained by, which is of an earlier revision: by `recipe` if it is named.
    Otherwise by a network's own, and what is adam_quick by now was adam then."""
    return recipe if is_named else recipe.replace("adam_quick", "adam")


def _to_bytes(course: Course) -> bytes:
    """One safetensors file: the weights, the optimiser's tensors, the running mean of the loss, and the progress as
    JSON in a tensor of bytes."""
    tensors = {f"model.{name}": tensor for name, tensor in course.model.state_dict().items()}
    for index, slots in course.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{slot}": value for slot, value in slots.items()}
    text = json.dumps(asdict(course.progress)).encode()
    tensors |= {"loss": course.loss.value, "progress": torch.from_numpy(np.frombuffer(text, dtype=np.uint8).copy())}
    return pack(tensors)


@dataclass(frozen=True)
class _Kept:
    """What a state holds of a course: its tensors by their names in the file, and its progress."""

    tensors: dict[str, Tensor]
    progress: Progress


def _kept_in(data: bytes, name: str) -> _Kept:
    """What is in `data`; `name` is for the error messages."""
    import safetensors.torch  # here, so that training without a state runs on torch and numpy alone
    from safetensors import SafetensorError

    with _told_of(name, SafetensorError):
        tensors = safetensors.torch.load(data)
        saved = json.loads(tensors.pop("progress").numpy().tobytes())
        history = saved.pop("history")
        reached = [Reached(**entry) for entry in history["reached"]]
        losses = [tuple(pair) for pair in history["losses"]]
        return _Kept(tensors, Progress(**{"seconds": None, **saved}, history=History(reached, losses)))


def _go_on(kept: _Kept, name: str, course: Course) -> None:
    """Give `course` what was kept."""
    with _told_of(name):
        loss = kept.tensors["loss"].to(course.loss.value.device)
        parameters = [parameter for group in course.optimiser.param_groups for parameter in group["params"]]
        slots: dict[int, dict[str, Tensor]] = {}
        for key, tensor in kept.tensors.items():
            if key.startswith("optimiser."):
                _, index, slot = key.split(".")
                slots.setdefault(int(index), {})[slot] = _laid_out_as(parameters[int(index)], tensor)
        weights = {
            key.removeprefix("model."): tensor for key, tensor in kept.tensors.items() if key.startswith("model.")
        }
        if _shapes(weights) != _shapes(course.model.state_dict()):  # torch copies what fits before it refuses the rest
            raise ValueError("its weights are another network's")
        course.optimiser.load_state_dict({**course.optimiser.state_dict(), "state": slots})
        course.model.load_state_dict(weights)
        course.loss.value, course.progress = loss, kept.progress


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


@contextmanager
def _told_of(name: str, *errors: type[Exception]) -> Iterator[None]:
    """Whatever else than the state of this training is in the file is an InputError."""
    try:
        yield
    except (*errors, LookupError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise InputError(
            f"{name} is not the state of this training ({in_a_line(error)}); remove it to train afresh"
        ) from error


def _laid_out_as(parameter: nn.Parameter, tensor: Tensor) -> Tensor:
    """A parameter's moment in the parameter's order in memory, which no file keeps and fused Adam relies on."""
    return torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape else tensor
