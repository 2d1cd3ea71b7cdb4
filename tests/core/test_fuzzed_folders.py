"""Folders of pictures with random breakages: each is read in full, or refused in one sentence."""

import io
import os
import re
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image

from memrec_core import datasets
from memrec_core.datasets.image_file import endings
from memrec_core.datasets.listing import is_leaving
from memrec_core.errors import InputError

SIZE = 4
ENDINGS = [
    ".png",
    ".jpg",
    ".JPEG",
    ".tif",
    ".gif",
    ".bmp",
    ".webp",
    ".ppm",
    ".jp2",
    ".tga",
    ".ico",
    ".qoi",
    ".pcx",
    ".dds",
]
OTHER_ENDINGS = [".txt", ".heic", "", ".png.part", ".eps", ".pdf", ".mp4"]
MODES = ["RGB", "L", "RGBA", "LA", "P", "1", "CMYK", "I;16", "F", "I", "PA", "YCbCr"]
NAMES = st.one_of(
    st.sampled_from(
        ["a", "b", "[x]", "new\nline", "%s{0}", "-", " ", "ü", "\x1b[31m", "n" * 200, "'\"", "\udcff", "a\udce9"]
    ),
    st.text(st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=12).filter(
        lambda name: name not in (".", "..")
    ),
)
FOLDERS = ["", "", "a", "b/c", ".hidden", "@eaDir", "__MACOSX", "linked", "x.png"]


@dataclass(frozen=True)
class Entry:
    """One file to make: where, of what bytes, and by which kind of directory entry."""

    folder: str
    name: str
    content: bytes
    kind: str


def encoded(mode: str, ending: str, side: tuple[int, int], seed: int, orientation: int | bytes) -> bytes:
    """A picture of that mode, in the ending's format where that can be, else as PNG or TIFF."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*side, 4), dtype=np.uint8)
    if mode in ("I;16", "I", "F"):
        kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
        scale = 1 + seed % 300
        image = Image.fromarray(
            (pixels[..., 0].astype(np.float64) * scale - (seed % 3 == 2) * 50)
            .clip(0 if mode == "I;16" else None)
            .astype(kinds[mode])
        )
    else:
        image = Image.fromarray(pixels).convert("RGB" if mode in ("CMYK", "YCbCr", "1") else "RGBA").convert(mode)
    exif: Image.Exif | bytes = orientation if isinstance(orientation, bytes) else Image.Exif()
    if isinstance(exif, Image.Exif):
        exif[0x0112] = orientation
    for format_ in (endings()[ending.lower()], "PNG", "TIFF"):
        buffer = io.BytesIO()
        try:
            image.save(buffer, format_, **{"exif": exif} if format_ in ("JPEG", "PNG", "WEBP") else {})
        except (OSError, ValueError, KeyError, TypeError, struct.error):
            continue
        return buffer.getvalue()
    return b""


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header declares that size, over a few bytes of pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(64))), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def broken(content: bytes, how: str, at: float, junk: bytes) -> bytes:
    place = int(at * len(content))
    if how == "truncated":
        return content[:place]
    if how == "flipped":
        return content[:place] + bytes(byte ^ 255 for byte in content[place : place + 3]) + content[place + 3 :]
    if how == "inserted":
        return content[:place] + junk + content[place:]
    return content


CONTENTS = st.one_of(
    st.builds(
        broken,
        st.builds(
            encoded,
            st.sampled_from(MODES),
            st.sampled_from(ENDINGS),
            st.sampled_from([(4, 4), (1, 1), (3, 9), (1, 60), (12, 5)]),
            st.integers(0, 999),
            st.one_of(st.integers(0, 9), st.binary(max_size=30).map(lambda junk: b"Exif\0\0" + junk)),
        ),
        st.sampled_from(["whole"] * 12 + ["truncated", "flipped", "inserted"]),
        st.floats(0, 1),
        st.binary(max_size=8),
    ),
    st.one_of(
        st.binary(max_size=40),
        st.builds(bomb, st.sampled_from([0, 1, 9, 2**16, 2**31 - 1]), st.sampled_from([1, 2**16, 2**32 - 1])),
        st.just(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"),
        st.just(b"version https://git-lfs.github.com/spec/v1\n"),
    ),
)  # fmt: skip
GOOD = st.builds(
    encoded, st.sampled_from(MODES), st.sampled_from(ENDINGS), st.just((5, 4)), st.integers(0, 999), st.integers(1, 8)
)
KINDS = ["file"] * 14 + ["link", "broken link", "pipe", "folder"]


def entries(contents: st.SearchStrategy[bytes], kinds: list[str], names: st.SearchStrategy[str]) -> st.SearchStrategy:
    name = st.tuples(names, st.sampled_from(ENDINGS * 3 + OTHER_ENDINGS)).map("".join)
    return st.builds(Entry, st.sampled_from(FOLDERS), name, contents, st.sampled_from(kinds))


FOLDER_OF_ENTRIES = st.one_of(
    st.lists(entries(GOOD, ["file", "file", "link"], st.sampled_from("abcdefghij")), max_size=6),
    st.lists(entries(st.one_of(GOOD, GOOD, CONTENTS), KINDS, NAMES), max_size=5),
)


def make(base: Path, made: list[Entry]) -> Path:
    root = base / "root"
    (base / "far").mkdir()
    root.mkdir()
    (root / "linked").symlink_to(base / "far", target_is_directory=True)
    for number, entry in enumerate(made):
        path = root / entry.folder / entry.name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):  # a file has the name of a folder on the way
            continue
        if len(os.fsencode(entry.name)) > 255 or os.path.lexists(path):
            continue
        if entry.kind == "folder":
            path.mkdir()
        elif entry.kind == "pipe":
            os.mkfifo(path)
        elif entry.kind == "broken link":
            path.symlink_to(f"nowhere/{number}")
        elif entry.kind == "link":
            target = base / f"target{number}"
            target.write_bytes(entry.content)
            path.symlink_to(target)
        else:
            path.write_bytes(entry.content)
    return root


def pictures_of(root: Path) -> set[str]:
    """What a person would call the pictures there, found by another way than memrec's."""
    found = set()
    for folder, names, files in os.walk(root, followlinks=True):
        names[:] = [name for name in names if not is_leaving(name)]
        for file in files:
            path = Path(folder, file)
            if not is_leaving(file) and path.suffix.lower() in endings() and path.is_file():
                found.add(path.relative_to(root).as_posix())
    return found


