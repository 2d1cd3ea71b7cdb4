"""A network is tried before anything rests on it: the size of its images, what it returns, and whether that stands."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf, isfinite

import torch
from torch import Tensor

from memrec_core.arguments import check_image_shape
from memrec_core.device import is_of_the_device
from memrec_core.errors import InputError
from memrec_core.network import IN_PLACE, Network, checked, device_of, evaluating
from memrec_core.precision import full_float32

IMAGES, TIMES = 16, 4
"""In the batch, and how often it is applied: dropout of a hundredth on a few units is seen then too."""
SAME = 1e-5
"""Two outputs for the same batch that are so near are one: a GPU may add up in another order."""
ALIKE = 1e-4
"""So near are two outputs for an image alone and in a batch: products of other shapes are done in another order."""
MULTIPLES = (*range(2, 9), 10, 12, 14, 16, 20, 24, 28, 32, 48, 64)
SIDES = (28, 32, 48, 64, 96, 128, 224, 256)
"""Usual sides of networks that take images of one size alone."""


def check(
    network: Network, image_shape: tuple[int, int, int], name: str = "the network", images: Tensor | None = None
) -> None:
    """Raise InputError unless `network` can stand for an autoencoder of images (C, H, W) in [0, 1].

    It is applied several times to a batch of random images, or of `images` (N, C, H, W), in evaluation mode. It must
    return images of the same shape, finite, always the same, and for an image alone what it returns for it in a batch.
    Of a size that it can't take the sentence says, where that can be found out, which it could. Random states are as
    before afterwards.
    """
    channels, height, width = check_image_shape(image_shape)
    with undisturbed(network) as device:
        source = torch.Generator().manual_seed(0)
        batch = torch.rand(IMAGES, channels, height, width, generator=source, dtype=torch.float32)
        batch = (batch if images is None else images[:IMAGES].clone()).to(device)
        before, f = batch.clone(), checked(network)
        try:
            found = f(batch).clone()  # a network may write each output to the same place
        except InputError as error:
            needs = _needs(f, batch[:1])
            if needs is None:
                raise
            raise InputError(f"{name} {needs}") from error
        if not torch.equal(batch, before):  # past torch, such as through numpy
            raise InputError(IN_PLACE)
        if not found.isfinite().all():
            raise InputError(
                f"{name} returns values that are not finite for images in [0, 1]; check its weights, and range or mean "
                "and std"
            )
        if (apart := max(_apart(f(batch), found) for _ in range(TIMES - 1))) > SAME:
            raise InputError(
                f"{name} is not deterministic: what it returns for the same images differs by up to {apart:.2g} from "
                "call to call (dropout that stays on after eval(), or a sampled latent); switch that off in evaluation "
                "mode, or name a function that does, deterministic: package.module:function"
            )
        if (apart := max(_apart(f(batch[i : i + 1]), found[i : i + 1]) for i in (0, len(batch) - 1))) > ALIKE:
            raise InputError(
                f"{name} returns another image for the same one alone than in a batch, by up to {apart:.2g}; each must "
                "stand for itself, as with the kept statistics of a batch normalisation in evaluation mode"
            )


def needed_multiple(network: Network, image_shape: tuple[int, int, int]) -> int | None:
    """What the height and width of its images must be multiples of, where images (C, H, W) are not.

    None where it takes images of that shape as they are, or where padding them would not help.
    """
    channels, height, width = check_image_shape(image_shape)
    with undisturbed(network) as device:
        f, image = checked(network), torch.zeros(1, channels, height, width, dtype=torch.float32, device=device)
        return None if _takes(f, image, channels, height, width) else _multiple(f, image)


@contextmanager
def undisturbed(network: Network) -> Iterator[torch.device]:
    """The network in evaluation mode, without gradients; its device. Its random numbers have a state of their own."""
    device = device_of(network)
    gpus = [device] if device.type == "cuda" else []
    with torch.no_grad(), full_float32(), evaluating(network), torch.random.fork_rng(devices=gpus):
        yield device


def _apart(images: Tensor, others: Tensor) -> float:
    """The largest difference, in parts of the largest value where that is above 1."""
    apart = ((images - others).abs().max() / others.abs().max().clamp(min=1)).item()
    return apart if isfinite(apart) else inf


def _needs(f: Network, image: Tensor) -> str | None:
    """What a network that can't be applied to `image` (1, C, H, W) needs, as the rest of a sentence; None if that is
    not known."""
    _, channels, height, width = image.shape
    if own := [count for count in (1, 2, 3, 4) if count != channels and _takes(f, image, count, height, width)]:
        needed = " or ".join(map(str, own))
        return f"takes images of {needed} channel{'s' * (needed != '1')}, not {channels}; choose data of such images"
    if multiple := _multiple(f, image):
        up, wide = _sides(height, width, multiple)
        return (
            f"needs a height and width that {multiple} divides, such as {up} x {wide}, not {height} x {width}; choose "
            f"data of that size, or give multiple: {multiple}, for which images are padded by reflection"
        )
    for side in SIDES:
        if _takes(f, image, channels, side, side):
            return f"takes images of {side} x {side}, not {height} x {width}; choose data of that size"
    return None


def _multiple(f: Network, image: Tensor) -> int | None:
    """The smallest one that divides the sides that it takes, where `image` (1, C, H, W) is not of them."""
    _, channels, height, width = image.shape
    for multiple in MULTIPLES:
        up, wide = _sides(height, width, multiple)
        if all(_takes(f, image, channels, up + more, wide + more) for more in (0, multiple)):
            return multiple
    return None


def _sides(height: int, width: int, multiple: int) -> tuple[int, int]:
    """The next larger ones that `multiple` divides."""
    return height + -height % multiple, width + -width % multiple


def _takes(f: Network, image: Tensor, *shape: int) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            f(image.new_full((1, *shape), 0.5))
    except (InputError, RuntimeError, MemoryError) as error:
        if isinstance(error, InputError) or is_of_the_device(error):
            return False
        raise
    return True
