"""Training an autoencoder down a ladder of loss targets, with a checkpoint at each.

The optimisers and their schedules are ours (the paper does not state its own): the learning rate warms up over the
first steps and then falls with a root of the loss. At a constant rate the loss stalls and spikes below 1e-6; halving
the rate on a plateau spends most of its steps on plateaus. Fully connected networks get there with Adam; a U-Net
without skip connections stalls at 1e-4 with it, and gets there with SOAP.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from memrec_core.arguments import (
    check_called,
    check_clean,
    check_counts,
    check_number,
    check_seed,
    described,
    dtype_name,
    listed,
)
from memrec_core.atomic import write_bytes
from memrec_core.autoencoders.tied import Tied
from memrec_core.errors import InputError, TrainingError, in_a_line, unknown
from memrec_core.network import checked, evaluating
from memrec_core.precision import full_float32
from memrec_core.seeding import seed_for
from memrec_core.soap import Soap

WARMUP_STEPS = 100
PATIENCE_STEPS = 3000
"""Training that improves its best loss by less than a hundredth over so many steps has no prospect of its target."""


STATE_SHARE = 0.05
"""How much of the time keeping the state may take: where it takes more, it is kept more seldom than asked, but at least
a tenth as often."""


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


@dataclass(frozen=True)
class Recipe:
    """An optimiser, its usual learning rate, and the rate's decay: once the loss is below `decay_below`, the rate falls
    with the power `decay_power` of it.

    The host looks at the loss every `look_every` steps, since each look waits for the device. SOAP's steps are long,
    and the troughs of its loss short: it is looked at in each.
    """

    optimiser: Callable[..., torch.optim.Optimizer]
    learning_rate: float
    decay_below: float
    decay_power: float
    look_every: int


RECIPES = {
    "adam": Recipe(partial(torch.optim.Adam, fused=True), 1e-3, 1e-4, 1 / 4, look_every=10),
    "soap": Recipe(Soap, 3e-3, 1e-2, 1 / 3, look_every=1),
}


@dataclass(frozen=True)
class Reached:
    """A target of the ladder, the training loss (MSE over all images) at its checkpoint, and the step."""

    target: float
    loss: float
    step: int


@dataclass
class History:
    """The course of a training: the targets that it reached, in order, and the loss every hundredth step."""

    reached: list[Reached] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)


@dataclass
class _Progress:
    """What resuming needs beside the tensors. `of` identifies the batches, `loss` is the running mean at the last
    look."""

    of: str = ""
    step: int = 0
    best: float = math.inf
    best_step: int = 0
    loss: float = math.inf
    history: History = field(default_factory=History)


@full_float32()
def train(
    model: nn.Module,
    images: Tensor,
    targets: Sequence[float],
    seed: int = 42,
    on_checkpoint: Callable[[nn.Module, Reached], None] | None = None,
    *,
    optimiser: str | None = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    max_steps: int = 200_000,
    state: str | Path | State | None = None,
    save_every_s: float = 20.0,
    on_step: Callable[[int, float], None] | None = None,
) -> History:
    """Train `model` to reproduce `images` (N, C, H, W), which lie on its device; it ends as its last checkpoint.

    `on_checkpoint(model, reached)` is called where the MSE over all images is first seen at or under each of `targets`,
    from the highest to the lowest; adam's is looked at every tenth step, soap's at each. That MSE is the network's in
    evaluation mode, in which it ends; its steps are done in training mode. Batches are all images, or
    `batch_size` of them in an order that the seed fixes. The model's start is the caller's: call torch.manual_seed
    before building it. `optimiser` is adam or soap; where left out, soap for a network with convolutions and adam for
    any other, each with its own learning rate.

    With `state`, a file's path or a State, training is saved there every `save_every_s` seconds (more seldom where that
    takes long), and resumes from it: the resumed course is that of an uninterrupted one. `on_step(step, loss)`, with
    the loss that was seen last, is for progress displays.

    Raises TrainingError when the loss is not finite, has not improved for long, or `max_steps` are used up, and
    InputError for arguments or a state file that can't be used: images that are not in [0, 1] say, a model that is no
    module with weights of the images' type on their device, or whose output is of another shape than its input.
    """
    ladder = _ladder(targets)
    _check_images(model, images)
    check_seed(seed)
    check_counts(max_steps=max_steps, batch_size=1 if batch_size is None else batch_size)
    check_number("save_every_s", save_every_s, "a number of seconds, 0 or more", lambda seconds: seconds >= 0)
    check_called(on_checkpoint=on_checkpoint, on_step=on_step)
    images, network = images.detach(), checked(model)
    recipe = _recipe(model, optimiser, learning_rate)
    descent = recipe.optimiser(model.parameters(), lr=torch.tensor(recipe.learning_rate, device=images.device))
    state = _state_of(state)
    batches, progress = _Batches(images, batch_size, seed), _Progress()
    loss = _RunningMean(batches.per_epoch, images.device)
    if state is not None and (saved := state.read()) is not None:
        progress = _restore(saved, state.name, model, descent, loss)
        reached = [entry.target for entry in progress.history.reached]
        if progress.of != batches.digest or reached != ladder[: len(reached)]:
            raise InputError(
                f"{state.name} is the state of a training on other images or to other targets; remove it to train "
                "afresh"
            )
    if state is not None:
        progress.of = batches.digest
    model.train()
    next_save = time.monotonic() + save_every_s
    while len(progress.history.reached) < len(ladder):
        batch = batches[progress.step]
        descent.zero_grad()
        error = (network(batch) - batch).square().mean()
        error.backward()
        loss.update(error.detach())
        if progress.step % recipe.look_every == 0:
            progress.loss = loss.value.item()
            _keep_reached(model, batches, progress, ladder, on_checkpoint)
            if len(progress.history.reached) == len(ladder):
                break
        _step(model, descent, recipe, progress.step, loss.value)
        progress.step += 1
        _check_prospects(progress, ladder, max_steps)
        if on_step is not None:
            on_step(progress.step, progress.loss)
        if state is not None and (now := time.monotonic()) > next_save:
            state.write(_state(model, descent, progress, loss.value))
            took = time.monotonic() - now
            next_save = now + min(max(save_every_s, took / STATE_SHARE), 10 * save_every_s)
    model.eval()
    return progress.history


def _ladder(targets: Sequence[float]) -> list[float]:
    """The targets from the highest to the lowest, each once."""
    losses = listed(targets)
    if not losses:
        raise InputError(f"targets {described(targets)} are not a ladder of training losses such as [1e-4, 1e-8]")
    for loss in losses:
        check_number("targets:", loss, "a positive training loss such as 1e-8", lambda value: 0 < value < math.inf)
    return sorted({float(loss) for loss in losses}, reverse=True)


def _check_images(model: nn.Module, images: Tensor) -> None:
    check_clean(images, "training images")
    if len(images) == 0:
        raise InputError("training needs images, and there are none; give at least one")
    if not isinstance(model, nn.Module) or not any(weight.requires_grad for weight in model.parameters()):
        raise InputError(f"training needs a module with weights that require gradients, not {described(model)}")
    for weight in model.parameters():
        if weight.requires_grad and (weight.dtype != images.dtype or weight.device != images.device):
            raise InputError(
                f"the model's weights are {dtype_name(weight.dtype)} on {weight.device} and the images "
                f"{dtype_name(images.dtype)} on {images.device}; make them of one type on one device"
            )


def _recipe(model: nn.Module, optimiser: str | None, learning_rate: float | None) -> Recipe:
    convolves = any(isinstance(module, nn.Conv2d) for module in model.modules())
    name = optimiser if optimiser is not None else "soap" if convolves else "adam"
    if not isinstance(name, str) or name not in RECIPES:
        raise unknown("optimiser", name, sorted(RECIPES))
    if learning_rate is None:
        return RECIPES[name]
    check_number("learning_rate", learning_rate, "a positive number such as 1e-3", lambda rate: 0 < rate < math.inf)
    return replace(RECIPES[name], learning_rate=learning_rate)


def _state_of(state: str | Path | State | None) -> State | None:
    if isinstance(state, str | Path):
        return StateFile(state)
    if state is not None and not all(hasattr(state, name) for name in ("name", "read", "write")):
        raise InputError(f"state must be the path of a file, or None, not {described(state)}")
    return state


class _Batches:
    """The batch of any step, from the step's number alone, so that a resumed training sees the same ones."""

    def __init__(self, images: Tensor, batch_size: int | None, seed: int) -> None:
        self.images, self.seed = images, seed
        self.size = min(batch_size or len(images), len(images))
        self.per_epoch = math.ceil(len(images) / self.size)
        self.epoch, self.order = -1, torch.empty(0, dtype=torch.int64)

    def __getitem__(self, step: int) -> Tensor:
        if self.per_epoch == 1:
            return self.images
        epoch, part = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            shuffle = torch.Generator().manual_seed(seed_for(self.seed, "batches", epoch))
            self.epoch, self.order = epoch, torch.randperm(len(self.images), generator=shuffle).to(self.images.device)
        return self.images[self.order[part * self.size : (part + 1) * self.size]]

    @cached_property
    def digest(self) -> str:
        """Changes with the images, and with which of them are in which batch."""
        pixels = hashlib.sha256(self.images.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
        return f"{pixels[:16]} {tuple(self.images.shape)} {self.size} {self.seed if self.per_epoch > 1 else None}"

    def loss(self, model: nn.Module) -> float:
        """The MSE over all images, in evaluation mode."""
        with torch.no_grad(), evaluating(model):
            parts, network = self.images.split(self.size), checked(model)
            return sum((network(part) - part).double().square().sum().item() for part in parts) / self.images.numel()


class _RunningMean:
    """The running mean of the batches' losses over about an epoch, on the device; of a full batch, the loss itself."""

    def __init__(self, per_epoch: int, device: torch.device) -> None:
        self.per_epoch, self.value = per_epoch, torch.tensor(math.inf, device=device)

    def update(self, loss: Tensor) -> None:
        mean = self.value + (loss - self.value) / self.per_epoch
        self.value = torch.where(self.value.isfinite(), mean, loss) if self.per_epoch > 1 else loss


def _keep_reached(
    model: nn.Module,
    batches: _Batches,
    progress: _Progress,
    ladder: list[float],
    on_checkpoint: Callable[[nn.Module, Reached], None] | None,
) -> None:
    """A checkpoint for each target that the weights have reached, and the loss for the history."""
    history = progress.history
    if progress.step % 100 == 0:
        history.losses.append((progress.step, progress.loss))
    if progress.loss > ladder[len(history.reached)]:
        return
    exact = batches.loss(model)
    while len(history.reached) < len(ladder) and exact <= ladder[len(history.reached)]:
        history.reached.append(Reached(ladder[len(history.reached)], exact, progress.step))
        if on_checkpoint is not None:
            on_checkpoint(model, history.reached[-1])


def _step(model: nn.Module, optimiser: torch.optim.Optimizer, recipe: Recipe, step: int, loss: Tensor) -> None:
    """A step at the rate of the schedule: a linear warm-up, times the recipe's root of the loss. Does not wait for the
    device."""
    decay = (loss / recipe.decay_below).pow(recipe.decay_power).clamp(max=1.0)
    for group in optimiser.param_groups:
        group["lr"].copy_(decay * (recipe.learning_rate * min(1.0, (step + 1) / WARMUP_STEPS)))
    optimiser.step()
    if isinstance(model, Tied):
        model.project_()


def _check_prospects(progress: _Progress, ladder: list[float], max_steps: int) -> None:
    target = ladder[len(progress.history.reached)]
    if not math.isfinite(progress.loss):
        raise TrainingError(
            f"training diverged at step {progress.step}: the loss is {progress.loss}; lower the learning rate"
        )
    if progress.loss < 0.99 * progress.best:
        progress.best, progress.best_step = progress.loss, progress.step
    if progress.step - progress.best_step > PATIENCE_STEPS:
        raise TrainingError(
            f"training can't reach {target:g}: the loss has not come below {progress.best:.3g} for {PATIENCE_STEPS} "
            "steps; lower the learning rate, widen the network, use fewer images, or drop that target"
        )
    if progress.step >= max_steps:
        raise TrainingError(
            f"training has not reached {target:g} in {max_steps} steps (best loss {progress.best:.3g}); "
            "raise max_steps or drop that target"
        )


def _state(model: nn.Module, optimiser: torch.optim.Optimizer, progress: _Progress, loss: Tensor) -> bytes:
    """One safetensors file: the weights, the optimiser's tensors, the running mean of the loss, and the progress as
    JSON in a tensor of bytes."""
    import safetensors.torch  # here, so that training without a state runs on torch and numpy alone

    tensors = {f"model.{name}": tensor.contiguous() for name, tensor in model.state_dict().items()}
    for index, slots in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{slot}": value.contiguous() for slot, value in slots.items()}
    tensors["loss"] = loss.clone()
    text = json.dumps(asdict(progress)).encode()
    tensors["progress"] = torch.from_numpy(np.frombuffer(text, dtype=np.uint8).copy())
    return safetensors.torch.save(tensors)


def _restore(
    data: bytes, name: str, model: nn.Module, optimiser: torch.optim.Optimizer, loss: _RunningMean
) -> _Progress:
    import safetensors.torch
    from safetensors import SafetensorError

    try:
        tensors = safetensors.torch.load(data)
        saved = json.loads(tensors.pop("progress").numpy().tobytes())
        loss.value = tensors.pop("loss").to(loss.value.device)
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        slots: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            if key.startswith("optimiser."):
                _, index, slot = key.split(".")
                slots.setdefault(int(index), {})[slot] = _laid_out_as(parameters[int(index)], tensor)
        model.load_state_dict({key[6:]: tensor for key, tensor in tensors.items() if key.startswith("model.")})
        optimiser.load_state_dict({**optimiser.state_dict(), "state": slots})
        history = saved.pop("history")
        reached = [Reached(**entry) for entry in history["reached"]]
        return _Progress(**saved, history=History(reached, [tuple(pair) for pair in history["losses"]]))
    except (SafetensorError, LookupError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise InputError(
            f"{name} is not the state of this training ({in_a_line(error)}); remove it to train afresh"
        ) from error


def _laid_out_as(parameter: nn.Parameter, tensor: Tensor) -> Tensor:
    """A parameter's moment in the parameter's order in memory, which no file keeps and fused Adam relies on."""
    return torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape else tensor
