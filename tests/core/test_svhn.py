"""SVHN's MATLAB files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from memrec_core import datasets
from memrec_core.errors import InputError

REAL = Path(__file__).parents[3] / "shared" / "data" / "svhn"


def write(path: Path, seed: int, count: int = 40, labels: bool = True) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
    digits = {"y": (np.arange(count) % 10 + 1).astype(np.uint8)[:, None]} if labels else {}
    savemat(path, {"X": pixels} | digits, do_compression=True)
    return pixels


def test_image_is_the_files_and_its_label_the_digit(tmp_path: Path):
    pixels = write(tmp_path / "train_32x32.mat", 1)
    write(tmp_path / "test_32x32.mat", 2)
    images = datasets.load("svhn", root=tmp_path)
    assert len(images) == 40
    for number, label in ((1, "1"), (10, "0"), (23, "3")):
        found = images.ids.index(f"train_32x32-{number}")
        expected = torch.from_numpy(pixels[..., number - 1].transpose(2, 0, 1).copy()).float() / 255
        assert torch.equal(images.images[found], expected)
        assert images.labels[found] == label


def test_control_images_come_from_the_test_file(tmp_path: Path):
    write(tmp_path / "train_32x32.mat", 1)
    pixels = write(tmp_path / "test_32x32.mat", 2)
    control = datasets.load("svhn", root=tmp_path, split="control")
    assert set(control.ids) == {f"test_32x32-{number}" for number in range(1, pixels.shape[3] + 1)}


def test_training_file_alone_is_divided(tmp_path: Path):
    write(tmp_path / "train_32x32.mat", 1, labels=False)
    train, control = (datasets.load("svhn", root=tmp_path, split=split) for split in ("train", "control"))
    assert len(train) == len(control) == 20
    assert not set(train.ids) & set(control.ids)
    assert set(train.labels) == {None}
    assert train.remarks == ()
    assert "control images are every other one of train_32x32.mat, for want of" in control.remarks[0]


def test_control_images_of_a_divided_file_are_drawn_for_themselves(tmp_path: Path):
    write(tmp_path / "train_32x32.mat", 1, count=400, labels=False)
    train, control = (datasets.load("svhn", root=tmp_path, count=20, split=split) for split in ("train", "control"))
    trained = {int(name.partition("-")[2]) for name in train.ids}
    neighbours = sum(int(name.partition("-")[2]) - 1 in trained for name in control.ids)
    assert neighbours < 8  # of 20, where one in ten is one by chance


def test_subset_is_seeded(tmp_path: Path):
    write(tmp_path / "train_32x32.mat", 1)
    first, again, other = (datasets.load("svhn", root=tmp_path, count=8, seed=seed) for seed in (1, 1, 2))
    assert first.ids == again.ids != other.ids


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "no X", "wrong shape", "wrong type", "labels short"])
def test_damaged_file_gets_one_sentence(tmp_path: Path, damage: str):
    path = tmp_path / "train_32x32.mat"
    write(path, 1)
    whole = path.read_bytes()
    pixels = np.zeros((32, 32, 3, 4), np.uint8)
    if damage in ("truncated", "empty", "text"):
        path.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"hello " * 50}[damage])
    else:
        content = {
            "no X": {"Z": pixels},
            "wrong shape": {"X": pixels[0]},
            "wrong type": {"X": pixels.astype(float)},
            "labels short": {"X": pixels, "y": np.ones((3, 1), np.uint8)},
        }
        savemat(path, content[damage])
    with pytest.raises(InputError, match=r"train_32x32\.mat.*fetch it again") as error:
        datasets.load("svhn", root=tmp_path)
    assert "\n" not in str(error.value)


def test_wrong_root_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere/train_32x32\.mat does not exist.*folder"):
        datasets.load("svhn", root=tmp_path / "nowhere")
    with pytest.raises(InputError, match="needs root"):
        datasets.load("svhn")


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared SVHN subset is not on this machine")
def test_real_digits_are_photographs():
    images = datasets.load("svhn", root=REAL)
    assert images.images.shape == (100, 3, 32, 32)
    assert len(datasets.load("svhn", root=REAL, split="control")) == 100
    # Neighbouring pixels of a photograph are alike; those of a wrongly laid out file are not.
    pixels = images.images
    shuffled = pixels.flatten(2)[..., torch.randperm(32 * 32)].view_as(pixels)
    for axis in (2, 3):
        assert pixels.diff(dim=axis).abs().mean() < shuffled.diff(dim=axis).abs().mean() / 2
