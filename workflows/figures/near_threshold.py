"""Figure F.1: training images that came back just under the approximate threshold, beside their originals."""

import io
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image
from pyarrow.dataset import Dataset, field

from memrec_core.metrics import APPROXIMATE
from workflows.figures.source import Drawing, NothingToDrawError, Source
from workflows.figures.style import MM, show
from workflows.run.scan import scan_rows

NEAR = (4e-4, 1e-4)
"""The MSE from which on an image is near the threshold, as in the paper; and further away, where none is."""
PAIRS, ACROSS = 12, 4
COLUMNS = ["image_id", "method", "mse", "original", "recovered"]


def figure_f1(source: Source) -> Iterator[Drawing]:
    """Each image once, as the recovery that is next to the threshold has it."""
    rows = scan_rows(source.run, lambda dataset: _near(source, dataset))
    if rows.empty:
        raise NothingToDrawError(
            f"none of the pictures that the run has kept of training images has an MSE from {NEAR[-1]:g} to "
            f"{APPROXIMATE:g} (pictures: N in the experiment keeps those of more images)"
        )
    yield Drawing("figureF1", _pairs(source, rows.head(PAIRS)))


def _near(source: Source, dataset: Dataset) -> pd.DataFrame:
    networked = [entry.label for entry in source.run.experiment.networked]
    fits = (field("mse") >= NEAR[-1]) & (field("mse") < APPROXIMATE) & (field("split") == "train")
    fits = fits & field("original").is_valid() & field("method").isin(pa.array(networked, pa.string()))
    rows = dataset.to_table(columns=COLUMNS, filter=fits).to_pandas()
    rows = rows.sort_values(["mse", "image_id", "method"], ascending=[False, True, True], kind="stable")
    for nearest in NEAR:
        if len(near := rows[rows["mse"] >= nearest]):
            return near.drop_duplicates("image_id", ignore_index=True)
    return rows


def _pairs(source: Source, rows: pd.DataFrame) -> Figure:
    down = -(-len(rows) // ACROSS)
    side = source.width_mm / (2.2 * ACROSS)
    figure = Figure(
        figsize=(source.width_mm * MM, down * (side + 6) * MM),
        layout=ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.01),
    )
    grid = figure.subplots(down, 2 * ACROSS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for place, row in enumerate(rows.to_dict("records")):
        left, right = grid[place // ACROSS][2 * (place % ACROSS) :][:2]
        show(left, _pixels(row["original"]["bytes"]), "original")
        show(right, _pixels(row["recovered"]["bytes"]), f"{row['mse']:.1e}")
    return figure


def _pixels(png: bytes) -> np.ndarray:
    """As matplotlib shows them: it would stretch grey to what the picture holds of it."""
    picture = Image.open(io.BytesIO(png))
    return np.asarray(picture.convert("RGBA" if "A" in picture.mode else "RGB"))
