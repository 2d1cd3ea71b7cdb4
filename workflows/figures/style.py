"""How figures look: at a column's width, in colours that the colour-blind tell apart, the same bytes each time.

Figures are matplotlib's objects without pyplot, so no window opens and no state of the process's is left behind.
"""

import io
from collections.abc import Iterable
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflows.experiment.methods import MethodEntry

MM = 1 / 25.4
WIDTH_MM = 85.0
"""Of a column of two, in millimetres."""
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
"""Okabe and Ito's, without the yellow that white paper swallows."""
MARKERS, DASHES = "os^Dv<>P", ("-", "-", "-", "--", "-", "--", ":", ":")
PAPER = {"unknown_mask": 0, "known_mask": 1, "autoencoder_iterations": 2, "ddnm": 3}
"""Which colours the methods of the paper have there: orange, blue, green and a red."""
SETTINGS: Any = {
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "legend.fontsize": 6.5,
    "axes.linewidth": 0.5,
    "axes.grid": True,
    "grid.linewidth": 0.3,
    "grid.color": "#D9D9D9",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "lines.linewidth": 1.0,
    "lines.markersize": 2.8,
    "pdf.fonttype": 42,
    "svg.hashsalt": "memrec",
    "savefig.dpi": 300,
}
FORMATS: dict[str, dict[str, Any]] = {
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None},
    "png": {"Software": None},
}
"""With what their files would otherwise say of when and by what they were made."""


class Look(NamedTuple):
    """Of a method's line."""

    colour: str
    marker: str
    dashes: str


def looks_of(methods: Iterable[MethodEntry]) -> dict[str, Look]:
    """By the methods' labels: those of the paper as there, the first of each, and the others in what is left."""
    places: dict[str, int] = {}
    entries = list(methods)
    for entry in entries:
        place = PAPER.get(entry.method.name)
        if place is not None and place not in places.values():
            places[entry.label] = place
    free = [place for place in range(len(COLOURS)) if place not in places.values()] or [len(COLOURS) - 1]
    for number, entry in enumerate(entry for entry in entries if entry.label not in places):
        places[entry.label] = free[number % len(free)]
    return {label: Look(COLOURS[place], MARKERS[place], DASHES[place]) for label, place in places.items()}


def show(axes: Axes, pixels: np.ndarray, caption: str) -> None:
    """A picture (H, W, 3) or (H, W, 4) as it is, pixel by pixel, in a frame that tells its white from the paper's."""
    axes.axis("on")
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.3, color="#999999")
    axes.imshow(pixels, interpolation="nearest")
    axes.set_title(caption, fontsize=5.5, pad=2)


def drawn(figure: Figure) -> dict[str, bytes]:
    """The figure's file in each of the FORMATS. To be called within `styled`, as the drawing is."""
    files = {}
    for format_, metadata in FORMATS.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=format_, metadata=metadata)
        files[format_] = buffer.getvalue()
    return files


def styled() -> Any:
    """A block in which figures look so."""
    return matplotlib.rc_context(SETTINGS)
