"""The figures and tables of a run as files; what it has not the data for is said."""

from collections.abc import Callable, Iterator
from pathlib import Path

from memrec_core.errors import InputError, in_a_line
from workflows.figures.against_loss import figure_3, figure_f2, figure_f3, figure_g1
from workflows.figures.against_threshold import figure_f4
from workflows.figures.courses import figure_1, figure_2
from workflows.figures.near_threshold import figure_f1
from workflows.figures.source import Drawing, NothingToDrawError, Source
from workflows.figures.style import FORMATS, drawn, styled
from workflows.figures.tables import WRITTEN, tables_of
from workflows.report.course import check_image
from workflows.run.opened import OpenRun
from workflows.run.rates import caveats
from workflows.run.store import EXPERIMENT
from workflows.user_file import write_user_file

FIGURES: dict[str, Callable[[Source], Iterator[Drawing]]] = {
    "1": figure_1,
    "2": figure_2,
    "3": figure_3,
    "F.1": figure_f1,
    "F.2": figure_f2,
    "F.3": figure_f3,
    "F.4": figure_f4,
    "G.1": figure_g1,
}
"""By their numbers in the paper."""
ELSEWHERE = "another --out"


def write_figures(run: OpenRun, folder: str, width_mm: float, image: str = "0") -> Iterator[str]:
    """Write them, one after the other; says in a line each what is where, or why it is not drawn. Raises InputError
    where the run has no rates yet, for a folder that can't be one or is a run's, and for an image that the run does not
    have."""
    check_image(run, image)
    place = _folder(folder)
    source = Source.of(run, width_mm, image)
    yield from caveats(source.rates)
    for label, sentence in source.samples.items():
        yield f"data set {label}: {sentence}"
    for number, draw in FIGURES.items():
        try:
            for name in _write_figure(place, source, draw):
                yield f"figure {number}: {place / name}.{{{','.join(FORMATS)}}}"
        except NothingToDrawError as reason:
            yield f"figure {number} is not drawn: {reason}"
    for table in tables_of(source):
        for ending, written in WRITTEN.items():
            write_user_file(place / f"{_plain(table.name)}.{ending}", written(table).encode(), ELSEWHERE)
        yield f"table: {place / _plain(table.name)}.{{{','.join(WRITTEN)}}}"


def _write_figure(place: Path, source: Source, draw: Callable[[Source], Iterator[Drawing]]) -> list[str]:
    """The names of its files, without their endings."""
    names = []
    with styled():
        for drawing in draw(source):
            names.append(_plain(drawing.name))
            for format_, data in drawn(drawing.figure).items():
                write_user_file(place / f"{names[-1]}.{format_}", data, ELSEWHERE)
    if not names:
        raise NothingToDrawError("there are no rates of what it shows")
    return names


def _plain(name: str) -> str:
    """A name that leads out of no folder."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)


def _folder(folder: str) -> Path:
    if not folder.strip() or "://" in folder:
        raise InputError(f"--out {folder!r} is no folder of this machine; give one, such as figures")
    place = Path(folder).expanduser()
    try:
        if (place / EXPERIMENT).exists():
            raise InputError(f"--out {folder} is a run's folder; give another, such as figures")
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {folder} can't be a folder ({in_a_line(error)}); give another") from error
    return place
