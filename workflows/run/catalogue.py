"""What a run knows of the images of a data set: which there are, by their pixels, and which of them are audited."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from memrec_core.datasets.remarks import ELSEWHERE, some
from memrec_core.errors import InputError, shown_name


class Image(NamedTuple):
    """An image that was read. `digest` is that of its pixels, `copy_of` the first image (split/id) that it is a
    near-duplicate of, None where there is none. One that is not `audited` stands in no result: a copy, whose picture
    counts once, a control image that the network has seen, or a training image that was not drawn."""

    split: str
    id: str
    label: str | None
    digest: str
    copy_of: str | None = None
    audited: bool = True

    @property
    def is_not_drawn(self) -> bool:
        """Whether it is a training image of which only a sample is recovered, without it."""
        return not self.audited and self.copy_of is None

    @property
    def name(self) -> str:
        """Unique in its data set: an image of the control set may have the id of a training image."""
        return f"{self.split}/{self.id}"


@dataclass(frozen=True)
class Catalogue:
    """What the driver knows of a data set: all its images, training images first, and the `remarks` of the reader."""

    images: tuple[Image, ...]
    remarks: tuple[str, ...] = ()

    @cached_property
    def audited(self) -> tuple[Image, ...]:
        """The images that a run tries to recover; the places of its units count these."""
        return tuple(image for image in self.images if image.audited)

    @cached_property
    def first_of_split(self) -> dict[str, int]:
        """The place of the first audited image of each split."""
        places: dict[str, int] = {}
        for place, image in enumerate(self.audited):
            places.setdefault(image.split, place)
        return places

    def __len__(self) -> int:
        return len(self.audited)

    def place_of(self, asked: str) -> int | None:
        """The place of the audited image that is asked for by its number, its id, or its split and id; None where there
        is none, or several."""
        if re.fullmatch(r"[0-9]{1,9}", asked):
            return int(asked) if int(asked) < len(self) else None
        found = [place for place, image in enumerate(self.audited) if asked in (image.id, image.name)]
        return found[0] if len(found) == 1 else None

    @cached_property
    def multiplicities(self) -> tuple[int, ...]:
        """How often the picture of each audited image is in its split."""
        copies = Counter(image.copy_of for image in self._copies())
        return tuple(1 + copies[image.name] for image in self.audited)

    def digest(self, start: int, stop: int) -> str:
        """Changes with the split, id or pixels of any of the audited images from start to stop."""
        content = (f"{image.name}\x1f{image.digest}" for image in self.audited[start:stop])
        return hashlib.sha256("\x1e".join(content).encode()).hexdigest()[:16]

    def digests(self, split: str) -> list[str]:
        """Of the images of a split, copies included."""
        return [image.digest for image in self.images if image.split == split]

    def fingerprint(self, split: str) -> str:
        """Changes with the pixels of any image of a split, copies included; see ImageSet.fingerprint."""
        return hashlib.sha256("\n".join(self.digests(split)).encode()).hexdigest()[:16]

    def sentences(self, label: str, elsewhere: bool) -> Iterator[str]:
        """What a reader of the run's figures must know of the data set, which the experiment calls `label`; `elsewhere`
        where it has networks that memrec has not trained."""
        for remark in self.remarks:
            if elsewhere or not remark.startswith(ELSEWHERE):
                yield f"data set {label}: {remark}"
        if drawn := self.drawn():
            yield f"data set {label}: {drawn}"
        for split, words in (("train", "training"), ("control", "control")):
            if own := [image for image in self._copies() if image.split == split]:
                yield (
                    f"data set {label}: {len(own)} of {self._total(split)} {words} images are near-duplicates of "
                    f"others, and count once with those: {examples(own)}"
                )
        for crossed, consequence in (
            (self.left_out(), "are left out (--keep-duplicates keeps them)"),
            (self.seen(), "count as control all the same"),
        ):
            if crossed:
                yield (
                    f"data set {label}: {len(crossed)} of {self._total('control')} control images are near-duplicates "
                    f"of training images, and {consequence}: {examples(crossed)}"
                )

    def left_out(self) -> list[Image]:
        """The control images that do not count, since their pictures were trained on."""
        return [image for image in self._crossed() if not image.audited]

    def seen(self) -> list[Image]:
        """The control images whose pictures were trained on, and that count all the same."""
        return [image for image in self._crossed() if image.audited]

    def _crossed(self) -> list[Image]:
        """The control images that are near-duplicates of training images."""
        return [image for image in self.images if image.split == "control" and _is_of_training(image)]

    def _copies(self) -> list[Image]:
        """The images that count once with another one of their split."""
        return [image for image in self.images if image.copy_of and image.copy_of.startswith(f"{image.split}/")]

    def copies(self, split: str) -> int:
        """How many of a split's images count with another one of it."""
        return sum(image.split == split for image in self._copies())

    def not_drawn(self) -> int:
        """How many training images count, and are not recovered all the same: others were drawn."""
        return sum(image.is_not_drawn for image in self.images)

    def trained(self) -> int:
        """How many different training images there are, recovered or not."""
        return self.count("train") + self.not_drawn()

    def drawn(self) -> str:
        """What a reader of rates must know where not all training images are recovered."""
        if not self.not_drawn():
            return ""
        return (
            f"{self.count('train'):,} of {self.trained():,} different training images are recovered, drawn at random "
            "(recover_count); the rates are of these"
        )

    def count(self, split: str) -> int:
        """How many of a split's images are audited."""
        return sum(image.split == split for image in self.audited)

    def _total(self, split: str) -> int:
        return sum(image.split == split for image in self.images)


def _is_of_training(image: Image) -> bool:
    return image.copy_of is not None and image.copy_of.startswith("train/")


def examples(images: list[Image]) -> str:
    """The first few, each with the image that it is a near-duplicate of."""
    return some(f"{image.id} of {str(image.copy_of).partition('/')[2]}" for image in images)


def check_same(run: str, label: str, kept: Sequence[Image], now: Sequence[Image]) -> None:
    """Raises InputError, which says how many and names the first, unless a data set's images are those of the run."""
    if _identities(kept) == _identities(now):
        return
    were, are = ({image.name: image for image in images} for images in (kept, now))
    changed = [name for name in were if name in are and were[name].digest != are[name].digest]
    gone, new = ([name for name in one if name not in other] for one, other in ((were, are), (are, were)))
    counted = [
        f"{len(names)} {words} (first: {shown_name(names[0])})"
        for names, words in ((changed, "have other pixels"), (gone, "are gone"), (new, "are new"))
        if names
    ]
    raise InputError(
        f"the images of data set {label} are not those that {run} was begun with: of {len(were)}, "
        f"{', '.join(counted) or 'the order is another'}; restore them, or choose another --run"
    )


def _identities(images: Sequence[Image]) -> list[tuple[str, str, str]]:
    return [(image.split, image.id, image.digest) for image in images]
