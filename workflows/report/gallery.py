"""Which pictures of a run its page shows, and what is known of each: all of a small run, a sample of a large one.

A page holds pictures of about PICTURE_BYTES. Of the images that the results keep pictures of, those come first that
came back worst and best, in turn, of training and of control images: a sample shows failures as well as what came back.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import product
from operator import or_
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pyarrow.dataset import Expression
from pyarrow.dataset import field as column

from workflows.experiment.models import GENERIC
from workflows.experiment.resolved import Experiment
from workflows.report.sheets import Sheet
from workflows.run.catalogue import Catalogue
from workflows.run.results import chosen_rows
from workflows.run.run import Run
from workflows.run.unit import Unit

PICTURE_BYTES = 880_000
"""Of a page's pictures, about."""
READ_AT_ONCE, MOST_LEVELS = 100, 6
"""Of so many images the pictures are read together; and at so many training losses of each network, at most."""
FIGURES = ["mse", "psnr", "status", "outer_iterations", "evaluations", "mask_error", "claimed"]
PICTURES = ["original", "degraded", "recovered", "estimated_mask"]
COLUMNS = [
    "data_set",
    "model",
    "target_loss",
    "degradation",
    "split",
    "image_id",
    "label",
    "method",
    *FIGURES,
    *PICTURES,
]


class Key(NamedTuple):
    """What names an image in a run."""

    data_set: str
    split: str
    id: str


@dataclass(frozen=True)
class Result:
    """A method's result: its tile, that of its estimate of the mask (-1 for none), and its figures."""

    method: str
    tile: int
    mask: int
    figures: dict[str, Any]


@dataclass(frozen=True)
class Card:
    """An image under one degradation, and what was recovered of it with a network at one training loss (None for a
    network that was not trained here)."""

    image: int
    model: str
    loss: float | None
    degradation: str
    degraded: int
    results: tuple[Result, ...]

    @property
    def best(self) -> float:
        """The smallest error among its results."""
        return min(result.figures["mse"] for result in self.results)


@dataclass
class Shown:
    """An image that is shown, and its sheet; on it the first tile is the original."""

    key: Key
    label: str | None
    sheet: Sheet = field(default_factory=Sheet)


@dataclass(frozen=True)
class Gallery:
    """The images and cards of a page.

    `kept` is of how many images the results keep pictures, `levels` how many training losses of a network are shown at
    most, of `ladder`.
    """

    images: list[Shown]
    cards: list[Card]
    kept: int
    levels: int
    ladder: int

    @property
    def bytes(self) -> float:
        """What its pictures take on a page, about."""
        return sum(shown.sheet.bytes for shown in self.images)


@dataclass(frozen=True)
class Sources:
    """A run, its units that are done, what its images are, and the rows at the lowest training loss."""

    run: Run
    done: Sequence[Unit]
    known: dict[str, Catalogue]
    rows: pd.DataFrame

    def ladders(self) -> dict[str, list[float | None]]:
        """By each network's label the training losses that are there, the lowest first; of methods without a network
        alone, theirs."""
        found: dict[str, set[float | None]] = {}
        for unit in [unit for unit in self.done if unit.uses_network] or self.done:
            found.setdefault(unit.model, set()).add(unit.target_loss)
        return {model: sorted(losses, key=lambda loss: loss or 0.0) for model, losses in found.items()}


def gallery_of(sources: Sources) -> Gallery | None:
    """The gallery of a run's page; None where the run kept no pictures."""
    ordered = in_order(sources)
    read = _read(sources, ordered[:READ_AT_ONCE], MOST_LEVELS)
    if not read.keys:
        return None
    sample = _fitting(read, 1)
    for levels in range(max(map(len, read.losses.values())), 1, -1):
        found = _built(sources, read, sample, levels, len(ordered))
        if found.bytes <= PICTURE_BYTES:
            return found
    return _built(sources, read, sample, 1, len(ordered))


def all_pictures(sources: Sources) -> Iterator[Gallery]:
    """All pictures of a run, at all training losses, as one gallery for each page of about PICTURE_BYTES."""
    ordered = in_order(sources)
    for start in range(0, len(ordered), READ_AT_ONCE):
        read = _read(sources, ordered[start : start + READ_AT_ONCE], None)
        levels = max(map(len, read.losses.values()), default=1)
        while read.keys:
            fitting = _fitting(read, levels)
            yield _built(sources, read, fitting, levels, len(ordered))
            read = read._replace(keys=read.keys[len(fitting) :])


