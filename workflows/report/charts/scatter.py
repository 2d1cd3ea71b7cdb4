"""A panel of points, an image each, where two errors of it are; the smaller errors lie further out."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from workflows.report.charts.axis import Axis
from workflows.report.charts.panel import COLOURS, across, axes, framed, up

ARM = 2


@dataclass(frozen=True)
class Cloud:
    """A method's points (x, y), of training images or of `control` images; `place` is the method's among all."""

    name: str
    place: int
    control: bool
    points: tuple[tuple[float, float], ...]

    @property
    def colour(self) -> int:
        return self.place % COLOURS


def scatter(title: str, description: str, clouds: Sequence[Cloud], x: Axis, y: Axis, lines: Sequence[float]) -> Markup:
    """The panel as an SVG element: dots for training images, crosses for control images; a line across at each of
    `lines`, values of y."""
    drawn = [axes(x, y)]
    limit, (left, right) = Markup('<path class="limit" d="M{} {}H{}"/>'), (across(x, x.high), across(x, x.low))
    drawn += [limit.format(left, up(y, at), right) for at in lines]
    for cloud in clouds:
        places = [(across(x, at), up(y, value)) for at, value in cloud.points]
        classes = f"{'crosses' if cloud.control else 'dots'} c{cloud.colour}"
        drawn.append(
            Markup('<path class="{}" d="{}"/>').format(classes, _crosses(places) if cloud.control else _dots(places))
        )
    return framed(title, description, drawn)


def _dots(places: Sequence[tuple[float, float]]) -> str:
    return "".join(f"M{at} {value}h0" for at, value in places)


def _crosses(places: Sequence[tuple[float, float]]) -> str:
    size = 2 * ARM
    return "".join(f"M{at - ARM:.1f} {value - ARM:.1f}l{size} {size}m-{size} 0l{size}-{size}" for at, value in places)
