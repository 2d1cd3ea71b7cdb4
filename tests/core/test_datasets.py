"""Data sets from their publishers' layouts. The synthetic ones are small; the real one is read where it is at hand."""

import os
import tarfile
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from memrec_core import datasets
from memrec_core.errors import InputError

SHARED = Path(__file__).parents[3] / "shared" / "data"
TINY_IMAGENET = SHARED / "tiny-imagenet-200-25k.tar"


def noise_image(seed: int, size: tuple[int, int] = (64, 64), mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


# photos


def rectangle(image_id: str, side: int) -> tuple[str, range, range]:
    photograph, left, top = image_id.rsplit("-", 2)
    return photograph, range(int(left), int(left) + side), range(int(top), int(top) + side)


@pytest.mark.parametrize(("size", "seeds"), [(32, (42, 42)), (32, (1, 2)), (64, (42, 7))])
def test_photos_for_training_and_control_share_no_pixel(size: int, seeds: tuple[int, int]):
    train, control = (
        datasets.load("photos", size=size, seed=seed, split=split)
        for seed, split in zip(seeds, ("train", "control"), strict=True)
    )
    side = max(48, size)
    for one, other in product(train.ids, control.ids):
        (name, xs, ys), (other_name, other_xs, other_ys) = rectangle(one, side), rectangle(other, side)
        apart = xs.stop <= other_xs.start or other_xs.stop <= xs.start or ys.stop <= other_ys.start
        assert name != other_name or apart or other_ys.stop <= ys.start


def test_photos_are_deterministic_seeded_and_balanced():
    first, again = (datasets.load("photos", count=48, size=32, seed=42) for _ in range(2))
    other = datasets.load("photos", count=48, size=32, seed=43)
    assert first.images.shape == (48, 3, 32, 32)
    assert first.images.dtype == torch.float32
    assert 0 <= first.images.min() < first.images.max() <= 1
    assert torch.equal(first.images, again.images)
    assert first.ids == again.ids != other.ids
    assert len(set(first.ids)) == 48
    assert max(Counter(first.labels).values()) - min(Counter(first.labels).values()) <= 1


def test_photos_are_all_different():
    images = datasets.load("photos", size=16).images.flatten(1)
    distances = torch.cdist(images, images).fill_diagonal_(torch.inf)
    assert distances.min() > 0.1


# Tiny ImageNet

CLASSES = ("n01", "n02", "n03")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Three classes of four training images and two validation images; one image is grey-scale."""
    root = tmp_path / "tiny-imagenet-200"
    annotations = []
    for number, wnid in enumerate(CLASSES):
        folder = root / "train" / wnid / "images"
        folder.mkdir(parents=True)
        for i in range(4):
            mode = "L" if (number, i) == (0, 0) else "RGB"
            noise_image(10 * number + i, mode=mode).save(folder / f"{wnid}_{i}.JPEG")
        (root / "val" / "images").mkdir(parents=True, exist_ok=True)
        for i in range(2):
            name = f"val_{2 * number + i}.JPEG"
            noise_image(100 + 2 * number + i).save(root / "val" / "images" / name)
            annotations.append(f"{name}\t{wnid}\t0\t0\t63\t63")
    (root / "val" / "val_annotations.txt").write_text("\n".join(annotations) + "\n")
    (root / "wnids.txt").write_text("\n".join(CLASSES[:1]))  # a subset may list fewer classes than it holds
    return root


def pack(folder: Path, tar: Path) -> Path:
    with tarfile.open(tar, "w") as archive:
        archive.add(folder, folder.name)
    return tar


def load_tiny(root: Path, **options) -> datasets.ImageSet:
    return datasets.load("tiny_imagenet", root=root, size=64, **options)


def test_folder_its_parent_and_tar_hold_the_same_images(tiny: Path, tmp_path: Path):
    tar = pack(tiny, tmp_path / "tiny.tar")
    for split in ("train", "control"):
        sets = [load_tiny(root, count=5, split=split) for root in (tiny, tiny.parent, tar)]
        assert all(one.ids == sets[0].ids and torch.equal(one.images, sets[0].images) for one in sets)


def test_pixels_are_the_files(tiny: Path):
    found = load_tiny(tiny)
    for image, id_, label in zip(found.images, found.ids, found.labels, strict=True):
        file = tiny / "train" / label / "images" / f"{id_}.JPEG"
        pixels = np.asarray(Image.open(file).convert("RGB"))
        assert np.array_equal((image * 255).round().byte().permute(1, 2, 0).numpy(), pixels)


def test_grey_scale_image_has_three_equal_channels(tiny: Path):
    found = load_tiny(tiny)
    grey = found.images[found.ids.index("n01_0")]
    assert torch.equal(grey[0], grey[1])
    assert torch.equal(grey[0], grey[2])


def test_subset_is_balanced_over_the_classes_and_control_comes_from_val(tiny: Path):
    assert Counter(load_tiny(tiny, count=6).labels) == dict.fromkeys(CLASSES, 2)
    control = load_tiny(tiny, count=3, split="control")
    assert Counter(control.labels) == dict.fromkeys(CLASSES, 1)
    assert all(id_.startswith("val_") for id_ in control.ids)


def test_another_size_resamples(tiny: Path):
    small = datasets.load("tiny_imagenet", root=tiny, size=32).images
    full = load_tiny(tiny).images
    assert torch.allclose(small, torch.nn.functional.avg_pool2d(full, 2), atol=1.1 / 255)


@pytest.mark.parametrize("name", ["tiny-imagenet-200/../../escaped", "../escaped", "/escaped"])
def test_tar_member_that_would_escape_is_refused(tiny: Path, tmp_path: Path, name: str):
    tar = pack(tiny, tmp_path / "hostile.tar")
    with tarfile.open(tar, "a") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(InputError, match="escape"):
        load_tiny(tar)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_tar_is_named(tiny: Path, tmp_path: Path, share: float):
    tar = pack(tiny, tmp_path / "tiny.tar")
    whole = tar.read_bytes()
    tar.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"tiny\.tar"):
        load_tiny(tar, split="control")


def test_file_that_is_no_tar_is_named(tmp_path: Path):
    (tmp_path / "tiny.tar").write_bytes(b"no tar" * 1000)
    with pytest.raises(InputError, match=r"tiny\.tar is not a readable tar"):
        load_tiny(tmp_path / "tiny.tar")


@pytest.mark.parametrize("from_tar", [False, True])
@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "large"])
def test_damaged_image_is_named(tiny: Path, tmp_path: Path, damage: str, from_tar: bool):
    file = tiny / "train" / "n02" / "images" / "n02_1.JPEG"
    whole = file.read_bytes()
    if damage == "large":
        noise_image(0, (65, 64)).save(file)
    else:
        file.write_bytes({"truncated": whole[: len(whole) // 2], "text": b"hello", "empty": b""}[damage])
    root = pack(tiny, tmp_path / "tiny.tar") if from_tar else tiny
    with pytest.raises(InputError, match=r"n02_1\.JPEG"):
        load_tiny(root)


def test_folder_of_something_else_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="is not Tiny ImageNet"):
        load_tiny(tmp_path)
    with pytest.raises(InputError, match="nowhere does not exist"):
        load_tiny(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"data\.root=PATH"):
        datasets.load("tiny_imagenet")


@pytest.mark.skipif(not TINY_IMAGENET.exists(), reason=f"the real Tiny ImageNet is not at {TINY_IMAGENET}")
def test_real_tiny_imagenet():
    train = load_tiny(TINY_IMAGENET, count=400)
    control = load_tiny(TINY_IMAGENET, count=100, split="control")
    assert set(Counter(train.labels).values()) == {2}
    assert len(set(train.labels)) == 200
    assert train.images.shape == (400, 3, 64, 64)
    assert set(train.ids).isdisjoint(control.ids)
    assert torch.cdist(train.images.flatten(1), control.images.flatten(1)).min() > 1


# A folder of one's own


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "own"
    for label in ("cats", "dogs"):
        (root / label).mkdir(parents=True)
        for i in range(6):
            noise_image(i, (50 + i, 40)).save(root / label / f"{i}.png")
    (root / "notes.txt").write_text("not an image")
    return root


def test_labels_are_the_subfolders_and_ids_the_paths(folder: Path):
    found = datasets.load("image_folder", root=folder, size=16)
    assert found.images.shape == (6, 3, 16, 16)
    assert all(id_.startswith(f"{label}/") for id_, label in zip(found.ids, found.labels, strict=True))
    assert Counter(found.labels) == {"cats": 3, "dogs": 3}


def test_images_without_a_subfolder_have_no_label(tmp_path: Path):
    noise_image(0).save(tmp_path / "a.png")
    assert datasets.load("image_folder", root=tmp_path).labels == (None,)


def test_halves_of_a_folder_share_no_image_whatever_the_seeds(folder: Path):
    train = datasets.load("image_folder", root=folder, size=16, seed=1)
    control = datasets.load("image_folder", root=folder, size=16, seed=2, split="control")
    assert set(train.ids).isdisjoint(control.ids)
    assert len(train) + len(control) == 12


def test_control_folder_of_its_own(folder: Path, tmp_path: Path):
    (tmp_path / "others").mkdir()
    noise_image(9).save(tmp_path / "others" / "o.png")
    options = {"root": folder, "control_root": tmp_path / "others", "size": 16}
    assert len(datasets.load("image_folder", **options)) == 12
    assert datasets.load("image_folder", **options, split="control").ids == ("o.png",)


@pytest.mark.parametrize("inner", ["root", "control_root"])
def test_folder_within_the_other_one_is_of_its_own_split_alone(folder: Path, inner: str):
    outer = "control_root" if inner == "root" else "root"
    options = {outer: folder, inner: folder / "cats", "size": 16}
    ids = {split: datasets.load("image_folder", **options, split=split).ids for split in ("train", "control")}
    of_inner, of_outer = (ids[split] for split in (("train", "control") if inner == "root" else ("control", "train")))
    assert len(of_inner) == len(of_outer) == 6
    assert all(id_.startswith("dogs/") for id_ in of_outer)


def test_link_to_a_file_of_the_other_split_is_not_trained_on(folder: Path, tmp_path: Path):
    others = tmp_path / "others"
    others.mkdir()
    noise_image(9).save(others / "o.png")
    (folder / "link.png").symlink_to(others / "o.png")
    assert len(datasets.load("image_folder", root=folder, control_root=others, size=16)) == 12


def test_name_that_is_not_utf8_is_refused(tmp_path: Path):
    noise_image(0).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    with pytest.raises(InputError, match="not UTF-8"):
        datasets.load("image_folder", root=tmp_path, size=16)


def test_one_folder_for_both_splits_is_refused(folder: Path):
    with pytest.raises(InputError, match="leave control_root out"):
        datasets.load("image_folder", root=folder, control_root=folder / "cats" / "..", size=16)


def test_too_few_control_images_are_no_reason_to_train_on_fewer(folder: Path):
    with pytest.raises(InputError, match=r"has 6 images for the split control, but 7 are asked for"):
        datasets.load("image_folder", root=folder, control_root=folder / "cats", count=7, split="control")


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_levels_are_kept_whatever_the_bits(tmp_path: Path, bits: int):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(levels if bits == 8 else levels.astype(np.uint16) * 257).save(tmp_path / "levels.png")
    found = datasets.load("image_folder", root=tmp_path, size=16).images
    assert torch.allclose(found, torch.from_numpy(levels / 255).float().expand(1, 3, 16, 16))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "I;16"])
def test_any_mode_becomes_rgb(tmp_path: Path, mode: str):
    image = Image.new("I;16", (20, 20), 65535) if mode == "I;16" else Image.new("RGB", (20, 20), "white").convert(mode)
    image.save(tmp_path / ("white.tif" if mode in ("CMYK", "I;16") else "white.png"))
    found = datasets.load("image_folder", root=tmp_path, size=8).images
    assert torch.allclose(found, torch.ones(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"name": "fotos"}, "did you mean 'photos'"),
        ({"name": "photos", "split": "test"}, "train, control"),
        ({"name": "photos", "count": 100_000}, "100000 are asked for"),
        ({"name": "photos", "count": 0}, "at least 1"),
        ({"name": "photos", "root": "/tmp"}, "root"),
        ({"name": "image_folder"}, "root"),
        ({"name": "image_folder", "root": "/nowhere"}, "/nowhere is not a folder"),
    ],
)
def test_wrong_argument_is_named(call: dict, words: str):
    with pytest.raises(InputError, match=words):
        datasets.load(call.pop("name"), **call)
