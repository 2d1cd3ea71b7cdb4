"""The network of an audit: how it is applied where the user leaves that open, and whether it knows its own images."""

from dataclasses import replace

from torch import Tensor

from memrec_core.autoencoders import check, forms, needed_multiple
from memrec_core.autoencoders.fit import check_range
from memrec_core.autoencoders.given import Wrapped, build
from memrec_core.autoencoders.loading import tensors_of
from memrec_core.degradations import Shape, shape_of


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
    check(network, shape_of(images), named.given.name)
    check_range(network, images, named.given.name)
    return network


def said_of(named: forms.Named) -> list[str]:
    """What a reader must know of how it is applied, a sentence each."""
    given, sentences = named.given, []
    if given.multiple > 1:
        sentences.append(
            f"The network takes sides that {given.multiple} divides: images are padded by reflection, and its output "
            "cropped."
        )
    if isinstance(given.deterministic, str):
        sentences.append(f"The network is applied by {given.deterministic}, which always gives the same.")
    return sentences
