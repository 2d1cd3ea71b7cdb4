"""The images of a data set that a run tries to recover: the training set, then the control set, each picture once."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from memrec_core import datasets
from memrec_core.datasets import ImageCountError, ImageSet
from memrec_core.datasets.duplicates import near_duplicates, near_pairs
from memrec_core.datasets.image_set import on_resampling, remarks_on_both
from memrec_core.datasets.remarks import ELSEWHERE
from memrec_core.errors import InputError
from memrec_core.metrics import ACCURATE, mse
from memrec_core.seeding import generator
from workflows.experiment.data import Data
from workflows.run.catalogue import Catalogue, Image, check_same, examples


@dataclass(frozen=True)
class AuditSet:
    """The images of a catalogue (N, C, H, W), as uint8: they lie once in a node's memory, and its actors share it."""

    catalogue: Catalogue
    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.catalogue)

    @cached_property
    def places(self) -> np.ndarray:
        """Where each audited image lies among the pixels."""
        return np.flatnonzero([image.audited for image in self.catalogue.images])

    @cached_property
    def pictures(self) -> np.ndarray:
        """Where each different picture lies, whether audited or not drawn: a draw leaves the others' pictures there."""
        return np.flatnonzero([image.audited or image.is_not_drawn for image in self.catalogue.images])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        _, channels, height, width = self.pixels.shape
        return channels, height, width

    def images(self, part: slice | np.ndarray, device: str = "cpu") -> Tensor:
        """Some of the audited images (N, C, H, W) as float32 in [0, 1], copied to `device`."""
        return _as_floats(self.pixels[self.places[part]], device)

    def pictured(self, part: np.ndarray) -> Tensor:
        """Some of the different pictures (N, C, H, W), likewise on the CPU."""
        return _as_floats(self.pixels[self.pictures[part]], "cpu")

    def some_training_images(self, count: int) -> Tensor:
        """Up to so many of them, spread over all."""
        places = np.flatnonzero(np.array([image.split == "train" for image in self.catalogue.images]))
        spread = np.linspace(0, len(places) - 1, min(count, len(places))).round().astype(int)
        return _as_floats(self.pixels[places[spread]], "cpu")

    def training_images(self, device: str = "cpu") -> Tensor:
        """All that the networks are trained on, copies included."""
        return _as_floats(self.pixels[[image.split == "train" for image in self.catalogue.images]], device)


def _as_floats(pixels: np.ndarray, device: str) -> Tensor:
    return torch.tensor(pixels, device=device).float().div_(255)


def load_split(data: Data, seed: int, split: str) -> ImageSet:
    """The training images, or the control images. Raises InputError where they can't be had."""
    places = {name: value for name in ("root", "control_root") if (value := getattr(data, name)) is not None}
    options = {**places, **data.options}
    count = data.count
    if split == "control" and data.control_count is not None:
        count = data.control_count
    try:
        return datasets.load(
            data.name, count=count, size=data.size, channels=data.channels, seed=seed, split=split, **options
        )
    except ImageCountError as error:
        raise InputError(f"data set {data.label}: {error.found}; {_way_out(data, error)}") from error


def _way_out(data: Data, error: ImageCountError) -> str:
    """What to change in the experiment where there are too few images."""
    most = error.available
    if error.split == "train":
        return f"set its count to {most} or fewer" if most else "add images, or give another root"
    as_many = ", which is as many as its count where it is left out" if data.control_count is None else ""
    return f"set its control_count to {f'{most} or fewer' if most else '0, for no control images'}{as_many}"


def load_splits(data: Data, seed: int) -> dict[str, ImageSet]:
    """The images of both splits; of one where the experiment wants no control images."""
    return {
        split: load_split(data, seed, split) for split in ("train", "control")[: 1 if data.control_count == 0 else 2]
    }


def load_audit_set(data: Data, seed: int, kept: Catalogue | None = None, run: str = "") -> AuditSet:
    """The images of both splits, and which of them are near-duplicates: those that were `kept` of a `run`'s first step.

    Raises InputError where they can't be had, and where they are not those that were kept.
    """
    splits = load_splits(data, seed)
    images = [image for split, own in splits.items() for image in images_of(split, own)]
    pixels = torch.cat([own.images for own in splits.values()])
    if kept is None:
        images = _drawn(_without_copies(images, pixels, data), data, seed)
        catalogue = Catalogue(tuple(images), (*_remarks(splits, data), *_on_rounding(pixels)))
    else:
        check_same(run, data.label, kept.images, images)
        _check_duplicates(data, kept, run)
        _check_drawn(data, kept, run)
        catalogue = kept
    return AuditSet(catalogue, pixels.mul(255).round_().byte().numpy())  # as it was read


