"""Which images came back in one run and not in the other: the same images, by their pixels, not by their names."""

from functools import partial
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
from pyarrow.dataset import Dataset

from memrec_core.metrics import KINDS
from workflows.comparison.matching import KEY, Labels
from workflows.database import connected
from workflows.experiment.models import GENERIC
from workflows.run.images import catalogues_of
from workflows.run.opened import OpenRun
from workflows.run.scan import scan_rows

_ROWS = f"""
    SELECT keys.number AS number, images.picture AS picture,
           {", ".join(f"mse < {threshold} AS {kind}" for kind, threshold in KINDS.items())}
    FROM results JOIN images USING (data_set, split, image_id) JOIN labels USING (data_set, model)
    JOIN keys ON keys.data_set = labels.as_data_set AND keys.model = labels.as_model AND keys.split = results.split
    AND {" AND ".join(f"keys.{name} IS NOT DISTINCT FROM results.{name}" for name in KEY[2:5])}
"""
"""Numbers in place of names: runs have millions of rows."""


def _counted(kind: str) -> str:
    fits = {
        "both": "base.{0} AND other.{0}",
        "base": "base.{0} AND NOT other.{0}",
        "other": "NOT base.{0} AND other.{0}",
    }
    return ", ".join(f"count(*) FILTER ({rows.format(kind)}) AS {kind}_{name}" for name, rows in fits.items())


_COUNTS = f"""
    SELECT number, count(*) AS common, {", ".join(map(_counted, KINDS))}
    FROM base JOIN other USING (number, picture) GROUP BY number
"""
_CHANGED = " UNION ALL ".join(
    f"SELECT number, picture, '{kind}' AS kind, other.{kind} AS only_in_other "
    f"FROM base JOIN other USING (number, picture) WHERE base.{kind} <> other.{kind}"
    for kind in KINDS
)
_NAMED = f"""
    SELECT {", ".join(f"keys.{name}" for name in KEY)}, kind, images_base.image_id AS image_id,
           images_other.image_id AS image_id_other, only_in_other
    FROM ({_CHANGED}) JOIN keys USING (number) JOIN images_base USING (picture) JOIN images_other USING (picture)
    ORDER BY {", ".join(f"keys.{name}" for name in KEY)}, kind, image_id
"""


class Sides(NamedTuple):
    """Of each group that both runs have, how many images are `common`, and how many of these came back, by kind, in
    `both`, or in one alone (`base`, `other`); and the images that changed sides, a row each."""

    counts: pd.DataFrame
    changed: pd.DataFrame


def sides_of(base: OpenRun, other: OpenRun, labels: Labels, keys: pd.DataFrame) -> Sides:
    """What became of the images that both runs have, in the groups of the `keys`; `labels` says what the other's are
    called in the first."""
    return scan_rows(base, lambda rows: scan_rows(other, partial(_sides, base, other, labels, keys, rows)))


def _sides(
    base: OpenRun, other: OpenRun, labels: Labels, keys: pd.DataFrame, of_base: Dataset, of_other: Dataset
) -> Sides:
    numbered = keys[KEY].reset_index(drop=True).assign(number=range(len(keys)))
    pictures: dict[tuple[str, str, str], int] = {}
    with connected() as database:
        database.register("keys", pa.Table.from_pandas(numbered, preserve_index=False))
        for name, run, rows, called in (("base", base, of_base, Labels()), ("other", other, of_other, labels)):
            database.register("results", rows)
            database.register(f"images_{name}", _images(run, called, pictures))
            database.register("labels", _labels(run, called))
            select = _ROWS.replace("JOIN images USING", f"JOIN images_{name} AS images USING")
            database.execute(f"CREATE TEMP TABLE {name} AS {select}")
        counts = numbered.merge(database.execute(_COUNTS).df(), "left", on="number").drop(columns="number")
        return Sides(counts, database.execute(_NAMED).df())


def _images(run: OpenRun, called: Labels, pictures: dict[tuple[str, str, str], int]) -> pa.Table:
    """The audited images, with a number that the same pixels have in both runs: `pictures` has those given so far."""
    rows = []
    for label, known in catalogues_of(run.store).items():
        for image in known.audited:
            pixels = (called.of_data_set(label), image.split, image.digest)
            rows.append((label, image.split, image.id, pictures.setdefault(pixels, len(pictures))))
    names = ("data_set", "split", "image_id", "picture")
    kinds = (pa.string(), pa.string(), pa.string(), pa.int32())
    columns = [*zip(*rows, strict=True)] or [()] * len(names)
    return pa.table({name: pa.array(own, kind) for name, own, kind in zip(names, columns, kinds, strict=True)})


def _labels(run: OpenRun, called: Labels) -> pa.Table:
    """What the labels of each data set and network, and of none, are called."""
    data_sets = [data.label for data in run.experiment.data]
    pairs = [(data_set, model.label) for data_set in data_sets for model in run.experiment.models]
    pairs += [(data_set, GENERIC) for data_set in data_sets]
    return pa.table(
        {
            "data_set": [data_set for data_set, _ in pairs],
            "model": [model for _, model in pairs],
            "as_data_set": [called.of_data_set(data_set) for data_set, _ in pairs],
            "as_model": [called.of_model(model) for _, model in pairs],
        }
    )
