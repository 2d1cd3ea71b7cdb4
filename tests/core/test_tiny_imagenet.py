"""Tiny ImageNet as people have it: sorted anew, packed anew, cut short."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from memrec_core import datasets
from memrec_core.errors import InputError

CLASSES = ("n01443537", "n01629819")
FOLDER = "tiny-imagenet-200"


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The publisher's layout: two classes of three training images, and six validation images."""
    root = tmp_path / FOLDER
    for place, wnid in enumerate(CLASSES):
        for number in range(3):
            picture(root / "train" / wnid / "images" / f"{wnid}_{number}.JPEG", 10 * place + number)
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("boxes")
    lines = []
    for number in range(12):
        picture(root / "val" / "images" / f"val_{number}.JPEG", 50 + number)
        lines.append(f"val_{number}.JPEG\t{CLASSES[number % 2]}\t0\t0\t63\t63\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text("\n".join(CLASSES))
    return root


def load(root: Path, split: str = "train", **options) -> datasets.ImageSet:
    return datasets.load("tiny_imagenet", root=root, size=64, split=split, **options)


def pack_zip(folder: Path, target: Path, top: str = FOLDER) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"{top}/{path.relative_to(folder)}" if top else path.relative_to(folder))
    return target


def pack_tar(folder: Path, target: Path, top: str = FOLDER) -> Path:
    with tarfile.open(target, "w") as archive:
        archive.add(folder, top or ".")
    return target


PACKED = {"folder": lambda folder, base: folder, "tar": lambda folder, base: pack_tar(folder, base / "own.tar"),
          "zip": lambda folder, base: pack_zip(folder, base / "own.zip")}  # fmt: skip


@pytest.fixture(params=PACKED)
def packed(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Path], Path]:
    """Gives a folder back as it is, or as a tar or a zip."""
    return lambda folder: PACKED[request.param](folder, tmp_path)


def same(one: datasets.ImageSet, other: datasets.ImageSet) -> bool:
    return (one.ids, one.labels) == (other.ids, other.labels) and torch.equal(one.images, other.images)


@pytest.mark.parametrize("top", [FOLDER, "", "."])
def test_zip_of_the_publisher_holds_what_the_folder_holds(tiny: Path, tmp_path: Path, top: str):
    archive = pack_zip(tiny, tmp_path / "own.zip", top)
    for split in ("train", "control"):
        assert same(load(archive, split, count=5), load(tiny, split, count=5))


def test_archive_is_found_in_the_folder_that_holds_it(tiny: Path, tmp_path: Path):
    (tmp_path / "other").mkdir()
    pack_zip(tiny, tmp_path / "other" / f"{FOLDER}.zip")
    assert same(load(tmp_path / "other"), load(tiny))


@pytest.mark.parametrize("images", ["images/", ""])
@pytest.mark.parametrize("annotations", ["stale", "none"])
def test_val_that_is_sorted_into_classes_has_their_labels(tiny: Path, packed, images: str, annotations: str):
    whole = load(tiny, "control")
    expected = dict(zip(whole.ids, whole.labels, strict=True))
    for path in sorted((tiny / "val" / "images").iterdir()):
        new = tiny / "val" / expected[path.stem] / f"{images}{path.name}"
        new.parent.mkdir(parents=True, exist_ok=True)
        path.rename(new)
    (tiny / "val" / "images").rmdir()
    if annotations == "none":
        (tiny / "val" / "val_annotations.txt").unlink()
    found = load(packed(tiny), "control")
    assert dict(zip(found.ids, found.labels, strict=True)) == expected
    assert not found.remarks


def test_classes_without_a_folder_images_are_read(tiny: Path, packed):
    whole = load(tiny)
    for path in sorted(tiny.glob("train/*/images/*")):
        path.rename(path.parents[1] / path.name)
    for path in tiny.glob("train/*/images"):
        path.rmdir()
    assert same(load(packed(tiny)), whole)


@pytest.mark.parametrize("place", ["val/images", "val"])
def test_flat_val_without_a_list_has_no_labels_and_says_so(tiny: Path, packed, place: str):
    (tiny / "val" / "val_annotations.txt").unlink()
    if place == "val":
        for path in sorted((tiny / "val" / "images").iterdir()):
            path.rename(tiny / "val" / path.name)
    found = load(packed(tiny), "control")
    assert set(found.labels) == {None}
    assert len(found) == 12
    [remark] = found.remarks
    assert remark.startswith("12 pictures without a class, which neither a folder nor val/val_annotations.txt names")


def test_control_images_are_those_of_before_where_the_list_is_there(tiny: Path):
    """The order of the list, in which val_10 comes after val_2, decides which images are chosen."""
    assert load(tiny, "control", count=4, seed=3).ids == ("val_2", "val_7", "val_10", "val_5")


@pytest.mark.parametrize("place", ["train", "val"])
def test_names_that_are_counted_anew_in_each_class_are_ids_with_their_folder(tiny: Path, packed, place: str):
    split = {"train": "train", "val": "control"}[place]
    for label in CLASSES:
        for number in range(3):
            picture(tiny / place / label / "images" / f"{number}.JPEG", 200 + number + 5 * CLASSES.index(label))
    root = packed(tiny)
    whole = load(root, split)
    assert len(set(whole.ids)) == len(whole)
    assert f"{CLASSES[0]}/images/0.JPEG" in whole.ids
    few = load(root, split, count=2)
    assert set(few.ids) <= set(whole.ids), "an id may not depend on how many are asked for"


