"""Down the ladder: step after step, with a checkpoint where the loss is first seen at or under each target."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

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
from memrec_core.errors import InputError
from memrec_core.network import checked
from memrec_core.precision import full_float32
from memrec_core.training.batches import Batches, RunningMean
from memrec_core.training.floor import Ranked, check_floor
from memrec_core.training.progress import History, Progress, Reached
from memrec_core.training.recipes import in_words, recipe_for
from memrec_core.training.starts import start_for
from memrec_core.training.state import Course, Keeper, State, state_of

OnCheckpoint = Callable[[nn.Module, Reached], None]


@runtime_checkable
class Projected(Protocol):
    """A network whose weights must stay in a set: after every step it moves them to the nearest that are in it."""

    def project_(self) -> None: ...


@full_float32()
def train(
    model: nn.Module,
    images: Tensor,
    targets: Sequence[float],
    seed: int = 42,
    on_checkpoint: OnCheckpoint | None = None,
    *,
    optimiser: str | None = None,
    start: str | None = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    max_steps: int = 200_000,
    state: str | Path | State | None = None,
    save_every_s: float = 20.0,
    on_step: Callable[[int, float], None] | None = None,
) -> History:
    """Train `model` to reproduce `images`; it ends as its last checkpoint, in evaluation mode.

    Steps are done in training mode; the MSE of a checkpoint is the network's in evaluation mode. The model's start is
    the caller's: call torch.manual_seed before building it.

    Args:
        model: a module with weights of the images' type on their device, (N, C, H, W) -> (N, C, H, W). One that has a
            method `project_` is projected after every step.
        images: (N, C, H, W) in [0, 1], float32 or float64.
        targets: the losses, MSEs over all images, each of which gets a checkpoint.
        seed: fixes the order of the batches.
        on_checkpoint: called with the model and what it reached, where the MSE is first seen at or under each target,
            from the highest to the lowest; adam's is looked at every tenth step, soap's at each.
        optimiser: one of RECIPES, adam_quick or soap say; the architecture's own where left out. For a module from
            elsewhere that is soap where it has convolutions, otherwise adam.
        start: one of STARTS, what is done to the network before the first step: built (nothing), mean, shifted,
            centred or contracting; the architecture's own where left out, and built for a module from elsewhere.
        learning_rate: the optimiser's own where left out.
        batch_size: all images where left out.
        max_steps: after so many steps training is given up.
        state: a file's path or a State, where training is saved and from which it resumes, to deeper targets too. The
            resumed course is that of an uninterrupted one, unless the network draws random numbers (dropout) or keeps
            running statistics (batch normalisation).
        save_every_s: seconds between two savings; more where saving takes long.
        on_step: called with the step and the loss that was seen last, for progress displays.

    Raises TrainingError when the loss is not finite, has not improved for long, or `max_steps` are used up, and
    InputError for arguments or a state file that can't be used: images that are not in [0, 1] say, a model whose output
    is of another shape than its input, or a target below the floor of a model that says its `output_rank`.
    """
    ladder = _ladder(targets)
    _check_images(model, images)
    check_seed(seed)
    check_counts(max_steps=max_steps, batch_size=1 if batch_size is None else batch_size)
    check_number("save_every_s", save_every_s, "a number of seconds, 0 or more", lambda seconds: seconds >= 0)
    check_called(on_checkpoint=on_checkpoint, on_step=on_step)
    if isinstance(model, Ranked):
        check_floor(model.output_rank, images, ladder[-1])
    images, network = images.detach(), checked(model)
    by, recipe = recipe_for(model, optimiser, learning_rate)
    begin_by, begin = start_for(model, start)
    descent = recipe.optimiser(model.parameters(), lr=torch.tensor(recipe.learning_rate, device=images.device))
    keeper, batches = Keeper(state_of(state), save_every_s), Batches(images, batch_size, seed)
    loss = RunningMean(batches.per_epoch, images.device)
    course = Course(model, descent, loss)
    trained_by = in_words(by, begin_by, recipe.learning_rate)
    goes_on = keeper.resume(course, batches, ladder, trained_by, is_named=optimiser is not None)
    progress, project = course.progress, model.project_ if isinstance(model, Projected) else None
    if not goes_on:
        begin(model, images)
    model.train()
    clock = time.monotonic()
    while len(progress.history.reached) < len(ladder):
        batch = batches[progress.step]
        descent.zero_grad()
        error = (network(batch) - batch).square().mean()
        error.backward()
        before = loss.value
        loss.update(error.detach())
        if progress.step % recipe.look_every == 0:
            progress.loss, clock = loss.value.item(), progress.count_seconds(clock)
            _keep_reached(model, batches, progress, ladder, on_checkpoint)
            if len(progress.history.reached) == len(ladder):
                loss.value = before  # the state that is kept is that of the step's beginning
                break
        _step(descent, recipe.rate(progress.step, loss.value))
        if project is not None:
            project()
        progress.step += 1
        progress.check_prospects(ladder[len(progress.history.reached)], max_steps)
        if on_step is not None:
            on_step(progress.step, progress.loss)
        keeper.keep(course)
    keeper.keep(course, at_once=True)
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


def _keep_reached(
    model: nn.Module,
    batches: Batches,
    progress: Progress,
    ladder: list[float],
    on_checkpoint: OnCheckpoint | None,
) -> None:
    """A checkpoint for each target that the weights have reached, and the loss for the history."""
    history = progress.history
    if progress.step % 100 == 0 and history.losses[-1:] != [(progress.step, progress.loss)]:  # it may resume there
        history.losses.append((progress.step, progress.loss))
    if progress.loss > ladder[len(history.reached)]:
        return
    exact = batches.loss(model)
    while len(history.reached) < len(ladder) and exact <= ladder[len(history.reached)]:
        history.reached.append(Reached(ladder[len(history.reached)], exact, progress.step, progress.seconds))
        if on_checkpoint is not None:
            on_checkpoint(model, history.reached[-1])


def _step(optimiser: torch.optim.Optimizer, rate: Tensor) -> None:
    for group in optimiser.param_groups:
        group["lr"].copy_(rate)
    optimiser.step()
