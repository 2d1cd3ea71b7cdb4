"""Folders of pictures as people have them: what is a picture, what is passed over, and what is refused."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memrec_core import datasets
from memrec_core.errors import InputError


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures in two classes."""
    for number in range(8):
        picture(tmp_path / "own" / "ab"[number % 2] / f"{number}.png", number)
    return tmp_path / "own"


def both(root: Path, **options) -> dict[str, datasets.ImageSet]:
    return {
        split: datasets.load("image_folder", root=root, size=8, split=split, **options)
        for split in ("train", "control")
    }


def all_ids(root: Path) -> list[str]:
    return sorted(id_ for found in both(root).values() for id_ in found.ids)


def remarks(root: Path, **options) -> tuple[str, ...]:
    return datasets.load("image_folder", root=root, size=8, **options).remarks


# What is no picture


@pytest.mark.parametrize(
    "place",
    [".ipynb_checkpoints", "@eaDir", "__MACOSX", ".thumbnails", "$RECYCLE.BIN", "lost+found", "#recycle", "@tmp",
     ".Trash-1000", "System Volume Information", ".git/annex/objects", "a/@eaDir/0.png", "b/.hidden"],
)  # fmt: skip
def test_thumbnails_and_copies_in_hidden_folders_are_no_pictures(folder: Path, place: str):
    before = both(folder)
    for number in range(3):
        picture(folder / place / f"thumbnail{number}.png", 100 + number)
    after = both(folder)
    assert {split: one.ids for split, one in after.items()} == {split: one.ids for split, one in before.items()}
    hidden = place if place.startswith(("a/@", "b/.")) else place.partition("/")[0]
    hidden = hidden.removesuffix("/0.png")
    assert after["train"].remarks == (f"1 folder hidden or left by a file manager passed over: {hidden}",)


@pytest.mark.parametrize("name", ["._0.png", ".0.png", "._0.jpg"])
def test_hidden_files_are_no_pictures(folder: Path, name: str):
    picture(folder / "a" / "x.png").rename(folder / "a" / name)
    (folder / "Thumbs.db").write_bytes(b"x")
    assert len(all_ids(folder)) == 8
    assert remarks(folder) == ("2 files passed over: 2 hidden or left by a file manager",)


def test_hidden_folder_that_is_named_as_root_is_read(folder: Path):
    hidden = folder.rename(folder.parent / ".cache")
    assert len(all_ids(hidden)) == 8


def test_one_line_says_what_was_passed_over(folder: Path):
    for number in range(20):
        (folder / "a" / f"{number}.HEIC").write_bytes(b"heic")
    for number in range(8):
        (folder / f"{number}.txt").write_text("text")
    assert remarks(folder) == ("28 files passed over: 20 .heic, 8 .txt",)
    for number in range(30):
        (folder / f"x.{number}").write_text("text")
    [line] = remarks(folder)
    assert line.startswith("58 files passed over: 20 .heic, 8 .txt, 1 .")
    assert line.endswith("26 others")


def test_folder_without_pictures_says_what_it_holds(tmp_path: Path):
    (tmp_path / "a.heic").write_bytes(b"heic")
    (tmp_path / "README").write_text("text")
    with pytest.raises(InputError, match=r"holds no images \(2 files passed over: 1 \.heic, 1 without an ending\)"):
        remarks(tmp_path)


# Links


@pytest.fixture
def far(tmp_path: Path) -> Path:
    """A folder elsewhere, with two classes."""
    for number in range(4):
        picture(tmp_path / "far" / "cd"[number % 2] / f"{number}.png", 50 + number)
    return tmp_path / "far"


def test_classes_that_are_links_are_read(folder: Path, far: Path):
    for label in "cd":
        (folder / label).symlink_to(far / label, target_is_directory=True)
    assert Counter(id_[0] for id_ in all_ids(folder)) == {"a": 4, "b": 4, "c": 2, "d": 2}
    assert {*both(folder)["train"].labels} == set("abcd")