def _check_duplicates(data: Data, kept: Catalogue, run: str) -> None:
    """Raises InputError where the run counts near-duplicates of training images otherwise than is asked for now."""
    counted = kept.seen() if not data.keep_duplicates else kept.left_out()
    if counted:
        then = not data.keep_duplicates
        raise InputError(
            f"data set {data.label}: keep_duplicates was {str(then).lower()} when {run} first had it, and is "
            f"{str(not then).lower()} now, which {len(counted)} control images depend on; restore it, or give the data "
            "set another label"
        )


def _check_drawn(data: Data, kept: Catalogue, run: str) -> None:
    """Raises InputError where the run recovers another number of the training images than is asked for now."""
    then = kept.count("train") if kept.not_drawn() else None
    now = data.recover_count
    if then != now and not (then is None and now == kept.count("train")):
        raise InputError(
            f"data set {data.label}: {kept.count('train')} of its training images are recovered in {run}"
            f"{'' if then else ', which are all'}, and recover_count is {'left out' if now is None else now} now; "
            "restore it, or give the data set another label"
        )


def _remarks(splits: dict[str, ImageSet], data: Data) -> tuple[str, ...]:
    """What was said of both splits, once where both are of one folder."""
    if data.control_root is None:
        own = dict.fromkeys(remark for own in splits.values() for remark in own.remarks)
        return (*own, *on_resampling(splits.values()))
    if len(splits) == 1:
        return tuple(f"{remark} (train)" for remark in splits["train"].remarks)
    return tuple(remarks_on_both(**splits))


def _on_rounding(pixels: Tensor) -> Iterator[str]:
    """A remark where a data set of one's own has pixels that are no whole 255ths, nor nearly."""
    rounded = int((mse(pixels.mul(255).round() / 255, pixels) >= ACCURATE).sum()) if len(pixels) else 0
    if rounded:
        yield (
            f"{ELSEWHERE}{rounded} of {len(pixels)} images have pixels that are no whole 255ths, and are rounded to "
            "them: it gives none of these back exactly"
        )


def images_of(split: str, own: ImageSet) -> Iterator[Image]:
    """The images of a split, before anything is known of their copies."""
    for entry in zip(own.ids, own.labels, own.digests, strict=True):
        yield Image(split, *entry)


def _without_copies(images: list[Image], pixels: Tensor, data: Data) -> list[Image]:
    """The images with their near-duplicates marked: first those that cross over from the training set, then those
    within each split."""
    crossing = _crossing(images, pixels)
    if crossing and not data.keep_duplicates:
        for place, twin in crossing.items():
            images[place] = images[place]._replace(copy_of=images[twin].name, audited=False)
        if not any(image.audited for image in images if image.split == "control"):
            raise InputError(
                f"data set {data.label}: all its {len(crossing)} control images are near-duplicates of training images "
                f"({examples([images[place] for place in crossing])}); give images that were not trained on, or "
                "control_count: 0 for none, or keep them with --keep-duplicates"
            )
    else:
        for place, twin in crossing.items():
            images[place] = images[place]._replace(copy_of=images[twin].name)
    for split in ("train", "control"):
        own = np.array([i for i, image in enumerate(images) if image.split == split and image.audited], dtype=int)
        for place, first in zip(own, own[near_duplicates(pixels[own])], strict=True):
            if first != place:
                images[place] = images[place]._replace(copy_of=images[first].name, audited=False)
    return images


def _drawn(images: list[Image], data: Data, seed: int) -> list[Image]:
    """The images, of whose training images as many are audited as the data set says, drawn at random."""
    if data.recover_count is None:
        return images
    places = [place for place, image in enumerate(images) if image.split == "train" and image.audited]
    if data.recover_count > len(places):
        raise InputError(
            f"data set {data.label}: recover_count is {data.recover_count}, and there are {len(places)} different "
            f"training images; set it to {len(places)} or fewer, or leave it out to recover all"
        )
    order = torch.randperm(len(places), generator=generator(seed, "recovered")).tolist()
    for i in order[data.recover_count :]:
        images[places[i]] = images[places[i]]._replace(audited=False)
    return images


def _crossing(images: list[Image], pixels: Tensor) -> dict[int, int]:
    """The places of the control images that are near-duplicates of training images, and of the first such one."""
    trained = sum(image.split == "train" for image in images)
    twins: dict[int, int] = {}
    for place, twin in near_pairs(pixels[trained:], pixels[:trained]).tolist():
        twins.setdefault(trained + place, twin)
    return dict(sorted(twins.items()))
