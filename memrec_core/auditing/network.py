"""The network of an audit: how it is applied where the user leaves that open, and whether it knows its own images."""

from dataclasses import replace

import torch
from torch import Tensor

from memrec_core.autoencoders import check, forms, needed_multiple
from memrec_core.autoencoders.fit import check_range, fit
from memrec_core.autoencoders.given import Given, Wrapped, build
from memrec_core.autoencoders.loading import tensors_of
from memrec_core.autoencoders.trial import undisturbed
from memrec_core.degradations import Shape, shape_of
from memrec_core.network import Network

UNCHANGED = 1e-4
"""Pixels that are no further apart are the same."""
APPARENT, FAR_BETTER = 1e-6, 100
"""A range is doubted where the error is over the one, and so many times smaller under another, in what the network
takes for a unit: a network that adds the same to all pixels adds less under a wider range."""


def settled(named: forms.Named, image_shape: Shape) -> forms.Named:
    """What was left open is filled in: what makes a network certain that samples, such as its method `reconstruct`, and
    the multiple that its images' height and width must have, to which they are padded. Its weights do not matter."""
    given = named.given
    if given.deterministic is None and given.output is None:
        given = replace(given, deterministic=forms.preferred(build(given).network))
    if given.multiple == 1:
        given = replace(given, multiple=needed_multiple(build(given), image_shape) or 1)
    return replace(named, given=given)


def loaded(named: forms.Named, images: Tensor, allow_torch: bool = False) -> Wrapped:
    """The network with its weights, tried on some of its training images (N, C, H, W).

    Raises InputError where it can't be built or applied, does not return the same each time, and where another range of
    pixels is clearly its own; see `autoencoders.check` and `autoencoders.fit.check_range`.
    """
    tensors = None if named.weights is None else tensors_of(named.weights, allow_torch)
    network = build(named.given, tensors)
    check_fit(network, images, named.given.name)
    return network


def check_fit(network: Wrapped, images: Tensor, name: str) -> None:
    """Raise InputError unless the network can stand for an autoencoder of random images and of its own, for which it
    may sample as it does not elsewhere, and no other range of pixels is clearly its own."""
    check(network, shape_of(images), name)
    check_range(network, images, name)
    check(network, shape_of(images), name, images)


def remarks_on(named: forms.Named, network: Network, images: Tensor) -> tuple[str, ...]:
    """What a reader must know of how the network is applied to images like `images` (N, C, H, W), a sentence each."""
    given, sentences = named.given, []
    if named.weights is None and isinstance(given.factory, str):
        sentences.append(f"No weights were given: the network has those that {given.name} builds it with.")
    if given.multiple > 1:
        sentences.append(
            f"The network takes sides that {given.multiple} divides: images are padded by reflection, and its output "
            "cropped."
        )
    if isinstance(given.deterministic, str):
        sentences.append(
            f"What the network returns is not asked for, but {given.deterministic}, which always gives the same; name "
            "an output, or another function, for what its users would apply."
        )
    noise = torch.rand(2, *images.shape[1:], generator=torch.Generator().manual_seed(0))
    with undisturbed(network) as device:
        noise = noise.to(device)
        returned = network(noise)
    if torch.allclose(returned, noise, atol=UNCHANGED):
        sentences.append(
            "Of random images the network returns what it is given: it has learnt nothing of images, or its input was "
            "taken for its output; name the output."
        )
    found = fit(network, images)
    own = {scaling: error / _unit(scaling.of(given)) ** 2 for scaling, error in found.others.items()}
    best = min(own, key=lambda scaling: own[scaling])
    if found.error > APPARENT and own[best] * FAR_BETTER <= found.error / _unit(given) ** 2:
        sentences.append(
            f"Undamaged images come back with a median error of {found.error:.2g}, and under {best.flags} with "
            f"{found.others[best]:.2g}: if that is the network's own range, audit it so."
        )
    return tuple(sentences)


def _unit(given: Given) -> float:
    """What the network takes for 1, in pixels in [0, 1], on average of the channels."""
    _, scale = given.shift_and_scale or (0.0, 1.0)
    return sum(scale) / len(scale) if isinstance(scale, tuple) else scale
