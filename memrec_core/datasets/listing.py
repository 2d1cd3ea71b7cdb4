"""The files below a folder, as people keep them: links are followed, what programs leave there is passed over."""

import heapq
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from memrec_core.datasets.image_file import is_picture
from memrec_core.datasets.remarks import Remarks
from memrec_core.errors import InputError, in_a_line, shown_name

LEAVINGS = {
    "@eadir", "@tmp", "@recycle", "@recently-snapshot", "@sharebin", "#recycle", "#snapshot",  # Synology, QNAP
    "__macosx", "network trash folder", "temporary items", "icon\r",  # macOS
    "$recycle.bin", "recycler", "recycled", "system volume information", "found.000",  # Windows
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini",
    "lost+found", "lost.dir",  # file systems
}  # fmt: skip
"""What file managers and systems leave beside people's files, in lower case; most of it holds thumbnails or copies."""


def is_leaving(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or was left by a file manager."""
    return name.startswith(".") or name.lower() in LEAVINGS


def list_files(root: Path, remarks: Remarks, apart: Path | None = None) -> list[Path]:
    """The regular files below `root`, sorted, without those that lie in the folder `apart`.

    Links are followed, but no folder is read twice: a link to one that has been read, or that holds the link, is passed
    over with a remark, and so is what is_leaving. Raises InputError for a folder that can't be listed, and for
    pictures that can't be had: links to nothing, pipes and the like.
    """
    walk = _Walk(root, remarks, apart)
    walk.read()
    return walk.files


class _Walk:
    def __init__(self, root: Path, remarks: Remarks, apart: Path | None) -> None:
        self.root, self.remarks = root, remarks
        self.real_root, self.apart = root.resolve(), None if apart is None else apart.resolve()
        self.files: list[Path] = []
        self.links: list[tuple[Path, Path]] = []
        """Links to folders, each with the real folder that it lies in. They wait until all real folders are read, so
        that pictures are known by their own path rather than by a link's."""
        self.entered: set[Path] = set()
        self.missing: list[str] = []
        self.special: list[str] = []

    def read(self) -> None:
        self._enter(self.root, self.real_root)
        while self.links:
            link, holder = heapq.heappop(self.links)
            target = link.resolve()
            if target in self.entered or target in holder.parents:
                self.remarks.note("passed over as read already", self._below(link), "link")
            else:
                self._enter(link, target)
        self.files.sort()
        for names, what in ((self.missing, "a link to nothing"), (self.special, "no regular file")):
            if names:
                others = f" (one of {len(names)})" if len(names) > 1 else ""
                raise InputError(
                    f"{shown_name(self.root / min(names))} is {what}{others}; fetch what is missing, or take it "
                    "out of the data set"
                )

    def _enter(self, folder: Path, real: Path) -> None:
        """Read `folder`, which is the folder `real`, and those in it; links to folders are kept for later."""
        waiting = [(folder, real)]
        while waiting:
            folder, real = waiting.pop()
            if real in self.entered or self._is_apart(real):
                continue
            self.entered.add(real)
            for entry in _entries(folder):
                path = folder / entry.name
                if is_leaving(entry.name):
                    self._pass_over(entry, path)
                elif entry.is_symlink():
                    self._follow(path, real)
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append((path, real / entry.name))
                else:
                    self._keep(path, entry.is_file(follow_symlinks=False))

    def _follow(self, link: Path, holder: Path) -> None:
        try:
            mode = link.stat().st_mode
        except PermissionError as error:
            raise InputError(
                f"the link {shown_name(link)} can't be followed ({in_a_line(error)}); let what it leads to be read, or "
                "take it out of the data set"
            ) from error
        except OSError:  # it leads nowhere, or to itself
            self._keep_missing(link)
            return
        if stat.S_ISDIR(mode):
            heapq.heappush(self.links, (link, holder))
        elif self.apart is None or not self._is_apart(link.resolve().parent):
            self._keep(link, stat.S_ISREG(mode))

    def _keep_missing(self, link: Path) -> None:
        """A missing picture is refused, and so is what may be the folder of a class."""
        if is_picture(link.name) or not link.suffix:
            self.missing.append(self._below(link))
        else:
            self.remarks.note("to nothing passed over", self._below(link), "link")

    def _keep(self, path: Path, regular: bool) -> None:
        if regular:
            self.files.append(path)
        elif is_picture(path.name):
            self.special.append(self._below(path))
        else:
            self.remarks.pass_over("pipes or the like")

    def _pass_over(self, entry: os.DirEntry[str], path: Path) -> None:
        if entry.is_dir(follow_symlinks=False):
            self.remarks.note("hidden or left by a file manager passed over", self._below(path), "folder")
        else:
            self.remarks.pass_over("hidden or left by a file manager")

    def _is_apart(self, real: Path) -> bool:
        """Whether `real` is of the folder apart: where that and the root lie in each other, of the inner one."""
        if self.apart is None or not _holds(self.apart, real):
            return False
        return not (_holds(self.apart, self.real_root) and _holds(self.real_root, real))

    def _below(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _holds(folder: Path, path: Path) -> bool:
    return path == folder or folder in path.parents


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            f"the folder {shown_name(folder)} can't be listed ({in_a_line(error)}); let it be read, or take it out of "
            "the data set"
        ) from error


def refuse_odd_names(names: Iterable[str]) -> None:
    """Raises InputError for a picture whose name is not UTF-8, and can't be kept in the results."""
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{name!r} has a name that is not UTF-8; rename the file or take it out of the data set"
            ) from error
