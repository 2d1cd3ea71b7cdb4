"""The folders of the two sides: that they are two, which of their pictures are read, and what shape these have."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from memrec_core.datasets import ImageCountError
from memrec_core.datasets.image_file import is_picture, read, shape_of
from memrec_core.datasets.image_folder import choose
from memrec_core.datasets.listing import list_files
from memrec_core.datasets.remarks import Remarks, some
from memrec_core.errors import InputError, shown_name
from workflows.audit.asked import Asked

Shape = tuple[int, int, int]
"""(C, H, W)"""
TRAIN, CONTROL = "--train", "--control"
MOST_SIZES = 5
"""That a sentence names."""


@dataclass(frozen=True)
class Folders:
    """Where the pictures of both sides lie, how many of each are read, and the shape that they are brought to."""

    train: Path
    control: Path
    count: int
    control_count: int
    shape: Shape


def look_into(asked: Asked) -> Folders:
    """The two folders. Raises InputError where they are not two folders of pictures, and where the shape of these is
    not plain and none was asked for."""
    train, control = _folder(TRAIN, asked.train), _folder(CONTROL, asked.control)
    _check_apart(train, control)
    chosen = [_chosen(option, train, control, asked) for option in (TRAIN, CONTROL)]
    _check_disjoint(train, control)
    return Folders(train, control, len(chosen[0]), len(chosen[1]), _shape(chosen[0], asked))


def too_few(asked: Asked, found: Folders) -> Iterator[str]:
    """A sentence for each side that has fewer pictures than were asked for."""
    for option, count in ((TRAIN, found.count), (CONTROL, found.control_count)):
        if asked.count is not None and count < asked.count:
            yield f"{option} has {count} pictures, fewer than the {asked.count} of --count: all of them are audited"


def _folder(option: str, place: str) -> Path:
    """The folder as it is called. Raises InputError where there is none."""
    try:
        path = Path(place).expanduser().absolute()
        if place and path.is_dir():
            return path
    except (RuntimeError, OSError, ValueError):  # the home of nobody, a name that is none
        pass
    raise InputError(f"{option} {shown_name(place)} is not a folder; give a folder of pictures")


def _check_apart(train: Path, control: Path) -> None:
    """Raises InputError where they are one folder, or one lies in the other, by whatever links."""
    first, second = (Path(os.path.realpath(folder)) for folder in (train, control))
    said = None
    if first == second:
        said = f"--train and --control are one folder, {shown_name(train)}"
    elif first in second.parents:
        said = f"--train {shown_name(train)} contains --control {shown_name(control)}"
    elif second in first.parents:
        said = f"--control {shown_name(control)} contains --train {shown_name(train)}"
    if said:
        raise InputError(f"{said}; give two folders, the second of pictures that the network was not trained on")


def _chosen(option: str, train: Path, control: Path, asked: Asked) -> list[Path]:
    """The pictures of one side that are read."""

    def chosen(count: int | None) -> list[Path]:
        split = "train" if option == TRAIN else "control"
        return [path for _, path in choose(train, control, split, count, asked.seed, Remarks())[1]]

    try:
        return chosen(asked.count)
    except ImageCountError as error:
        if error.available:
            return chosen(error.available)
        raise
    except InputError as error:
        raise InputError(f"{option}: {error}") from error


def _check_disjoint(train: Path, control: Path) -> None:
    """Raises InputError where a file is of both sides, by a link of whatever kind."""
    trained = {_identity(path) for path in list_files(train, Remarks())}
    shared = [path for path in list_files(control, Remarks()) if is_picture(path.name) and _identity(path) in trained]
    if shared:
        raise InputError(
            f"{len(shared)} pictures of --control are files of --train too, by links ({some(map(str, shared))}); give "
            "pictures that the network was not trained on"
        )


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _shape(paths: Sequence[Path], asked: Asked) -> Shape:
    """What was asked for, and else what the training pictures have in common."""
    if asked.size and asked.channels:
        return asked.channels, *asked.size
    shapes = [shape_of(read(path, str(path)), str(path)) for path in paths]
    sizes = Counter(shape[1:] for shape in shapes)
    if asked.size is None and len(sizes) > 1:
        named = ", ".join(f"{height} x {width} ({times})" for (height, width), times in sizes.most_common(MOST_SIZES))
        more = "" if len(sizes) <= MOST_SIZES else f" and {len(sizes) - MOST_SIZES} more"
        raise InputError(
            f"the pictures of --train are of {len(sizes)} sizes, {named}{more}; give the --size H,W in pixels that the "
            "network takes"
        )
    height, width = asked.size or shapes[0][1:]
    return asked.channels or max(shape[0] for shape in shapes), height, width
