"""Figures 1 and 2: the course of one recovery, its iterates and the estimates of its mask."""

from collections.abc import Iterator, Mapping

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from memrec_core import metrics
from memrec_core.errors import InputError
from workflows.errors import CheckpointError
from workflows.figures.source import Drawing, NothingToDrawError, Source
from workflows.figures.style import MM, show
from workflows.report.course import Walk, drawable, moments
from workflows.work.recover import opaque

MOMENTS = 5
"""How many iterates stand between the degraded image and the original."""


def figure_1(source: Source) -> Iterator[Drawing]:
    """The iterates of each method, as they approach the image."""
    walk = _walk(source)
    rows = {title: [*_iterates(course.images, walk)] for title, course in walk.courses.items()}
    yield Drawing(f"figure1-{walk.name}", _strips(source, rows, walk, ("original", walk.original)))


def figure_2(source: Source) -> Iterator[Drawing]:
    """The estimates of the mask, of the methods that make some."""
    walk = _walk(source)
    mask = walk.problem.operator.kept
    rows = {
        title: [(f"t = {t}", opaque(course.masks[t - 1])) for t in moments(len(course.masks), MOMENTS)]
        for title, course in walk.courses.items()
        if course.masks
    }
    if not rows or mask is None:
        raise NothingToDrawError("no method of the run estimates the mask under its first degradation")
    yield Drawing(f"figure2-{walk.name}", _strips(source, rows, walk, ("true mask", opaque(mask))))


def _iterates(images: list[Tensor], walk: Walk) -> Iterator[tuple[str, Tensor]]:
    for t in moments(len(images), MOMENTS):
        psnr = metrics.psnr(metrics.mse(images[t - 1], walk.original)).item()
        yield f"t = {t}\n{psnr:.0f} dB", images[t - 1]


def _walk(source: Source) -> Walk:
    try:
        return source.walk
    except (InputError, CheckpointError) as error:
        raise NothingToDrawError(str(error)) from error


def _strips(
    source: Source, rows: Mapping[str, list[tuple[str, Tensor]]], walk: Walk, last: tuple[str, Tensor]
) -> Figure:
    """A row of pictures for each method, between the degraded image and what it should have come to."""
    columns = MOMENTS + 2
    side = source.width_mm / (columns + 0.4)
    height = len(rows) * (side + 6) * MM
    figure = Figure(
        figsize=(source.width_mm * MM, height), layout=ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.01)
    )
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, (title, pictures) in zip(grid, rows.items(), strict=True):
        for axes in line:
            axes.axis("off")
        for axes, (caption, picture) in [
            *zip(line, [("degraded", walk.problem.degraded), *pictures], strict=False),
            (line[-1], last),
        ]:
            show(axes, drawable(picture[0]), caption)
        line[0].text(-0.08, 0.5, title, transform=line[0].transAxes, rotation=90, va="center", ha="right", fontsize=5.5)
    return figure
