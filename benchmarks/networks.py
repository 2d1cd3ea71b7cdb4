"""The networks and images that the benchmarks run on: real photographs, at the sizes that the targets name."""

from functools import cache

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
