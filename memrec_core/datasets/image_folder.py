"""One's own images: every image file below a folder."""

from pathlib import Path

from memrec_core.datasets.array_file import is_volume
from memrec_core.datasets.data_set import DataSet
from memrec_core.datasets.hidden_names import hidden, read_key
from memrec_core.datasets.image_file import decode, is_picture, pixels_of, read
from memrec_core.datasets.image_set import ImageSet, balanced_choice, image_set
from memrec_core.datasets.listing import list_files, refuse_odd_names
from memrec_core.datasets.remarks import ELSEWHERE, Remarks
from memrec_core.errors import InputError, shown_name

HALVED = f"{ELSEWHERE}control images are every other picture of the folder, which it may have seen; name a control_root"


def load(
    *,
    count: int | None,
    size: tuple[int, int],
    channels: int,
    seed: int,
    split: str,
    root: str | Path | None = None,
    control_root: str | Path | None = None,
    names_key: str | Path | None = None,
) -> ImageSet:
    """The images below `root`, or below `control_root` for the control set.

    Where one of the two folders lies in the other, its images are of its own split alone. Without a `control_root`,
    `root` is divided in two by its sorted file names: every other image is for training, the rest for control, whatever
    the seed. The id is the path below the root, the label the subfolder (None where there is none). What is no picture
    is passed over with a remark (docs/pictures.md). With a `names_key`, a file of secret bytes, ids are keyed hashes of
    the paths, there are no labels, and no remark has a name. Raises InputError for a folder that is missing or has no
    images, and for a file that is no image, can't be read or is not there.
    """
    remarks, key = Remarks(), None if names_key is None else read_key(names_key)
    folder, chosen = choose(root, control_root, split, count, seed, remarks if key is None else Remarks())
    ids = [path.relative_to(folder).as_posix() for _, path in chosen]
    ids = ids if key is None else [hidden(name, key) for name in ids]
    pixels, resized = [], 0
    for id_, (_, path) in zip(ids, chosen, strict=True):
        image = decode(read(path, str(path)), str(path), channels, remarks.of(id_))
        resized += (image.height, image.width) != tuple(size)
        pixels.append(pixels_of(image, size, channels, remarks.of(id_)))
    labels = [None if label == "." or key is not None else label for label, _ in chosen]
    halved = (HALVED,) if split == "control" and control_root is None else ()
    return image_set(pixels, ids, labels, remarks.sentences() + halved, resized)


def choose(
    root: str | Path | None,
    control_root: str | Path | None,
    split: str,
    count: int | None,
    seed: int,
    remarks: Remarks,
) -> tuple[Path, list[tuple[str, Path]]]:
    """The folder of a split, and pairs (subfolder, file) of the pictures that `load` reads of it, in its order; none is
    opened. Raises as `load` does."""
    if root is None:
        raise InputError(
            "data set image_folder needs root, a folder of images; add --set data.root=PATH to the command, or "
            "root=PATH to the call"
        )
    folder, other = Path(root), None if control_root is None else Path(control_root)
    if split == "control" and other is not None:
        folder, other = other, folder
    paths = _image_files(folder, other, remarks)
    if control_root is None:
        paths = paths[1::2] if split == "control" else paths[::2]
    by_label: dict[str, list[Path]] = {}
    for path in paths:
        by_label.setdefault(path.parent.relative_to(folder).as_posix(), []).append(path)
    source = f"half of {shown_name(folder)}" if control_root is None else shown_name(folder)
    return folder, balanced_choice(by_label, count, seed, split, source, divided=control_root is None)


def _image_files(folder: Path, other: Path | None, remarks: Remarks) -> list[Path]:
    """The image files below `folder`, sorted, without those below the `other` one, should that lie in it."""
    if not folder.is_dir():
        raise InputError(f"{shown_name(folder)} is not a folder; give a folder of images")
    if other is not None and folder.resolve() == other.resolve():
        raise InputError(
            f"root and control_root are one folder, {shown_name(folder)}; leave control_root out, and it is divided"
        )
    paths = []
    for path in list_files(folder, remarks, other):
        if is_volume(path.name):
            raise InputError(
                f"{shown_name(path)} is of a medical format, whose volumes are not read; save each slice as a picture "
                "or a .npy array (H, W), and let --group of memrec audit say which are of one patient"
            )
        if is_picture(path.name):
            paths.append(path)
        else:
            remarks.pass_over(path.suffix.lower() or "without an ending")
    refuse_odd_names(map(str, paths))
    if not paths:
        passed_over = f" ({remarks.passed_over()})" if remarks.passed_over() else ""
        raise InputError(
            f"{shown_name(folder)} holds no images{passed_over}; expected files that end in .jpg, .png, .tif, .webp, "
            ".npy or another picture's ending"
        )
    return paths


IMAGE_FOLDER = DataSet("image_folder", load)
