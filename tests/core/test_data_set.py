"""A data set from outside: a record in the registry, and what is said where it gives what was not asked for."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from memrec_core import datasets
from memrec_core.datasets import DATA_SETS, DataSet, ImageSet
from memrec_core.errors import InputError
from memrec_core.seeding import generator

Load = Callable[..., object]


def stripes(count: int | None, size: tuple[int, int], channels: int, seed: int, split: str, root: str = "") -> ImageSet:
    """Random stripes."""
    count, (height, width) = count or 10, size
    values = torch.rand(count, channels, height, 1, generator=generator(seed, split))
    ids = tuple(f"{root}{i}" for i in range(count))
    return ImageSet(values.expand(-1, -1, -1, width).contiguous(), ids, (None,) * count)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[[Load], None]:
    return lambda load: monkeypatch.setitem(DATA_SETS, "mine", DataSet("mine", load))


def test_data_set_from_outside_is_loaded_by_its_name(register):
    register(stripes)
    found = datasets.load("mine", count=3, size=(28, 20), channels=2, root="s")
    assert found.images.shape == (3, 2, 28, 20)
    assert found.ids == ("s0", "s1", "s2")
    assert DATA_SETS["mine"].options == ("root",)
    assert DATA_SETS["mine"].summary.startswith("A data set from outside")


def test_every_data_set_says_what_it_is_and_which_options_it_takes():
    options = {name: data_set.options for name, data_set in DATA_SETS.items()}
    assert options.pop("photos") == ()
    assert options.pop("image_folder") == ("root", "control_root", "names_key")
    assert set(options.values()) == {("root",)}
    for name, data_set in DATA_SETS.items():
        assert data_set.name == name
        assert len(data_set.summary) > 20


def test_option_that_a_data_set_does_not_take_is_named(register):
    register(stripes)
    with pytest.raises(InputError, match=r"data set mine can't be loaded with options \['rot'\]: .*'rot'"):
        datasets.load("mine", rot="x")
    register(lambda *, root, **asked: stripes(**asked, root=root))
    with pytest.raises(InputError, match=r"options \[\]: missing a required argument: 'root'"):
        datasets.load("mine")


def test_mistake_within_a_reader_keeps_its_traceback(register):
    def broken(**asked: object) -> ImageSet:
        return stripes(**asked, roof="x")  # an unexpected keyword argument, but not the user's

    register(broken)
    with pytest.raises(TypeError, match="roof"):
        datasets.load("mine", count=2)


def test_reader_that_does_not_take_what_is_asked_for_is_refused():
    def square(*, count: int, size: int, seed: int) -> None: ...

    with pytest.raises(
        InputError, match="data set mine: its load takes no channels and no split; give it the keywords"
    ):
        DataSet("mine", square)


def changed(**change: Callable) -> Load:
    """Reads the stripes in another way than they are asked for."""

    def load(**asked) -> ImageSet:
        found = stripes(**asked | {name: of(asked[name]) for name, of in change.items() if name in asked})
        return ImageSet(change.get("images", lambda same: same)(found.images), found.ids, found.labels)

    return load


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (changed(size=lambda size: size[::-1]), r"shape \(3, 1, 20, 28\) where .* of shape \(3, 1, 28, 20\) was asked"),
        (changed(channels=lambda channels: 3), r"shape \(3, 3, 28, 20\) where"),
        (changed(count=lambda count: count + 1), r"shape \(4, 1, 28, 20\) where"),
        (changed(images=lambda images: images.double()), "a float64 tensor of shape"),
        (changed(images=lambda images: images.mul(255).byte()), "a uint8 tensor of shape"),
        (changed(images=lambda images: images.flatten(1)), r"shape \(3, 560\) where"),
        (changed(images=lambda images: images.numpy()), "a numpy array of float32"),
        (changed(images=lambda images: images * 255), "returned values from .* to .*; divide 0 to 255 by 255"),
        (changed(images=lambda images: images * 2 - 1), r"returned values from -0\..* the range \[0, 1\]"),
        (changed(images=lambda images: images / 0 * 0), "returned values from nan to nan"),
        (lambda **asked: stripes(**asked).images, "returned a float32 tensor .*; return an ImageSet"),
        (lambda **asked: None, "returned None; return an ImageSet"),
    ],
)
def test_images_that_were_not_asked_for_are_refused(register, load: Load, words: str):
    register(load)
    with pytest.raises(InputError, match=f"data set mine: its load .*{words}"):
        datasets.load("mine", count=3, size=(28, 20), channels=1)


def test_file_that_a_reader_misses_is_named(register, tmp_path: Path):
    register(lambda **asked: (tmp_path / "gone.bin").read_bytes())
    with pytest.raises(InputError, match=r"data set mine: .*gone\.bin can't be read \(No such file"):
        datasets.load("mine")
