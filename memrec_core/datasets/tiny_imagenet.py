"""Tiny ImageNet, as its publisher lays it out or as people sort it for their tools: a folder, its tar or its zip."""

import os
from collections.abc import Sequence
from pathlib import Path

from memrec_core.datasets.archives import Files, best, open_files
from memrec_core.datasets.data_set import DataSet
from memrec_core.datasets.image_file import decode, is_picture, pixels_of
from memrec_core.datasets.image_set import ImageSet, balanced_choice, image_set
from memrec_core.datasets.listing import refuse_odd_names
from memrec_core.datasets.remarks import Remarks
from memrec_core.errors import InputError, shown_name

SIDE = 64
FOLDER = "tiny-imagenet-200"
ANNOTATIONS = "val/val_annotations.txt"
LAYOUT = f"{FOLDER}/{{train/<wnid>/images/*.JPEG, val/images/*.JPEG, {ANNOTATIONS}}}"
PLACES = {"train": "train", "control": "val"}


def load(
    *,
    count: int | None,
    size: tuple[int, int],
    channels: int,
    seed: int,
    split: str,
    root: str | Path | None = None,
) -> ImageSet:
    """Images of the training folder, or of the validation folder for `control`; the label is the WordNet id.

    `root` is the tar, the zip, the folder tiny-imagenet-200, or one that holds one of these. Images are 64 x 64;
    another shape cuts and resamples them. The subset is balanced over the classes. A class's images may lie in its
    folder directly, and val may be sorted into classes. The id is the file's name without its ending, or its path below
    train or val where names repeat. Raises InputError for a missing, empty, corrupt or hostile source.
    """
    if root is None:
        raise InputError(
            "data set tiny_imagenet needs root, its tar, zip or folder; add --set data.root=PATH to the command, "
            "or root=PATH to the call"
        )
    remarks = Remarks()
    with open_files(_located(Path(root)), FOLDER, remarks) as files:
        by_class = _by_class(files, PLACES[split], remarks)
        if not by_class:
            raise _nothing_there(files.names, PLACES[split], root)
        all_names = [name for names in by_class.values() for name in names]
        refuse_odd_names(all_names)
        ids = dict(zip(all_names, _ids(all_names), strict=True))
        chosen = balanced_choice(by_class, count, seed, split, shown_name(root))
        pixels = []
        for _, name in chosen:
            note = remarks.of(ids[name])
            image = decode(files.read(name), f"{root}: {name}", channels, note)
            if image.size != (SIDE, SIDE):
                raise InputError(
                    f"{root}: {name} is {image.width} x {image.height} pixels where Tiny ImageNet has {SIDE} x {SIDE}; "
                    "take the file out, or use the data set image_folder for images of any size"
                )
            pixels.append(pixels_of(image, size, channels, note))
    labels = [label or None for label, _ in chosen]
    return image_set(pixels, [ids[name] for _, name in chosen], labels, remarks.sentences())


def _located(root: Path) -> Path:
    """The folder or archive that `root` is, or holds."""
    if root.is_dir():
        if (root / FOLDER).is_dir():
            return root / FOLDER
        if any((root / place).is_dir() for place in PLACES.values()):
            return root
        return best(root.glob(f"{FOLDER}*")) or root
    if not root.is_file():
        raise InputError(f"{shown_name(root)} does not exist; give the Tiny ImageNet tar, zip or folder, {LAYOUT}")
    return root


def _by_class(files: Files, place: str, remarks: Remarks) -> dict[str, list[str]]:
    """The images of each class, those without a class under "". The classes are the folders that are there, not the
    lines of wnids.txt: a subset of the data set may keep the one and not the other. Where the images are not sorted
    into folders, the list of the labels names their classes, and gives their order."""
    names: dict[str, list[str]] = {}
    flat: dict[str, list[str]] = {}
    for name in files.names:
        if not name.startswith(f"{place}/") or not _is_image(name, remarks):
            continue
        *folders, file = name.split("/")[1:]
        if folders[-1:] == ["images"]:
            folders.pop()
        if len(folders) == 1:
            names.setdefault(folders[0], []).append(name)
        elif not folders:
            flat.setdefault(file, []).append(name)
        else:
            remarks.note("in a folder within a class passed over", name)
    labels = _annotations(files) if place == "val" and flat else {}
    for file in [*(file for file in labels if file in flat), *(file for file in flat if file not in labels)]:
        label = labels.get(file, "")
        names.setdefault(label, []).extend(flat[file])
        if not label:
            for name in flat[file]:
                remarks.note(f"without a class, which neither a folder nor {ANNOTATIONS} names", name)
    return names


def _is_image(name: str, remarks: Remarks) -> bool:
    if is_picture(name):
        return True
    if name != ANNOTATIONS and not name.endswith("_boxes.txt"):  # the publisher's own
        remarks.pass_over(os.path.splitext(name)[1].lower() or "without an ending")
    return False


def _annotations(files: Files) -> dict[str, str]:
    """The class of each file of val, in the order of the list; empty where there is no list."""
    if ANNOTATIONS not in files.names:
        return {}
    labels: dict[str, str] = {}
    for line in files.read(ANNOTATIONS).decode(errors="replace").splitlines():
        file, _, rest = line.partition("\t")
        labels.setdefault(file, rest.partition("\t")[0])
    return labels


def _ids(names: Sequence[str]) -> list[str]:
    """The names without folder and ending where these differ; else the paths below train or val, as in a data set whose
    files are counted anew in each class. All files of the split decide, so that an id does not depend on the choice."""
    stems = [name.rpartition("/")[2].rpartition(".")[0] for name in names]
    return stems if len(set(stems)) == len(stems) else [name.partition("/")[2] for name in names]


def _nothing_there(names: Sequence[str], place: str, root: str | Path) -> InputError:
    """Why there are no images in the folder `place`."""
    if inner := next((name.partition(f"/{place}/")[0] for name in names if f"/{place}/" in name), None):
        return InputError(
            f"{shown_name(root)} has its {place} in {shown_name(inner)} where Tiny ImageNet has it in {FOLDER}; "
            "give that folder as root, unpacked where it is in an archive"
        )
    if place == "val":
        return InputError(f"{shown_name(root)} has no images in val to take control images from; expected {LAYOUT}")
    return InputError(f"{shown_name(root)} has no train/<wnid>/images, so it is not Tiny ImageNet; expected {LAYOUT}")


TINY_IMAGENET = DataSet("tiny_imagenet", load, place=f"{FOLDER}*")
