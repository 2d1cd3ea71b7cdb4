"""Training: steps to 1e-8 from memrec's start and schedule against PyTorch's own, and what a step costs."""

import torch
from torch import Tensor, nn

from benchmarks.networks import SEED, photographs
from benchmarks.rows import Row, side_by_side
from memrec_core import autoencoders, datasets, training
from memrec_core.errors import InputError, TrainingError
from memrec_core.precision import full_float32
from workflows.experiment.data_folder import default_root

FEWER = 2.5
TIMED_STEPS = 60


@full_float32()
def rows() -> list[Row]:
    images, source = training_images()
    return [steps_to_target(images, source), step(images)]


def training_images() -> tuple[Tensor, str]:
    """50 images of Tiny ImageNet where it is at hand, the embedded photographs elsewhere."""
    try:
        root = default_root("tiny_imagenet")
    except InputError:
        return photographs(50, 32), "photographs"
    return datasets.load("tiny_imagenet", root=root, count=50, size=32, seed=SEED).images, "images of Tiny ImageNet"


def fresh() -> nn.Module:
    torch.manual_seed(SEED)
    return autoencoders.build("fc10", (3, 32, 32), width=512)


def steps_to_target(images: Tensor, source: str) -> Row:
    """The rival has the same network and data, PyTorch's default initialisation, and Adam at its default rate."""
    ours = training.train(fresh(), images, [1e-8], SEED).reached[-1].step
    model = fresh()
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()
    optimiser, most = torch.optim.Adam(model.parameters()), int(FEWER * ours) + 1
    lowest, steps = float("inf"), most
    for number in range(most):
        loss = adam_step(model, optimiser, images).item()
        lowest = min(lowest, loss)
        if loss <= 1e-8:
            steps = number
            break
    note = "" if steps < most else f"the rival was stopped there; its lowest loss was {lowest:.0e}"
    return Row(
        f"training: steps to 1e-8, fc10 512, 50 {source}", ours, steps, steps / ours, FEWER, unit="steps", note=note
    )


def adam_step(model: nn.Module, optimiser: torch.optim.Optimizer, images: Tensor) -> Tensor:
    optimiser.zero_grad()
    loss = (model(images) - images).square().mean()
    loss.backward()
    optimiser.step()
    return loss


def step(images: Tensor) -> Row:
    """Ours against forward, backward and PyTorch's fused Adam, and nothing else."""
    model = fresh()
    optimiser = torch.optim.Adam(model.parameters(), fused=True)

    def ours() -> None:
        try:
            training.train(model, images, [1e-300], SEED, max_steps=TIMED_STEPS)
        except TrainingError:
            return  # it has no target that it could reach
        raise AssertionError("the training ended before its last step")

    def bare() -> None:
        for _ in range(TIMED_STEPS):
            adam_step(model, optimiser, images)

    ours_s, bare_s, ratio = side_by_side(ours, bare, 5)
    scale = 1000 / TIMED_STEPS
    what = "training: a step, fc10 512, 50 images"
    return Row(what, scale * ours_s, scale * bare_s, ratio, 1.15, at_most=True, unit="ms", note="over a bare step")
