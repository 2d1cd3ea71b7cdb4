"""A set of images in memory, and the choice of a subset that all data sets share."""

from collections.abc import Sequence
from dataclasses import dataclass
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
    """N images (N, C, H, W) float32 in [0, 1], with an id and a label (or None) for each. Ids are unique."""

    images: Tensor
    ids: tuple[str, ...]
    labels: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.ids)


def image_set(pixels: Sequence[np.ndarray], ids: Sequence[str], labels: Sequence[str | None]) -> ImageSet:
    """An ImageSet of `pixels`, each (H, W, C) uint8."""
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float().div_(255).contiguous()
    return ImageSet(images, tuple(ids), tuple(labels))


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
