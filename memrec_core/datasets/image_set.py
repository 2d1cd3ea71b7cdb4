"""A set of images in memory, and the choice of a subset that all data sets share."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from memrec_core.errors import InputError
from memrec_core.seeding import generator

SPLITS = ("train", "control")
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class ImageSet:
    """N images (N, C, H, W) float32 in [0, 1], with an id and a label (or None) for each.

    `remarks` are sentences for people, on what was passed over, scaled or odd when the images were read. Raises
    InputError where the numbers of images, ids and labels differ, and where two images have one id: the random numbers
    of a recovery follow from the id.
    """

    images: Tensor
    ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    remarks: tuple[str, ...] = ()

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
    pixels: Sequence[np.ndarray], ids: Sequence[str], labels: Sequence[str | None], remarks: Sequence[str] = ()
) -> ImageSet:
    """An ImageSet of `pixels`, each (H, W, C) uint8."""
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float().div_(255).contiguous()
    return ImageSet(images, tuple(ids), tuple(labels), tuple(remarks))


def balanced_choice(
    groups: dict[str, Sequence[Entry]], count: int | None, seed: int, split: str, source: object
) -> list[tuple[str, Entry]]:
    """`count` pairs (group, entry), drawn in turn from the shuffled groups, so that no group gives two more than
    another that still has some. Raises InputError, which names the split and where it is from, if there are fewer."""
    available = sum(len(entries) for entries in groups.values())
    if available == 0 or (count is not None and count > available):
        raise InputError(
            f"{source}, split {split}, has {available} images, but {count or 'some'} are asked for; lower "
            f"{'control_count' if split == 'control' else 'count'}"
        )
    names = _shuffled(sorted(groups), seed, "groups")
    columns = [[(name, entry) for entry in _shuffled(groups[name], seed, name)] for name in names]
    turns = (pair for pair in chain(*zip_longest(*columns)) if pair is not None)
    return list(turns)[:count]


def _shuffled(entries: Sequence[Entry], seed: int, purpose: str) -> list[Entry]:
    order = torch.randperm(len(entries), generator=generator(seed, "choice", purpose))
    return [entries[i] for i in order.tolist()]
