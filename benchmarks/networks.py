"""The networks and images that the benchmarks run on: real photographs, at the sizes that the targets name."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn

from memrec_core import autoencoders, datasets, degradations, training
from memrec_core.precision import full_float32

SEED = 42


def photographs(count: int, size: int) -> Tensor:
    """(N, 3, size, size), repeated where there are not so many."""
    images = datasets.load("photos", count=min(count, 64), size=size, seed=SEED).images
    return images.repeat(-(-count // len(images)), 1, 1, 1)[:count]


def shape_of(images: Tensor) -> tuple[int, int, int]:
    """(C, H, W) of a batch (N, C, H, W)."""
    _, channels, height, width = images.shape
    return channels, height, width


def network(name: str, size: int, **options: object) -> nn.Module:
    """A network as it is before training: what an application takes does not depend on the weights."""
    torch.manual_seed(SEED)
    return autoencoders.build(name, (3, size, size), **options).eval().requires_grad_(False)


class Perceptron(nn.Module):
    """Fully connected, as a user would write it, of any widths and activation: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, shape: tuple[int, int, int], widths: Sequence[int], activation: type[nn.Module]) -> None:
        super().__init__()
        entries = torch.Size(shape).numel()
        sizes, modules = [entries, *widths, entries], []
        for number, (inputs, outputs) in enumerate(pairwise(sizes)):
            layer = nn.Linear(inputs, outputs)
            nn.init.orthogonal_(layer.weight, gain=1.0 if number == len(widths) else 2**0.5)
            nn.init.zeros_(layer.bias)
            modules += [layer, activation()]
        self.layers = nn.Sequential(*modules[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.flatten(1)).view_as(x)


@cache
@torch.enable_grad()
@full_float32()
def memorising(count: int = 50, width: int = 512) -> tuple[nn.Module, Tensor]:
    """An fc10 trained to 1e-8 on so many photographs of 32 x 32, and these. The demo's has 48 and a width of 256."""
    images = photographs(count, 32)
    torch.manual_seed(SEED)
    model = autoencoders.build("fc10", (3, 32, 32), width=width)
    training.train(model, images, [1e-8], SEED)
    return model.eval().requires_grad_(False), images


def center(images: Tensor) -> tuple[Tensor, Tensor]:
    """The mask of the centre (C, H, W), and the images degraded by it."""
    mask = degradations.mask("center", shape_of(images))
    return mask, degradations.degrade(images, mask)


class Recording:
    """An autoencoder that notes the sizes of the batches that it is applied to."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.batches = model, []

    def __call__(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        return self.model(x)
