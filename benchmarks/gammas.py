"""Is a gamma needed? Six networks of no one's choice, recovered with adaptive's own gammas and with each of five.

    python -m benchmarks.gammas

trains them on the photographs that come with memrec, from a seed, in some minutes, and prints two tables: percent of
the images that are recovered accurately, on average of three masks and on each. It is not part of `make bench`.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.networks import SEED, Perceptron, shape_of
from memrec_core import autoencoders, datasets, degradations, metrics, recovery, training
from memrec_core.errors import TrainingError
from memrec_core.precision import full_float32
from memrec_core.torchvision_import import import_torchvision

MASKS = ["center", "random_80", "bottom"]
GAMMAS = [0.1, 0.25, 0.5, 1.0, 2.0]
LOSSES = [1e-4, 1e-6, 1e-7, 1e-8]
POINTS = 5.0
"""So much may be lost by not knowing which gamma is best."""

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Case:
    """A network, and so many images of a size (height, width) that it is trained on."""

    name: str
    build: Callable[[Shape], nn.Module]
    count: int
    size: int | tuple[int, int]
    channels: int = 3


def unet(shape: Shape) -> nn.Module:
    return autoencoders.build("unet", shape, activation="softplus", channels=[32] * 3)


CASES = [
    Case("fc10 of width 320, PReLU", lambda s: autoencoders.build("fc10", s, activation="prelu", width=320), 40, 32),
    Case("fc20 of width 320, LeakyReLU", lambda s: autoencoders.build("fc20", s, width=320), 40, 24),
    Case("U-Net, 32 channels, softplus", unet, 8, 16),
    Case("8 layers of 256, LeakyReLU, grey", lambda s: Perceptron(s, [256] * 7, nn.LeakyReLU), 24, (28, 20), 1),
    Case("7 layers of 320, GELU", lambda s: Perceptron(s, [320] * 6, nn.GELU), 30, (16, 20)),
    Case("5 layers of 384, tanh, four channels", lambda s: Perceptron(s, [384] * 4, nn.Tanh), 30, 24, 4),
]


def main() -> int:
    import_torchvision()
    averages = Table("network", "images", "loss", "adaptive", *map(str, GAMMAS), "behind")
    details = Table("network", "mask", "adaptive", *map(str, GAMMAS))
    behind = 0.0
    for case in CASES:
        model, images, loss = trained(case)
        rates = torch.tensor([[*of_masks(model, images, gamma)] for gamma in (None, *GAMMAS)])
        mean = rates.mean(1)
        lost = (mean[1:].max() - mean[0]).clamp(min=0).item()
        behind = max(behind, lost)
        averages.add_row(case.name, str(len(images)), f"{loss:.1e}", *(f"{rate:.1f}" for rate in mean), f"{lost:.1f}")
        for mask, column in zip(MASKS, rates.T, strict=True):
            details.add_row(case.name, mask, *(f"{rate:.0f}" for rate in column))
        print(f"{case.name}: {mean.round().tolist()}", file=sys.stderr, flush=True)
    Console(width=130).print(
        averages, details, f"at most {behind:.1f} points behind the best gamma; {POINTS:g} are allowed"
    )
    return int(behind > POINTS)


@torch.enable_grad()
@full_float32()
def trained(case: Case) -> tuple[nn.Module, Tensor, float]:
    """The network at the least of the losses that it reaches, its images, and that loss."""
    images = datasets.load("photos", count=case.count, size=case.size, channels=case.channels, seed=SEED).images
    torch.manual_seed(SEED)
    model = case.build(shape_of(images))
    kept: list[tuple[float, dict[str, Tensor]]] = []

    def keep(model: nn.Module, reached: training.Reached) -> None:
        kept.append((reached.loss, {name: value.clone() for name, value in model.state_dict().items()}))

    try:
        training.train(model, images, LOSSES, SEED, on_checkpoint=keep, max_steps=20_000)
    except TrainingError as error:
        print(f"{case.name}: {error}", file=sys.stderr)
    loss, weights = kept[-1]
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False), images, loss


def of_masks(model: nn.Module, images: Tensor, gamma: float | None) -> list[float]:
    """Percent of the images recovered accurately under each mask."""
    masks = [degradations.mask(name, shape_of(images), SEED) for name in MASKS]
    degraded = torch.cat([degradations.degrade(images, mask) for mask in masks])
    found = recovery.recover_adaptive(model, degraded, seed=SEED, gamma=gamma, repeats=len(MASKS))
    errors = metrics.mse(found.images, images.repeat(len(MASKS), 1, 1, 1)).view(len(MASKS), -1)
    return [100 * (error < metrics.ACCURATE).double().mean().item() for error in errors]


if __name__ == "__main__":
    sys.exit(main())
