"""A data set's files by their path, from a folder, or from a tar or zip that is read without unpacking it."""

import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from memrec_core.datasets.image_file import read, refuse_large
from memrec_core.datasets.listing import is_leaving, list_files
from memrec_core.datasets.remarks import Remarks
from memrec_core.errors import InputError, in_a_line, shown_name

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ZIPS = (".zip",)
ZIP_STARTS = (b"PK\3\4", b"PK\5\6", b"PK\7\10")
Member = TypeVar("Member")


class Files(Protocol):
    """The files below the data set's folder, by their path, sorted, without what was left by file managers."""

    names: list[str]

    def read(self, name: str) -> bytes: ...


def best(places: Iterable[Path]) -> Path | None:
    """Of several copies of one data set: a folder before a tar before a zip, and of these the shortest name, which is
    the publisher's. An empty folder is the last choice; other files, such as a check sum, are none."""
    ranked = [(rank, len(place.name), place.name, place) for place in places if (rank := _rank(place)) is not None]
    return min(ranked)[-1] if ranked else None


def _rank(place: Path) -> int | None:
    if place.is_dir():
        try:
            return 0 if any(place.iterdir()) else 3
        except OSError:  # the reason is given when it is read
            return 0
    name = place.name.lower()
    return 1 if name.endswith(TARS) else 2 if name.endswith(ZIPS) else None


@contextmanager
def open_files(root: Path, top: str, remarks: Remarks) -> Iterator[Files]:
    """The files in the folder, tar or zip `root`; an archive's lie below its folder `top`, or are its first level.

    Raises InputError for an archive that is damaged, encrypted or hostile.
    """
    if root.is_dir():
        yield _Folder(root, remarks)
        return
    with root.open("rb") as file:
        zipped = file.read(4) in ZIP_STARTS or root.suffix.lower() in ZIPS
    kind, opened = ("zip", zipfile.ZipFile) if zipped else ("tar", tarfile.open)
    try:
        archive = opened(root)
    except Exception as error:  # damaged and hostile archives make the readers fail in many ways
        raise InputError(
            f"{shown_name(root)} is not a readable {kind} ({in_a_line(error)}); fetch it again, or give another file"
        ) from error
    with archive:
        if isinstance(archive, zipfile.ZipFile):
            yield _Zip(archive, root, top, remarks)
        else:
            yield _Tar(archive, root, top, remarks)


class _Folder:
    def __init__(self, folder: Path, remarks: Remarks) -> None:
        self.folder = folder
        self.names = [path.relative_to(folder).as_posix() for path in list_files(folder, remarks)]

    def read(self, name: str) -> bytes:
        return read(self.folder / name, str(self.folder / name))


class _Archive(Generic[Member]):
    """The regular files of an archive. Nothing is ever unpacked to disk; a member that would leave its folder still
    means that the archive is not the publisher's, and is refused."""

    def __init__(self, root: Path, top: str, remarks: Remarks) -> None:
        self.root, self.top, self.remarks = root, top, remarks
        self.members: dict[str, Member] = {}
        self._folders: dict[str, str | None] = {}

    def _add(self, name: str, member: Member, is_file: bool, is_folder: bool) -> None:
        """Take in a member by its path below the data set's folder."""
        folder, slash, file = name.rpartition("/")
        if folder + slash not in self._folders:
            self._folders[folder + slash] = self._folder(folder + slash, name)
        below = self._folders[folder + slash]
        if file == "..":
            raise self._escape(name)
        if is_folder:
            return
        if below is None or is_leaving(file):
            self.remarks.pass_over("hidden or left by a file manager")
        elif is_file:
            self.members[below + file] = member
        else:
            self.remarks.note("in the archive passed over", below + file, "link or special file")

    def _folder(self, folder: str, name: str) -> str | None:
        """The path of a member's folder; None for what was left by a file manager. Worked out once for each folder."""
        if folder.startswith("/") or ".." in folder.split("/"):
            raise self._escape(name)
        parts = [part for part in folder.split("/") if part not in ("", ".")]
        if any(map(is_leaving, parts)):
            return None
        return "".join(f"{part}/" for part in (parts[1:] if parts[:1] == [self.top] else parts))

    def _escape(self, name: str) -> InputError:
        return InputError(
            f"{shown_name(self.root)} holds the member {name!r}, which would escape its folder; the archive is not the "
            "publisher's, fetch it again"
        )

    def _refuse(self, name: str, error: Exception | str) -> InputError:
        reason = error if isinstance(error, str) else in_a_line(error)
        return InputError(
            f"{shown_name(self.root)}: {shown_name(name)} can't be read ({reason}); fetch the archive again"
        )


class _Tar(_Archive[tarfile.TarInfo]):
    def __init__(self, archive: tarfile.TarFile, root: Path, top: str, remarks: Remarks) -> None:
        super().__init__(root, top, remarks)
        self.archive = archive
        try:
            members = archive.getmembers()
        except Exception as error:  # damaged and hostile archives make the readers fail in many ways
            raise InputError(
                f"{shown_name(root)} is a damaged or truncated tar ({in_a_line(error)}); fetch it again"
            ) from error
        for member in members:
            self._add(member.name, member, member.isfile(), member.isdir())
        self.names = sorted(self.members)

    def read(self, name: str) -> bytes:
        member = self.members[name]
        refuse_large(member.size, f"{self.root}: {name}")
        try:
            file = self.archive.extractfile(member)
            data = file.read() if file else b""
        except Exception as error:  # damaged and hostile archives make the readers fail in many ways
            raise self._refuse(name, error) from error
        if len(data) != member.size:
            raise self._refuse(name, "the archive is truncated there")
        return data


class _Zip(_Archive[zipfile.ZipInfo]):
    def __init__(self, archive: zipfile.ZipFile, root: Path, top: str, remarks: Remarks) -> None:
        super().__init__(root, top, remarks)
        self.archive = archive
        for member in archive.infolist():
            if member.flag_bits & 1:
                raise InputError(f"{shown_name(root)} is encrypted; give the publisher's zip, or unpack it yourself")
            regular = stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG)
            self._add(member.filename.replace("\\", "/"), member, regular, member.is_dir())
        self.names = sorted(self.members)

    def read(self, name: str) -> bytes:
        refuse_large(self.members[name].file_size, f"{self.root}: {name}")
        try:
            return self.archive.read(self.members[name])
        except Exception as error:  # damaged and hostile archives make the readers fail in many ways
            raise self._refuse(name, error) from error
