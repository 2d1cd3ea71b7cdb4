"""The order of an audit's images is that of their pixels, however they were given: nothing follows from another."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from memrec_core.auditing.distinct import part
from memrec_core.auditing.evidence import Side
from memrec_core.datasets.image_set import ImageSet


def places_of(images: ImageSet) -> np.ndarray:
    """Where in the set the images are, by their digests; copies by their ids."""
    return np.array(sorted(range(len(images)), key=lambda place: (images.digests[place], images.ids[place])))


def ordered(images: ImageSet) -> ImageSet:
    """The same images in that order."""
    return part(images, places_of(images))


def ordered_with(side: Side, images: ImageSet) -> tuple[Side, ImageSet]:
    """The same images in that order, with what was measured of them."""
    places = places_of(images)
    return side.at(places), part(images, places)


def fingerprint(digests: Iterable[str]) -> str:
    """What identifies a side by its images' digests: 16 hexadecimal digits, the same in any order."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()[:16]


def names_of(digests: Sequence[str]) -> tuple[str, ...]:
    """Ids of images that have no names: their digests, so that random numbers follow from pixels, not from places. A
    copy's is numbered."""
    seen: Counter[str] = Counter()
    names = []
    for digest in digests:
        seen[digest] += 1
        names.append(digest if seen[digest] == 1 else f"{digest}-{seen[digest]}")
    return tuple(names)