def test_root_that_is_a_link_is_read(folder: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(folder)
    assert all_ids(tmp_path / "link") == all_ids(folder)


@pytest.mark.parametrize("target", [".", "..", "../..", "../../.."])
def test_link_to_a_parent_is_no_circle(folder: Path, target: str):
    (folder / "a" / "up").symlink_to(target)
    assert len(all_ids(folder)) == 8
    assert remarks(folder) == ("1 link passed over as read already: a/up",)


def test_links_in_a_circle_elsewhere_are_read_once(folder: Path, far: Path):
    (folder / "far").symlink_to(far)
    (far / "c" / "d").symlink_to(far / "d")
    (far / "d" / "back").symlink_to(folder)
    assert len(all_ids(folder)) == 12
    assert len(remarks(folder)) == 1


def test_folder_that_two_links_lead_to_is_read_once_with_a_word(folder: Path, far: Path):
    for name in ("x", "y", "z"):
        (folder / name).symlink_to(far)
    (folder / "c").symlink_to(folder / "a")
    assert Counter(id_[0] for id_ in all_ids(folder)) == {"a": 4, "b": 4, "x": 4}
    assert remarks(folder) == ("3 links passed over as read already: c, y, z",)


def test_linked_class_of_the_other_split_is_not_trained_on(folder: Path, far: Path):
    (folder / "c").symlink_to(far / "c")
    (folder / "d.png").symlink_to(far / "d" / "1.png")
    sets = both(folder, control_root=far)
    assert all(id_[0] in "ab" for id_ in sets["train"].ids)
    assert len(sets["control"]) == 4


@pytest.mark.parametrize("name", ["0.png", "1.JFIF", "class"])
def test_links_to_nothing_are_refused_by_name(folder: Path, name: str):
    (folder / "a" / name).unlink(missing_ok=True)
    (folder / "a" / name).symlink_to("../.git/annex/objects/x")
    with pytest.raises(InputError, match=rf"a/{name} is a link to nothing; fetch what is missing"):
        both(folder)
    (folder / "b" / "9.png").symlink_to("nowhere")
    with pytest.raises(InputError, match=rf"a/{name} is a link to nothing \(one of 2\)"):
        both(folder)


@pytest.mark.parametrize("name", ["0.png", "1.JFIF", "class"])
def test_link_to_itself_is_a_link_to_nothing(folder: Path, name: str):
    path = folder / "a" / name
    path.unlink(missing_ok=True)
    path.symlink_to(path)
    with pytest.raises(InputError, match="is a link to nothing"):
        both(folder)


def test_other_links_to_nothing_are_passed_over_with_a_word(folder: Path):
    (folder / "notes.txt").symlink_to("nowhere")
    assert remarks(folder) == ("1 link to nothing passed over: notes.txt",)


# What can't be read


def test_error_of_the_disk_names_the_file(folder: Path):
    (folder / "a" / "0.png").unlink()
    (folder / "a" / "0.png").symlink_to("/proc/self/mem")
    with pytest.raises(InputError, match=r"a/0\.png can't be read \(Input/output error\)"):
        both(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("place", ["a", "a/0.png"])
def test_what_may_not_be_read_is_named(folder: Path, place: str):
    (folder / place).chmod(0)
    try:
        with pytest.raises(InputError, match=rf"{place} can't be (listed|read) \(Permission denied\)"):
            both(folder)
    finally:
        (folder / place).chmod(0o755)


def test_pipe_that_is_named_as_a_picture_is_refused(folder: Path):
    os.mkfifo(folder / "a" / "x.png")
    with pytest.raises(InputError, match=r"a/x\.png is no regular file"):
        both(folder)
    (folder / "a" / "x.png").unlink()
    os.mkfifo(folder / "a" / "socket")
    assert remarks(folder) == ("1 file passed over: 1 pipes or the like",)


def test_root_with_an_impossible_name_is_refused_in_a_sentence():
    for root in ("x" * 5000, "a/" * 3000, "a\0b"):
        with pytest.raises(InputError) as caught:
            remarks(Path(root))
        assert len(str(caught.value)) < 700


# Names


@pytest.mark.parametrize(
    "name", ["new\nline.png", "[1].png", "a b.png", "ü.png", "%s{x}.png", "'\".png", "-.png", "\x1b[31m.png"]
)
def test_odd_names_are_ids_like_others(folder: Path, name: str):
    picture(folder / "a" / "x.png", 99).rename(folder / "a" / name)
    assert f"a/{name}" in all_ids(folder)


def test_too_few_images_say_how_many_there_are(folder: Path):
    with pytest.raises(
        datasets.ImageCountError, match=r"half of .*own has 4 images for the split control, but 9"
    ) as caught:
        datasets.load("image_folder", root=folder, size=8, count=9, split="control")
    error = caught.value
    assert (error.available, error.count, error.split) == (4, 9, "control")
    assert "count" not in str(error)


def test_names_can_be_hidden_by_a_key(folder: Path, tmp_path: Path):
    (folder / "a" / "Thumbs.db").write_bytes(b"")
    plain = both(folder)
    keys = [tmp_path / "one", tmp_path / "other"]
    for number, key in enumerate(keys):
        key.write_bytes(bytes([number]) * 32)
    first, again, other = (both(folder, names_key=key)["train"] for key in (keys[0], keys[0], keys[1]))
    assert first.digests == plain["train"].digests
    assert first.ids == again.ids
    assert not set(first.ids) & set(other.ids)
    assert all(len(id_) == 16 and id_ not in plain["train"].ids for id_ in first.ids)
    assert set(first.labels) == {None}
    assert first.remarks == ()
    keys[0].write_bytes(b"guess")
    for key, words in ((keys[0], "has 5 bytes"), (tmp_path / "nowhere", "can't be read")):
        with pytest.raises(InputError, match=words):
            both(folder, names_key=key)