def in_order(sources: Sources) -> list[Key]:
    """The images of which pictures were kept: in turn of the one split and the other, worst and best in turn, by the
    mean logarithm of their errors at the lowest training loss."""
    rows = sources.rows
    used = rows[rows["model"] != GENERIC]
    used = rows if used.empty else used
    errors = used.assign(log=np.log(used["mse"].clip(lower=1e-20)))
    means = errors.groupby(["data_set", "split", "image_id"])["log"].mean()
    queues = []
    for keys in _kept(sources).values():
        ranked = sorted((key for key in keys if tuple(key) in means.index), key=lambda key: -means[tuple(key)])
        queues.append(
            [ranked[place // 2] if place % 2 == 0 else ranked[-1 - place // 2] for place in range(len(ranked))]
        )
    longest = max(map(len, queues), default=0)
    return [queue[place] for place in range(longest) for queue in queues if place < len(queue)]


def _kept(sources: Sources) -> dict[tuple[str, str], list[Key]]:
    """By data set and split, the images of which a unit that is done keeps pictures."""
    asked: dict[str, int] = {}
    for unit in sources.done:
        pictures = sources.run.experiment.pictures if unit.pictures is None else unit.pictures
        asked[unit.data_set] = max(pictures, asked.get(unit.data_set, 0))
    found: dict[tuple[str, str], list[Key]] = {}
    for data_set, pictures in asked.items():
        for image in sources.known[data_set].audited:
            queue = found.setdefault((data_set, image.split), [])
            if len(queue) < pictures:
                queue.append(Key(data_set, image.split, image.id))
    return found


class _Read(NamedTuple):
    """Some images, the rows of each that have pictures, and the training losses that were read of each network."""

    keys: list[Key]
    records: dict[Key, list[dict[Hashable, Any]]]
    losses: dict[str, list[float | None]]


def _read(sources: Sources, keys: Sequence[Key], most_levels: int | None) -> _Read:
    """What the results have of the images, at some training losses of each network."""
    losses = {model: _spread(ladder, most_levels) for model, ladder in sources.ladders().items()}
    if not keys:
        return _Read([], {}, losses)
    wanted = [unit for unit in sources.done if not unit.uses_network or unit.target_loss in losses[unit.model]]
    fits = column("original").is_valid() & _among(keys)
    rows = chosen_rows(sources.run.store, wanted, sources.known, COLUMNS, fits, mend=True)
    records: dict[Key, list[dict[Hashable, Any]]] = {}
    for row in rows.astype(object).where(rows.notna(), None).to_dict("records"):
        records.setdefault(Key(row["data_set"], row["split"], row["image_id"]), []).append(row)
    return _Read([key for key in keys if key in records], records, losses)


def _among(keys: Sequence[Key]) -> Expression:
    splits: dict[tuple[str, str], list[str]] = {}
    for key in keys:
        splits.setdefault((key.data_set, key.split), []).append(key.id)
    return reduce(
        or_,
        (
            (column("data_set") == data_set) & (column("split") == split) & column("image_id").isin(ids)
            for (data_set, split), ids in splits.items()
        ),
    )


def _spread(losses: list[float | None], most: int | None) -> list[float | None]:
    """At most so many of the losses, the lowest first, evenly over them."""
    if most is None or len(losses) <= most:
        return losses
    return [losses[round(place)] for place in np.linspace(0, len(losses) - 1, most)]


def _fitting(read: _Read, levels: int) -> list[Key]:
    """How many of the images fit on a page at so many training losses, one at least."""
    losses = {model: set(_spread(ladder, levels)) for model, ladder in read.losses.items()}
    room, taken = float(PICTURE_BYTES), 0
    for key in read.keys:
        sheet = Sheet()
        for row in read.records[key]:
            if row["model"] == GENERIC or row["target_loss"] in losses[row["model"]]:
                for name in PICTURES:
                    sheet.place(row[name])
        room -= sheet.bytes
        if room < 0:
            break
        taken += 1
    return read.keys[: max(taken, 1)]


def _built(sources: Sources, read: _Read, keys: list[Key], levels: int, kept: int) -> Gallery:
    """The gallery of some of the images, at so many training losses of each network."""
    losses = {model: _spread(ladder, levels) for model, ladder in read.losses.items()}
    images, cards = [], []
    for number, key in enumerate(keys):
        records = read.records[key]
        shown = Shown(key, records[0]["label"])
        shown.sheet.place(records[0]["original"])
        images.append(shown)
        cards += _cards(sources.run.experiment, number, shown.sheet, records, losses)
    ladder = max(map(len, sources.ladders().values()), default=1)
    return Gallery(images, cards, kept, max(map(len, losses.values()), default=1), ladder)


def _cards(
    experiment: Experiment,
    number: int,
    sheet: Sheet,
    records: list[dict[Hashable, Any]],
    losses: dict[str, list[float | None]],
) -> Iterator[Card]:
    """The cards of one image. What a method without a network found stands beside what each network gave."""
    found = {(row["model"], row["target_loss"], row["degradation"], row["method"]): row for row in records}
    for model, ladder in losses.items():
        for loss, degradation in product(ladder, experiment.degradations):
            places: tuple[tuple[str, float | None], ...] = ((model, loss), (GENERIC, None))
            tried = product(experiment.titles, dict.fromkeys(places))
            rows = [found.get((name, at, degradation.label, method)) for method, (name, at) in tried]
            rows = [row for row in rows if row is not None]
            if any(row["model"] == model for row in rows):
                degraded = sheet.place(rows[0]["degraded"])
                results = tuple(_result(row, sheet) for row in rows)
                yield Card(number, model, loss, degradation.label, degraded, results)


def _result(row: dict[Hashable, Any], sheet: Sheet) -> Result:
    tile, mask = sheet.place(row["recovered"]), sheet.place(row["estimated_mask"])
    return Result(row["method"], tile, mask, {name: row[name] for name in FIGURES})
