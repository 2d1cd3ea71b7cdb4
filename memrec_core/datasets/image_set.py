"""A set of images in memory, and the choice of a subset that all data sets share."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from memrec_core.datasets.remarks import ELSEWHERE
from memrec_core.errors import InputError
from memrec_core.seeding import generator

SPLITS = ("train", "control")
MOST = 0.5
"""By how much the shares of resampled pictures differ where these can be told apart by it."""
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class ImageSet:
    """N images (N, C, H, W) float32 in [0, 1], with an id and a label (or None) for each.

    `remarks` are sentences for people, on what was passed over, scaled or odd when the images were read; `resized` is
    how many were of another size then. Raises InputError where the numbers of images, ids and labels differ, and where
    two images have one id: the random numbers of a recovery follow from the id.
    """

    images: Tensor
    ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    remarks: tuple[str, ...] = ()
    resized: int = 0

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.ids) == len(self.labels):
            raise InputError(
                f"an image set of {len(self.images)} images has {len(self.ids)} ids and {len(self.labels)} labels; "
                "give one of each for each image"
            )
        seen: set[str] = set()
        for id_ in self.ids:
            if id_ in seen:
                raise InputError(f"two images of one set have the id {id_!r}; give each image an id of its own")
            seen.add(id_)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """What identifies each image by content: 16 hexadecimal digits of the SHA-256 of its shape and its pixels as
        (C, H, W) uint8."""
        return tuple(_digest(image) for image in self.images)

    @cached_property
    def fingerprint(self) -> str:
        """What identifies the set: 16 hexadecimal digits that change with any image's pixels, or with their order."""
        return hashlib.sha256("\n".join(self.digests).encode()).hexdigest()[:16]


def _digest(image: Tensor) -> str:
    pixels = image.mul(255).round_().to("cpu", torch.uint8).contiguous().numpy()
    return hashlib.sha256(str(tuple(pixels.shape)).encode() + pixels.tobytes()).hexdigest()[:16]


def image_set(
    pixels: Sequence[np.ndarray],
    ids: Sequence[str],
    labels: Sequence[str | None],
    remarks: Sequence[str] = (),
    resized: int = 0,
) -> ImageSet:
    """An ImageSet of `pixels`, each (H, W, C) uint8."""
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float().div_(255).contiguous()
    return ImageSet(images, tuple(ids), tuple(labels), tuple(remarks), resized)


def remarks_on_both(train: ImageSet, control: ImageSet) -> Iterator[str]:
    """What is to be said of both splits beside each other, the control images from elsewhere: a picture that was
    resampled differs from others by that alone."""
    for name, own in (("train", train), ("control", control)):
        yield from (f"{remark} ({name})" for remark in own.remarks)
    height, width = control.images.shape[2:]
    for name, own, other, beside in (("training", train, "control", control), ("control", control, "training", train)):
        more = own.resized / len(own) - beside.resized / len(beside)
        if own.resized and (not beside.resized or more > MOST):
            yield (
                f"{own.resized} of {len(own)} {name} pictures are not of {height} x {width}, as "
                f"{'most' if beside.resized else 'all'} {other} pictures are, and were resampled to it: they can be "
                "told apart by that"
            )
    yield from on_resampling([train, control])


def on_resampling(sets: Iterable[ImageSet]) -> Iterator[str]:
    """A remark where pictures were resampled, of all these sets together."""
    sets = list(sets)
    if resized := sum(own.resized for own in sets):
        height, width = sets[0].images.shape[2:]
        yield (
            f"{ELSEWHERE}{resized} of {sum(map(len, sets))} pictures were resampled to {height} x {width}; where it "
            "has seen them resized in another way, it hardly gives them back exactly"
        )


class ImageCountError(InputError):
    """Fewer images are there than asked for: `available` of `split` in `source`, and `count` (None: any) asked for."""

    def __init__(self, source: object, split: str, available: int, count: int | None) -> None:
        self.source, self.split, self.available, self.count = source, split, available, count
        super().__init__(f"{self.found}; {'ask for no more' if available else 'add some, or give another data set'}")

    def __reduce__(self) -> tuple[type["ImageCountError"], tuple[str, str, int, int | None]]:
        return type(self), (str(self.source), self.split, self.available, self.count)

    @property
    def found(self) -> str:
        """What is there and what was asked for, as the beginning of a sentence."""
        images = f"{self.available or 'no'} image{'' if self.available == 1 else 's'}"
        asked = "" if self.count is None else f", but {self.count} {'is' if self.count == 1 else 'are'} asked for"
        return f"{self.source} has {images} for the split {self.split}{asked}"


def balanced_choice(
    groups: Mapping[str, Sequence[Entry]],
    count: int | None,
    seed: int,
    split: str,
    source: object,
    divided: bool = False,
) -> list[tuple[str, Entry]]:
    """Pairs (group, entry), drawn in turn from the shuffled groups.

    No group gives two more than another that still has some.

    Args:
        groups: the entries of each group, by its name.
        count: how many pairs; all where None.
        seed: of the shuffles.
        split: train or control.
        source: where they are from, for the error message.
        divided: whether the splits are the two halves of one source: then the control images are drawn by other
            shuffles, or each would be the neighbour of a training image.

    Raises ImageCountError where there are fewer.
    """
    available = sum(len(entries) for entries in groups.values())
    if available < (1 if count is None else count):
        raise ImageCountError(source, split, available, count)
    draw = ("choice", split) if divided and split == "control" else ("choice",)
    names = _shuffled(sorted(groups), seed, *draw, "groups")
    columns = [[(name, entry) for entry in _shuffled(groups[name], seed, *draw, name)] for name in names]
    turns = (pair for pair in chain(*zip_longest(*columns)) if pair is not None)
    return list(turns)[:count]


def _shuffled(entries: Sequence[Entry], seed: int, *purpose: str) -> list[Entry]:
    order = torch.randperm(len(entries), generator=generator(seed, *purpose))
    return [entries[i] for i in order.tolist()]
