"""The network of an audit: how it is applied where the user leaves that open, and whether it knows its own images."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from memrec_core.autoencoders import check, forms, needed_multiple
from memrec_core.autoencoders.fit import check_use, fit
from memrec_core.autoencoders.given import Given, Wrapped, in_returned
from memrec_core.autoencoders.outputs import alternatives_in, copies_in, made_in, output_of
from memrec_core.autoencoders.trial import undisturbed
from memrec_core.degradations import Shape, shape_of
from memrec_core.errors import InputError
from memrec_core.network import Network

UNCHANGED = 1e-4
"""Pixels that are no further apart are the same."""
APPARENT, FAR_BETTER = 1e-6, 100
"""A range is doubted where the error is over the one, and so many times smaller under another, in what the network
takes for a unit: a network that adds the same to all pixels adds less under a wider range."""


def settled(named: forms.Named, image_shape: Shape) -> forms.Named:
    """What was left open is filled in: what makes a network certain that samples, such as its method `reconstruct`; the
    multiple that its images' height and width must have, to which they are padded; and which entry of a tuple its
    images are, where the first like them is a copy of its input. Its weights do not matter."""
    if named.given.deterministic is None and named.given.output is None:
        certain = _with(named, deterministic=forms.preferred(named.example().network))
        if certain.given.deterministic != forms.RECONSTRUCT or _is_usable(certain, image_shape):
            named = certain
    if named.given.multiple == 1:
        named = _with(named, multiple=needed_multiple(named.example(), image_shape) or 1)
    if named.given.output is None:
        named = _with(named, output=in_returned(made_in, named.example(), image_shape))
    return named


def _is_usable(named: forms.Named, image_shape: Shape) -> bool:
    """Whether the network can stand for an autoencoder of random images as it is named."""
    multiple = needed_multiple(named.example(), image_shape) or 1
    try:
        check(_with(named, multiple=multiple).example(), image_shape, named.given.name)
    except InputError:
        return False
    return True


def _noise(image_shape: Shape) -> Tensor:
    return torch.rand(2, *image_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32)


def _with(named: forms.Named, **settings: Any) -> forms.Named:
    return replace(named, given=replace(named.given, **settings))


def loaded(named: forms.Named, images: Tensor, allow_torch: bool = False) -> Wrapped:
    """The network with its weights, tried on some of its training images (N, C, H, W).

    Raises InputError where it can't be built or applied, does not return the same each time, and where another range of
    pixels is clearly its own; see `autoencoders.check` and `autoencoders.fit.check_use`.
    """
    network = named.built(allow_torch)
    check_fit(network, images, named.given.name)
    return network


def check_fit(network: Wrapped, images: Tensor, name: str) -> None:
    """Raise InputError unless the network can stand for an autoencoder of random images and of its own, for which it
    may sample as it does not elsewhere, and no other range, order of colours or output is clearly its own."""
    check(network, shape_of(images), name)
    check_use(network, images, name)
    check(network, shape_of(images), name, images)


def remarks_on(named: forms.Named, network: Network, images: Tensor) -> tuple[str, ...]:
    """What a reader must know of how the network is applied to images like `images` (N, C, H, W), a sentence each."""
    shape = shape_of(images)
    return (*_on_form(named), *_on_output(named.given, network, shape), *_on_range(named.given, network, images))


def _on_form(named: forms.Named) -> Iterator[str]:
    given = named.given
    if named.weights is None and isinstance(given.factory, str):
        yield f"No weights were given: the network has those that {given.name} builds it with."
    if named.trusts_code:
        yield (
            "The network is a program from a file that was trusted (--trust-code): it was run, and what else it does "
            "than to return images was not looked at."
        )
    if given.multiple > 1:
        yield (
            f"The network takes sides that {given.multiple} divides: images are padded by reflection, and its output "
            "cropped."
        )
    if isinstance(given.deterministic, str):
        yield (
            f"What the network returns is not asked for, but {given.deterministic}, which always gives the same; name "
            "an output, or another function, for what its users would apply."
        )


def _on_output(given: Given, network: Network, shape: Shape) -> Iterator[str]:
    def seen(returned: object, fed: Tensor) -> tuple[list[str], str | None, list[str]]:
        taken = given.output or output_of(returned, fed)
        return copies_in(returned, fed), taken, [] if given.output else alternatives_in(returned, fed)

    found = in_returned(seen, network, shape) if isinstance(network, Wrapped) else None
    copies, taken, others = found or ([], None, [])
    if copies and taken not in copies:
        yield (
            f"Of what the network returns, entry {' and '.join(copies)} is what it was given, and entry {taken} was "
            "taken for its images; name the output if they are another."
        )
    if others:
        yield (
            f"Of what the network returns, entry {taken} was taken for its images, and {' and '.join(others)} could be "
            "images too; name the output if they are another."
        )
    with undisturbed(network) as device:
        noise = _noise(shape).to(device)
        returned = network(noise)
    if torch.allclose(returned, noise, atol=UNCHANGED):
        yield (
            "Of random images the network returns what it is given: it has learnt nothing of images, or its input was "
            "taken for its output; name the output."
        )


def _on_range(given: Given, network: Network, images: Tensor) -> Iterator[str]:
    found = fit(network, images)
    own = {scaling: error / _unit(scaling.of(given)) ** 2 for scaling, error in found.others.items()}
    best = min(own, key=lambda scaling: own[scaling])
    if found.error > APPARENT and own[best] * FAR_BETTER <= found.error / _unit(given) ** 2:
        yield (
            f"Undamaged images come back with a median error of {found.error:.2g}, and under {best.flags} with "
            f"{found.others[best]:.2g}: if that is the network's own range, audit it so."
        )


def _unit(given: Given) -> float:
    """What the network takes for 1, in pixels in [0, 1], on average of the channels."""
    _, scale = given.shift_and_scale or (0.0, 1.0)
    return sum(scale) / len(scale) if isinstance(scale, tuple) else scale