@pytest.mark.parametrize("leaving", [".ipynb_checkpoints/x.JPEG", "@eaDir/x.JPEG", "._x.JPEG"])
def test_copies_and_thumbnails_are_no_pictures(tiny: Path, packed, leaving: str):
    whole = load(tiny)
    picture(tiny / "train" / CLASSES[0] / "images" / leaving, 99)
    found = load(packed(tiny))
    assert same(found, whole)
    [remark] = found.remarks
    assert "hidden or left by a file manager" in remark


def test_what_macos_adds_to_a_zip_is_passed_over(tiny: Path, tmp_path: Path):
    archive = pack_zip(tiny, tmp_path / "own.zip")
    with zipfile.ZipFile(archive, "a") as added:
        added.writestr(f"__MACOSX/{FOLDER}/train/{CLASSES[0]}/images/._{CLASSES[0]}_0.JPEG", b"apple")
    assert same(load(archive), load(tiny))


# What is refused


@pytest.mark.parametrize("split", ["train", "control"])
def test_folder_without_that_split_says_so(tiny: Path, packed, split: str):
    place = {"train": "train", "control": "val"}[split]
    (tiny / place).rename(tiny / "elsewhere")
    with pytest.raises(InputError, match=rf"has no (images in {place}|{place})"):
        load(packed(tiny), split)


def test_archive_with_another_top_folder_names_it(tiny: Path, tmp_path: Path):
    for archive in (pack_zip(tiny, tmp_path / "a.zip", "my/tiny"), pack_tar(tiny, tmp_path / "a.tar", "my/tiny")):
        with pytest.raises(InputError, match=r"has its train in my/tiny where Tiny ImageNet has it"):
            load(archive)


def test_wrapped_folder_names_where_its_images_are(tiny: Path, tmp_path: Path):
    (tmp_path / "outer").mkdir()
    tiny.rename(tmp_path / "outer" / "mine")
    with pytest.raises(InputError, match="has its val in mine where"):
        load(tmp_path / "outer", "control")


@pytest.mark.parametrize("name", [f"{FOLDER}/../../escaped", "../escaped", "/escaped", "..\\escaped"])
def test_zip_member_that_would_escape_is_refused(tiny: Path, tmp_path: Path, name: str):
    archive = pack_zip(tiny, tmp_path / "own.zip")
    with zipfile.ZipFile(archive, "a") as added:
        added.writestr(name, b"x")
    with pytest.raises(InputError, match="escape"):
        load(archive)


@pytest.mark.parametrize("damage", ["truncated", "beginning", "text", "empty", "bit", "encrypted", "method"])
def test_damaged_zip_is_refused_in_one_sentence(tiny: Path, tmp_path: Path, damage: str):
    archive = pack_zip(tiny, tmp_path / "own.zip")
    whole = bytearray(archive.read_bytes())
    directory = whole.rindex(b"PK\1\2")
    first = whole.index(b"\xff\xd8")  # the pixels of the first picture
    if damage == "encrypted":
        places = [at for at in range(len(whole) - 4) if whole[at : at + 4] in (b"PK\1\2", b"PK\3\4")]
        for at in places:
            whole[at + (8 if whole[at : at + 4] == b"PK\1\2" else 6)] |= 1
    elif damage == "method":
        for at in [at for at in range(len(whole) - 4) if whole[at : at + 4] == b"PK\1\2"]:
            whole[at + 10] = 97
    elif damage == "bit":
        whole[first + 300] ^= 255
    changed = {"truncated": whole[: directory // 2], "beginning": whole[200:], "text": b"hello " * 99, "empty": b""}
    archive.write_bytes(changed.get(damage, whole))
    with pytest.raises(InputError, match=r"own\.zip.* (readable zip|is encrypted|can't be read)") as caught:
        load(archive)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("suffix", ["tar.gz", "tar.xz", "tar.bz2"])
def test_truncated_compressed_tar_is_named(tiny: Path, tmp_path: Path, suffix: str, share: float):
    path = tmp_path / f"own.{suffix}"
    with tarfile.open(path, f"w:{suffix[4:]}") as archive:
        archive.add(tiny, FOLDER)
    assert same(load(path), load(tiny))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"own\.tar\."):
        load(path)


def test_links_in_archives_are_passed_over_with_a_word(tiny: Path, tmp_path: Path):
    tar = pack_tar(tiny, tmp_path / "own.tar")
    with tarfile.open(tar, "a") as archive:
        link = tarfile.TarInfo(f"{FOLDER}/train/{CLASSES[0]}/images/link.JPEG")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    own = pack_zip(tiny, tmp_path / "own.zip")
    with zipfile.ZipFile(own, "a") as archive:
        info = zipfile.ZipInfo(f"{FOLDER}/train/{CLASSES[0]}/images/link.JPEG")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    for path in (tar, own):
        found = load(path)
        assert same(found, load(tiny))
        assert found.remarks == (
            f"1 link or special file in the archive passed over: train/{CLASSES[0]}/images/link.JPEG",
        )


def test_error_of_the_disk_names_the_file(tiny: Path):
    path = tiny / "train" / CLASSES[0] / "images" / f"{CLASSES[0]}_0.JPEG"
    path.unlink()
    path.symlink_to("/proc/self/mem")
    with pytest.raises(InputError, match=r"n01443537_0\.JPEG can't be read \(Input/output error\)"):
        load(tiny)


def test_damaged_picture_in_a_zip_is_named(tiny: Path, tmp_path: Path):
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "JPEG")
    (tiny / "train" / CLASSES[0] / "images" / "x.JPEG").write_bytes(buffer.getvalue()[:300])
    with pytest.raises(InputError, match=r"own\.zip: train/n01443537/images/x\.JPEG can't be read as an image"):
        load(pack_zip(tiny, tmp_path / "own.zip"))
