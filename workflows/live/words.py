"""What a look at a run says: as lines, and as a screen."""

import math
from collections.abc import Iterator
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from workflows.experiment.models import GENERIC
from workflows.experiment.resolved import Experiment
from workflows.live.look import Course, Look
from workflows.live.rates_so_far import Counted, Row
from workflows.run.standing import in_words
from workflows.terminal import plain
from workflows.words import loss_words, whole

BLOCKS, WIDTH = "▁▂▃▄▅▆▇█", 32


def lines_of(look: Look) -> Iterator[tuple[str, str]]:
    """What it is about, and a line on it that changes only with what it says."""
    if look.driver is None:
        yield "driver", "no driver has begun yet"
    elif not look.has_ended:
        standing = look.driver.standing
        doing = f"{look.done}/{look.planned} units are done" if standing.units_planned else in_words(standing)
        yield "driver", doing
    for model, course in look.courses.items():
        step = max(course, default=0)
        if step and math.isfinite(course[step]):
            yield model, f"training {model}: loss {course[step]:.0e}"
    if look.wrong:
        yield "wrong", look.wrong


def screen_of(look: Look, folder: str, height: int, blocks: bool) -> RenderableType:
    """The same with the losses as curves and the rates as a table, in so many lines; `blocks` says whether the
    terminal has the letters of the curves."""
    says = look.driver.says() if look.driver else "no driver has begun yet"
    parts: list[RenderableType] = [_text(f"{look.experiment.name}: {folder}"), _text(says)]
    if look.wrong:
        parts.append(_text(look.wrong))
    if any(look.courses.values()):
        parts.append(_losses(look, blocks))
    if look.rates:
        parts.append(rates_table(look, max(height - len(parts) - len(look.courses) - 6, 3)))
    return Group(*parts)


def _text(line: str) -> Text:
    return Text(plain(line), overflow="fold")


def _losses(look: Look, blocks: bool) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    lowest = min(look.experiment.training.targets, default=1e-8)
    for model, course in look.courses.items():
        if course:
            step = max(course)
            curve = sparkline(course) if blocks else ""
            table.add_row(
                plain(model), curve, f"step {step:,}", f"loss {course[step]:.1e}", f"on the way to {lowest:g}"
            )
    return table


def sparkline(course: Course, width: int = WIDTH) -> str:
    """The loss, on a logarithmic scale, over the steps."""
    points = sorted((step, math.log10(loss)) for step, loss in course.items() if loss > 0 and math.isfinite(loss))
    if not points:
        return ""
    low, high = min(value for _, value in points), max(value for _, value in points)
    first, last = points[0][0], points[-1][0]
    places = [first + (last - first) * number / max(width - 1, 1) for number in range(width if last > first else 1)]
    levels = [(_at(points, place) - low) / (high - low) if high > low else 0.0 for place in places]
    return "".join(BLOCKS[round(level * (len(BLOCKS) - 1))] for level in levels)


def _at(points: list[tuple[int, float]], place: float) -> float:
    """Between two points what lies on the line between them."""
    for (step, value), (following, then) in pairwise(points):
        if step <= place <= following:
            return value + (then - value) * (place - step) / (following - step)
    return points[-1][1]


def rates_table(look: Look, most: int) -> Table:
    """Accurate recoveries of training images so far, those of the lowest losses where there is no room for `most`
    rows; and of control images by the method that recovers most of them."""
    titles = look.experiment.titles
    methods = [method for method in titles if any(row.method == method for row in look.rates)]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    sampled = any(data.recover_count is not None for data in look.experiment.data)
    of = "so many images, a sample of those trained on" if sampled else "so many images"
    table.title, table.title_justify = f"accurate so far, % (of {of})", "left"
    keys = _in_order(look.experiment, look.rates)
    networks = [_network(look.experiment, data_set, model) for data_set, model, _, _ in keys]
    several = len({*networks}) > 1
    for title in ("loss", *(["network"] if several else []), "degradation"):
        table.add_column(title, overflow="fold")
    for title in (*(titles[method] for method in methods), "control, most"):
        table.add_column(plain(title), justify="right")
    for key, network in zip(keys[:most], networks, strict=False):
        _, _, loss, degradation = key
        name = [plain(network)] if several else []
        cells = [_cell(_sum(look, key, "train", method)) for method in methods]
        control = _cell(max((_sum(look, key, "control", method) for method in methods), key=_rate))
        table.add_row(loss_words(loss), *name, plain(degradation), *cells, control)
    if len(keys) > most:
        table.caption, table.caption_justify = f"... and {len(keys) - most} more rows", "left"
    return table


def _network(experiment: Experiment, data_set: str, model: str) -> str:
    """What a row's network is called. Methods without one are asked of every data set: of several, it says which."""
    return f"{model}, {data_set}" if model == GENERIC and len(experiment.data) > 1 else model


def _key(row: Row) -> tuple[str, str, float | None, str]:
    return row.data_set, row.model, row.target_loss, row.degradation


def _in_order(experiment: Experiment, rates: dict[Row, Counted]) -> list[tuple[str, str, float | None, str]]:
    """From the lowest loss up, and as the experiment lists degradations."""
    places = {one.label: place for place, one in enumerate(experiment.degradations)}
    keys = dict.fromkeys(map(_key, rates))
    return sorted(keys, key=lambda key: (key[2] is None, key[2] or 0.0, key[1], places.get(key[3], 0), key[0]))


def _sum(look: Look, key: tuple[str, str, float | None, str], split: str, method: str) -> Counted:
    """Of the rows of a key and split those of a method."""
    found = Counted()
    for row, count in look.rates.items():
        if _key(row) == key and row.split == split and row.method == method:
            found = found.with_more(count.images, count.accurate)
    return found


def _rate(count: Counted) -> float:
    return count.accurate / count.images if count.images else -1.0


def _cell(count: Counted) -> str:
    return f"{whole(count.accurate / count.images)} ({count.images})" if count.images else "-"
