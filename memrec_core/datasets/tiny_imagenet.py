"""Tiny ImageNet, as its publisher lays it out: a folder, or the tar of that folder, read without unpacking it."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from memrec_core.datasets.image_file import decode, to_square
from memrec_core.datasets.image_set import ImageSet, balanced_choice, image_set
from memrec_core.errors import InputError

SIDE = 64
LAYOUT = "tiny-imagenet-200/{train/<wnid>/images/*.JPEG, val/images/*.JPEG, val/val_annotations.txt}"


class Files(Protocol):
    """The files of the data set by their path below tiny-imagenet-200."""

    names: list[str]

    def read(self, name: str) -> bytes: ...


def load(*, count: int | None, size: int, seed: int, split: str, root: str | Path | None = None) -> ImageSet:
    """Images of the training folder, or of the validation folder for `control`; the label is the WordNet id.

    `root` is the tar, the folder tiny-imagenet-200, or one that holds it. Images are 64 x 64; another size resamples
    them. The subset is balanced over the classes. Raises InputError for a missing, empty, corrupt or hostile source.
    """
    if root is None:
        raise InputError(
            "data set tiny_imagenet needs root, its tar or folder; add --set data.root=PATH to the command, "
            "or root=PATH to the call"
        )
    with _open(Path(root)) as files:
        by_class = _train_names(files, root) if split == "train" else _val_names(files, root)
        chosen = balanced_choice(by_class, count, seed, split, root)
        pixels = []
        for _, name in chosen:
            image = decode(files.read(name), f"{root}: {name}")
            if image.size != (SIDE, SIDE):
                raise InputError(
                    f"{root}: {name} is {image.width} x {image.height} pixels where Tiny ImageNet has {SIDE} x {SIDE}; "
                    "take the file out, or use the data set image_folder for images of any size"
                )
            pixels.append(to_square(image, size))
    return image_set(pixels, [PurePosixPath(name).stem for _, name in chosen], [label for label, _ in chosen])


def _train_names(files: Files, root: str | Path) -> dict[str, list[str]]:
    """The images of each class. The classes are the folders that are there, not the lines of wnids.txt: a subset of
    the data set may keep the one and not the other."""
    names: dict[str, list[str]] = {}
    for name in files.names:
        parts = name.split("/")
        if len(parts) == 4 and parts[0] == "train" and parts[2] == "images":
            names.setdefault(parts[1], []).append(name)
    if not names:
        raise InputError(f"{root} has no train/<wnid>/images, so it is not Tiny ImageNet; expected {LAYOUT}")
    return names


def _val_names(files: Files, root: str | Path) -> dict[str, list[str]]:
    if "val/val_annotations.txt" not in files.names:
        raise InputError(f"{root} has no val/val_annotations.txt to take control images from; expected {LAYOUT}")
    names: dict[str, list[str]] = {}
    present = set(files.names)
    for line in files.read("val/val_annotations.txt").decode(errors="replace").splitlines():
        file, _, rest = line.partition("\t")
        name = f"val/images/{file}"
        if name in present:
            names.setdefault(rest.partition("\t")[0], []).append(name)
    return names


@contextmanager
def _open(root: Path) -> Iterator[Files]:
    if root.is_dir():
        inner = root / "tiny-imagenet-200"
        yield _Folder(inner if inner.is_dir() else root)
    elif root.is_file():
        try:
            archive = tarfile.open(root)  # noqa: SIM115 (closed below)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise InputError(f"{root} is not a readable tar ({error}); expected the tar of {LAYOUT}") from error
        with archive:
            yield _Tar(archive, root)
    else:
        raise InputError(f"{root} does not exist; give the Tiny ImageNet tar or folder, {LAYOUT}")


class _Folder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


class _Tar:
    """The regular files of a tar below tiny-imagenet-200. Nothing is ever unpacked to disk; a member that would
    leave its folder still means that the tar is not the publisher's, and is refused."""

    def __init__(self, archive: tarfile.TarFile, root: Path) -> None:
        self.archive, self.root = archive, root
        self.members: dict[str, tarfile.TarInfo] = {}
        try:
            members = archive.getmembers()
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise InputError(f"{root} is a damaged or truncated tar ({error}); fetch it again") from error
        for member in members:
            path = PurePosixPath(member.name)
            if path.is_absolute() or ".." in path.parts:
                raise InputError(
                    f"{root} holds the member {member.name!r}, which would escape its folder; "
                    "the tar is not the publisher's, fetch it again"
                )
            parts = [part for part in path.parts if part != "."]
            if member.isfile():
                self.members["/".join(parts[1:] if parts[0] == "tiny-imagenet-200" else parts)] = member
        self.names = sorted(self.members)

    def read(self, name: str) -> bytes:
        try:
            file = self.archive.extractfile(self.members[name])
            data = file.read() if file else b""
        except (tarfile.TarError, EOFError, OSError) as error:
            raise InputError(f"{self.root}: {name} can't be read ({error}); fetch the tar again") from error
        if len(data) != self.members[name].size:
            raise InputError(f"{self.root} is truncated at {name}; fetch the tar again")
        return data
