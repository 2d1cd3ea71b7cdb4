"""CIFAR-10's Python batches, read without executing what a pickle may contain."""

import os
import pickle
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from memrec_core import datasets
from memrec_core.errors import InputError

REAL = Path(__file__).parents[3] / "shared" / "data" / "cifar-10-batches-py"
NAMES = [f"class{number}".encode() for number in range(10)]


def batch(seed: int, count: int = 20) -> dict[bytes, object]:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)
    return {b"data": pixels, b"labels": [i % 10 for i in range(count)], b"batch_label": b"x"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(1, 6):
        (tmp_path / f"data_batch_{number}").write_bytes(pickle.dumps(batch(number), protocol=2))
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch(6), protocol=2))
    (tmp_path / "batches.meta").write_bytes(pickle.dumps({b"label_names": NAMES}, protocol=2))
    return tmp_path


def test_pixels_are_those_of_the_batch(root: Path):
    images = datasets.load("cifar10", root=root, size=32)
    assert images.images.shape == (100, 3, 32, 32)
    number, place = 3, 7
    row = batch(number)[b"data"][place].reshape(3, 32, 32)
    found = images.ids.index(f"data_batch_{number}-{place}")
    assert torch.equal(images.images[found], torch.from_numpy(row).float() / 255)
    assert images.labels[found] == "class7"


def test_control_images_are_those_of_the_test_batch(root: Path):
    control = datasets.load("cifar10", root=root, split="control")
    assert {id_.rpartition("-")[0] for id_ in control.ids} == {"test_batch"}


def test_subset_is_seeded_and_balanced(root: Path):
    first, again = (datasets.load("cifar10", root=root, count=30, seed=1) for _ in range(2))
    assert first.ids == again.ids != datasets.load("cifar10", root=root, count=30, seed=2).ids
    assert set(Counter(first.labels).values()) == {3}


def test_folder_that_holds_the_folder_will_do(root: Path, tmp_path_factory: pytest.TempPathFactory):
    parent = tmp_path_factory.mktemp("parent")
    shutil.copytree(root, parent / "cifar-10-batches-py")
    assert datasets.load("cifar10", root=parent).ids == datasets.load("cifar10", root=root).ids


class Touch:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path: Path, function) -> None:
        self.path, self.function = path, function

    def __reduce__(self):
        return self.function, (str(self.path),)


@pytest.mark.parametrize("function", [os.mkdir, eval, np.loadtxt, np.load])
@pytest.mark.parametrize("file", ["data_batch_2", "batches.meta"])
def test_hostile_pickle_is_refused_and_not_run(root: Path, function, file: str):
    victim = root / "made"
    (root / file).write_bytes(pickle.dumps({b"data": Touch(victim, function)}, protocol=2))
    with pytest.raises(InputError, match=rf"{file}.*asks for .*fetch it again"):
        datasets.load("cifar10", root=root)
    assert not victim.exists()


def hostile(reduced: tuple) -> bytes:
    return pickle.dumps({b"data": type("Any", (), {"__reduce__": lambda self: reduced})()}, protocol=2)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        pickle.dumps([1, 2], protocol=2),
        pickle.dumps({b"labels": [1]}, protocol=2),
        pickle.dumps(batch(1) | {b"labels": [0] * 19}, protocol=2),
        pickle.dumps(batch(1) | {b"labels": [10] * 20}, protocol=2),
        pickle.dumps(batch(1) | {b"labels": [0.5] * 20}, protocol=2),
        pickle.dumps(batch(1) | {b"data": np.zeros((20, 3072), np.float32)}, protocol=2),
        pickle.dumps(batch(1) | {b"data": np.zeros((20, 3071), np.uint8)}, protocol=2),
        pickle.dumps(batch(1) | {b"data": np.asfortranarray(np.ones((20, 3072), np.uint8))}, protocol=2),
        pickle.dumps(batch(1) | {b"data": np.array([[print]])}, protocol=2),
        hostile((np.dtype, ("O",))),
        hostile((np.ndarray, ((2,),))),
        pickle.dumps(batch(1), protocol=2)[:5000],
    ],
)
def test_batch_that_is_none_is_named_in_one_sentence(root: Path, content: bytes):
    (root / "data_batch_4").write_bytes(content)
    with pytest.raises(InputError, match="data_batch_4") as error:
        datasets.load("cifar10", root=root)
    assert "\n" not in str(error.value)
    assert "fetch it again" in str(error.value)


def test_missing_batch_and_missing_root_are_named(root: Path):
    (root / "data_batch_5").unlink()
    with pytest.raises(InputError, match=r"data_batch_5 does not exist.*cifar-10-batches-py"):
        datasets.load("cifar10", root=root)
    with pytest.raises(InputError, match=r"nowhere.*does not exist"):
        datasets.load("cifar10", root=root / "nowhere")
    with pytest.raises(InputError, match=r"needs root"):
        datasets.load("cifar10")


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared CIFAR-10 subset is not on this machine")
def test_real_batches_are_read_as_pickle_reads_them():
    images = datasets.load("cifar10", root=REAL)
    names = [
        name.decode() for name in pickle.loads((REAL / "batches.meta").read_bytes(), encoding="bytes")[b"label_names"]
    ]
    trusted = pickle.loads((REAL / "data_batch_1").read_bytes(), encoding="bytes")
    places = {id_: place for place, id_ in enumerate(images.ids)}
    for place in (0, 1, 500, 999):
        found = places[f"data_batch_1-{place}"]
        assert torch.equal(images.images[found].flatten() * 255, torch.from_numpy(trusted[b"data"][place]).float())
        assert images.labels[found] == names[trusted[b"labels"][place]]
    assert len(images) == 5000
    assert len(datasets.load("cifar10", root=REAL, split="control")) == 1000