def others_of(root: Path) -> int:
    """The files that are no pictures, outside of hidden folders."""
    count = 0
    for folder, names, files in os.walk(root, followlinks=True):
        names[:] = [name for name in names if not is_leaving(name)]
        count += sum(
            is_leaving(file)
            or (Path(folder, file).suffix.lower() not in endings() and os.path.exists(Path(folder, file)))
            for file in files
        )
    return count


def is_sound(found: datasets.ImageSet) -> None:
    assert found.images.shape == (len(found), 3, SIZE, SIZE)
    assert torch.isfinite(found.images).all()
    assert 0 <= found.images.min() <= found.images.max() <= 1
    assert len(set(found.ids)) == len(found) == len(found.labels) == len(found.digests)
    assert all(remark.isprintable() and len(remark) < 600 for remark in found.remarks)


def check(made: list[Entry]) -> None:
    with tempfile.TemporaryDirectory() as base:
        root = make(Path(base), made)
        sets = []
        for split in ("train", "control"):
            try:
                sets.append(datasets.load("image_folder", root=root, size=SIZE, split=split))
            except InputError as error:
                said = str(error)
                assert said.isprintable(), said
                assert len(said) < 1200, said
        for found in sets:
            is_sound(found)
        event(f"{len(sets)} splits read")
        if len(sets) == 2:
            ids = [id_ for found in sets for id_ in found.ids]
            assert len(ids) == len(set(ids))
            assert set(ids) == pictures_of(root)
            said = re.search(r"^(\d+) files? passed over", "\n".join(sets[0].remarks), re.MULTILINE)
            assert int(said[1] if said else 0) == others_of(root)


FUZZ: Callable = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


@settings(FUZZ, max_examples=60, derandomize=True)
@given(FOLDER_OF_ENTRIES)
def test_folder_is_read_in_full_or_refused_in_a_sentence(made: list[Entry]):
    check(made)


@pytest.mark.long
@pytest.mark.timeout(3000)
@settings(FUZZ, max_examples=2000)
@given(FOLDER_OF_ENTRIES)
def test_thousands_of_folders_are_read_in_full_or_refused_in_a_sentence(made: list[Entry]):
    check(made)
