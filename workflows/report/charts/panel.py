"""One panel: lines with their intervals as bands, over an axis that all panels of a chart share."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from workflows.report.charts.axis import Axis

WIDTH, HEIGHT = 300, 210
LEFT, RIGHT, TOP, BOTTOM = 44, 16, 8, 38
COLOURS = 8
"""As many colours and markers there are; a method after them begins again."""
MARKED = 26
"""A line of more points is drawn without markers."""


@dataclass(frozen=True)
class Point:
    """A value y at x, with the bounds of its interval where it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Curve:
    """A method's line, of training images or of `control` images; `place` is the method's among all."""

    name: str
    place: int
    control: bool
    points: tuple[Point, ...]

    @property
    def colour(self) -> int:
        return self.place % COLOURS


def panel(title: str, description: str, curves: Sequence[Curve], x: Axis, y: Axis, cursor: bool = False) -> Markup:
    """The panel as an SVG element, with its title and description; with a `cursor` that a slider moves."""
    drawn = [axes(x, y)]
    for draw in (_band, _line, _marks):  # lines lie over all bands
        drawn += [draw(curve, x, y) for curve in curves]
    if cursor:
        drawn.append(Markup('<line class="cursor" y1="{}" y2="{}"/>').format(TOP, HEIGHT - BOTTOM))
    return framed(title, description, drawn)


def framed(title: str, description: str, drawn: Sequence[Markup]) -> Markup:
    """What was drawn as an SVG element, with its title and description."""
    return Markup('<svg class="panel" viewBox="0 0 {} {}" role="img"><title>{}</title><desc>{}</desc>{}</svg>').format(
        WIDTH, HEIGHT, title, description, Markup("").join(drawn)
    )


def across(x: Axis, value: float) -> float:
    """The place of a value of x, in the panel's units."""
    return round(LEFT + (WIDTH - LEFT - RIGHT) * x.share(value), 1)


def up(y: Axis, value: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y.share(value), 1)


def axes(x: Axis, y: Axis) -> Markup:
    drawn, bottom = [], HEIGHT - BOTTOM
    for value, text in y.ticks:
        at = up(y, value)
        drawn += [_path("grid", f"M{LEFT} {at}H{WIDTH - RIGHT}"), _text("end", LEFT - 5, at + 4, text)]
    for value, text in x.ticks:
        at = across(x, value)
        drawn += [_path("grid", f"M{at} {bottom}v4"), _text("middle", at, bottom + 16, text)]
    drawn.append(_text("middle", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, x.title))
    return Markup("").join(drawn)


def _band(curve: Curve, x: Axis, y: Axis) -> Markup:
    ends = [
        (across(x, point.x), up(y, point.high), up(y, point.low))
        for point in curve.points
        if point.low is not None and point.high is not None
    ]
    if len(ends) == 1:
        [(at, high, low)] = ends
        return _path(_classes("whisker", curve), f"M{at} {high}V{low}")
    above, below = [f"{at} {high}" for at, high, _ in ends], [f"{at} {low}" for at, _, low in reversed(ends)]
    return _path(_classes("band", curve), "M" + "L".join([*above, *below]) + "Z") if ends else Markup("")


def _line(curve: Curve, x: Axis, y: Axis) -> Markup:
    places = (f"{across(x, point.x)} {up(y, point.y)}" for point in curve.points)
    return _path(_classes("line", curve), "M" + "L".join(places)) if curve.points else Markup("")


def _marks(curve: Curve, x: Axis, y: Axis) -> Markup:
    if len(curve.points) > MARKED:
        return Markup("")
    uses = [
        Markup('<use href="#k{}" x="{}" y="{}"/>').format(curve.colour, across(x, point.x), up(y, point.y))
        for point in curve.points
    ]
    return Markup('<g class="{}">{}</g>').format(_classes("mark", curve), Markup("").join(uses))


def _classes(kind: str, curve: Curve) -> str:
    return f"{kind} c{curve.colour}" + (" control" if curve.control else "")


def _path(classes: str, d: str) -> Markup:
    return Markup('<path class="{}" d="{}"/>').format(classes, d)


def _text(anchor: str, x: float, y: float, text: str) -> Markup:
    return Markup('<text text-anchor="{}" x="{}" y="{}">{}</text>').format(anchor, x, y, text)
