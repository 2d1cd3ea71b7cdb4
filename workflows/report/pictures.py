"""Before, degraded and recovered: pictures from the results at the lowest training loss."""

import base64
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pyarrow.dataset import field

from memrec_core.metrics import ACCURATE, APPROXIMATE
from workflows.experiment.models import GENERIC
from workflows.run.catalogue import Catalogue
from workflows.run.compacted import WrongFilesError
from workflows.run.results import chosen_rows
from workflows.run.rows import set_files_aside
from workflows.run.run import Run
from workflows.run.store import Store
from workflows.run.unit import Unit

COLUMNS = ["degradation", "split", "image_id", "method", "mse", "original", "degraded", "recovered"]


@dataclass(frozen=True)
class Picture:
    """A PNG as a data URI, or nothing, with the words below it and a class: accurate, approximate, failed or none."""

    uri: str
    caption: str
    outcome: str


@dataclass(frozen=True)
class PictureRow:
    """One kind of picture, for each of the images: the originals, the degraded ones, a method's recoveries."""

    title: str
    pictures: list[Picture]


@dataclass(frozen=True)
class PictureBlock:
    """One model, degradation and split."""

    title: str
    rows: list[PictureRow]


def picture_rows(run: Run, done: list[Unit], known: dict[str, Catalogue]) -> list[PictureBlock]:
    """A block for each model, degradation and split, from the rows that kept pictures; none where none did. Of each
    model at the lowest training loss that any of the units `done` has."""
    experiment = run.experiment
    if experiment.pictures == 0:
        return []
    blocks = []
    for model in experiment.models:
        ladder = {unit.target_loss for unit in done if unit.model == model.label}
        if not ladder:
            continue
        lowest = min((loss for loss in ladder if loss is not None), default=None)
        trained_to = "given" if lowest is None else f"training loss {lowest:g}"
        own = ((model.label, lowest), (GENERIC, None))
        units = [unit for unit in done if (unit.model, unit.target_loss) in own]
        kept = _kept(run.store, units, known, model.data)
        for degradation in experiment.degradations:
            for split in ("train", "control"):
                rows = rows_of(
                    kept[(kept["degradation"] == degradation.label) & (kept["split"] == split)], experiment.titles
                )
                if rows:
                    title = f"{model.label}, {degradation.label}, {trained_to}: {split} images"
                    blocks.append(PictureBlock(title, rows))
    return blocks


def _kept(store: Store, units: list[Unit], known: dict[str, Catalogue], data_set: str) -> pd.DataFrame:
    """The rows of a data set that kept pictures. Raises ResultsError where some can't be read, or are not their
    unit's; their files are set aside."""
    try:
        kept = field("original").is_valid() & (field("data_set") == data_set)
        return chosen_rows(store, units, known, COLUMNS, kept, mend=True)
    except WrongFilesError as error:
        set_files_aside(store, error)


def rows_of(kept: pd.DataFrame, titles: dict[str, str]) -> list[PictureRow]:
    """From results that have pictures, each image in a column of its own; where a method has none of it, the place
    stays empty."""
    images = kept.drop_duplicates("image_id").sort_values("image_id").to_dict("records")
    if not images:
        return []
    rows = [
        PictureRow("original", [Picture(_uri(row["original"]), row["image_id"], "none") for row in images]),
        PictureRow("degraded", [Picture(_uri(row["degraded"]), "", "none") for row in images]),
    ]
    for method in [method for method in titles if (kept["method"] == method).any()]:
        found = {row["image_id"]: row for row in kept[kept["method"] == method].to_dict("records")}
        rows.append(PictureRow(titles[method], [_recovered(found.get(row["image_id"])) for row in images]))
    return rows


def _recovered(row: Mapping[Hashable, Any] | None) -> Picture:
    if row is None:
        return Picture("", "no result", "none")
    return Picture(_uri(row["recovered"]), f"MSE {row['mse']:.0e}", _outcome(row["mse"]))


def _outcome(mse: float) -> str:
    return "accurate" if mse < ACCURATE else "approximate" if mse < APPROXIMATE else "failed"


def _uri(picture: dict[str, bytes]) -> str:
    return "data:image/png;base64," + base64.b64encode(picture["bytes"]).decode()
