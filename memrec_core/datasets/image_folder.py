"""One's own images: every image file below a folder."""

from pathlib import Path

from memrec_core.datasets.image_file import SUFFIXES, decode, to_square
from memrec_core.datasets.image_set import ImageSet, balanced_choice, image_set
from memrec_core.errors import InputError


def load(
    *,
    count: int | None,
    size: int,
    seed: int,
    split: str,
    root: str | Path | None = None,
    control_root: str | Path | None = None,
) -> ImageSet:
    """The images below `root`, or below `control_root` for the control set, their centred squares at size x size.

    Where one of the two folders lies in the other, its images are of its own split alone. Without a `control_root`,
    `root` is divided in two by its sorted file names: every other image is for training, the rest for control, whatever
    the seed. The id is the path below the root, the label the subfolder (None where there is none). Raises InputError
    for a folder that is missing or has no images, and for a file that is no image.
    """
    if root is None:
        raise InputError("data set image_folder needs root, a folder of images; add --set data.root=PATH")
    folder, other = Path(root), None if control_root is None else Path(control_root)
    if split == "control" and other is not None:
        folder, other = other, folder
    paths = _image_files(folder, other)
    if control_root is None:
        paths = paths[1::2] if split == "control" else paths[::2]
    by_label: dict[str, list[Path]] = {}
    for path in paths:
        by_label.setdefault(path.parent.relative_to(folder).as_posix(), []).append(path)
    chosen = balanced_choice(by_label, count, seed, split, folder)
    pixels = [to_square(decode(path.read_bytes(), str(path)), size) for _, path in chosen]
    ids = [path.relative_to(folder).as_posix() for _, path in chosen]
    return image_set(pixels, ids, [None if label == "." else label for label, _ in chosen])


def _image_files(folder: Path, other: Path | None) -> list[Path]:
    """The image files below `folder`, sorted, without those below the `other` one, should that lie in it."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give a folder of images")
    if other is not None and folder.resolve() == other.resolve():
        raise InputError(f"root and control_root are one folder, {folder}; leave control_root out, and it is divided")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if other is not None:
        outside = other.resolve()
        nested = folder.resolve() in outside.parents
        paths = [path for path in paths if not (nested or path.is_symlink()) or outside not in path.resolve().parents]
    if odd := [path for path in paths if not _is_unicode(path)]:
        raise InputError(
            f"{str(odd[0])!r} has a name that is not UTF-8; rename the file or take it out of the data set"
        )
    if not paths:
        raise InputError(f"{folder} holds no images; expected files that end in {', '.join(sorted(SUFFIXES))}")
    return paths


def _is_unicode(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
