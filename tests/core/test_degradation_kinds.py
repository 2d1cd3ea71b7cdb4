"""Degradations as objects: their settings, labels and errors, and what fills the missing pixels."""

import dataclasses
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from memrec_core import degradations
from memrec_core.degradations import (
    DEGRADATIONS,
    FILLS,
    PATTERNS,
    Blur,
    Colour,
    Custom,
    Degradation,
    Downsample,
    Erasure,
    Noise,
    Patch,
    Zeros,
)
from memrec_core.errors import InputError

SHAPE = (3, 16, 16)
IMAGES = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1
IDS = ("a", "b", "c", "d")


def bits(images: Tensor) -> bytes:
    return images.numpy().tobytes()


@pytest.mark.parametrize("mask", [*degradations.MASKS, *degradations.MASKS.values()])
@pytest.mark.parametrize("noise_std", [0.0, 0.02])
def test_erasure_with_zeros_has_the_bits_of_degrade(mask: int | str, noise_std: float):
    expected = degradations.degrade(IMAGES, degradations.mask(mask, SHAPE, 7), noise_std, 7, IDS)
    assert bits(Erasure(mask, noise_std).degrade(IMAGES, IDS, 7)) == bits(expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_erasure_by_a_mask_an_image_has_the_bits_of_degrade(dtype: torch.dtype):
    images = IMAGES.to(dtype)
    masks = torch.stack([degradations.mask("random_30", SHAPE, 7, image_id=id_) for id_ in IDS])
    erasure = Erasure("random_30", 0.1, per_image=True)
    assert torch.equal(erasure.operator(SHAPE, IDS, 7).theta, masks)
    assert bits(erasure.degrade(images, IDS, 7)) == bits(degradations.degrade(images, masks, 0.1, 7, IDS))


LABELS: dict[str, Degradation] = {
    "center": Erasure("center"),
    "random_80": Erasure(3),
    "bottom": Erasure("2"),
    "random_20-per_image-noise_0.02": Erasure("random_20", 0.02, per_image=True),
    "center-fill_noise": Erasure(1, fill=Noise()),
    "center-fill_patch-noise_0.1": Erasure(1, 0.1, fill=Patch()),
    "center-fill_colour_0.5": Erasure(1, fill=Colour(0.5)),
    "center-fill_colour_1_0_0.25": Erasure(1, fill=Colour((1, 0, 0.25))),
    "blur_std_1": Blur(std=1),
    "blur_std_0.12345678-noise_0.1": Blur(std=0.12345678, noise_std=0.1),
    "blur_length_5": Blur(length=5),
    "blur_length_5-angle_22.5": Blur(length=5, angle=22.5),
    "downsample_4": Downsample(4),
    "downsample_2-noise_0.02": Downsample(2, noise_std=0.02),
    "custom_torch.nn.functional.relu": Custom("torch.nn.functional:relu"),
}


@pytest.mark.parametrize(("label", "degradation"), LABELS.items(), ids=LABELS)
def test_label_says_the_settings_and_names_a_folder(label: str, degradation: Degradation):
    assert degradation.label == label
    assert re.fullmatch("[A-Za-z0-9._-]+", label)


def test_label_of_a_function_without_a_name_names_a_folder_too():
    assert re.fullmatch("[A-Za-z0-9._-]+", Custom(lambda x: x).label)


def test_equal_settings_are_equal_and_hashable():
    assert Erasure(1) == Erasure("center", 0.0, False, Zeros())
    assert Colour([1, 0, 0]) == Colour((1, 0, 0))
    assert len({Erasure(1), Erasure("1"), Erasure("center", fill=Noise())}) == 2


@pytest.mark.parametrize("kinds", [DEGRADATIONS, FILLS])
def test_each_kind_says_what_it_does_and_is_a_frozen_dataclass(kinds: dict[str, type]):
    for kind in kinds.values():
        assert re.match(r"[A-Z][^.]+[.]", kind.__doc__ or "")
        assert not (kind.__doc__ or "").startswith(kind.__name__)  # what a dataclass has of itself
        assert kind.__dataclass_params__.frozen
        for field in dataclasses.fields(kind):
            assert not field.name.startswith("_")


def test_registries_know_each_kind_by_its_key():
    assert list(DEGRADATIONS) == ["mask", "blur", "downsample", "custom"]
    assert list(FILLS) == ["zeros", "colour", "noise", "patch"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Erasure("centre"), "did you mean 'center'"),
        (lambda: Erasure(7), "unknown mask '7'"),
        (lambda: Erasure(True), "unknown mask 'True'"),
        (lambda: Erasure("center", -0.1), "noise_std -0.1"),
        (lambda: Erasure("center", float("nan")), "noise_std nan"),
        (lambda: Erasure("center", 2.0), "from 0 to 1"),
        (lambda: Erasure("center", per_image=True), "per_image is for random masks"),
        (lambda: Erasure("random_50", per_image=1), "true or false"),
        (lambda: Erasure("center", fill="noise"), "fill 'noise' is none"),
        (lambda: Erasure("center", fill=Noise), "degradations.Noise"),
        (lambda: Colour(1.5), "colour 1.5"),
        (lambda: Colour(()), r"colour \(\)"),
        (lambda: Colour((0.5, float("inf"))), "colour inf"),
        (lambda: Colour("red"), "colour 'red'"),
        (lambda: Blur(), "either its std or its length"),
        (lambda: Blur(std=1.0, length=3), "either its std or its length"),
        (lambda: Blur(std=0.0), "std 0.0"),
        (lambda: Blur(std=1.0, angle=10.0), "no angle"),
        (lambda: Blur(length=1), "length 1"),
        (lambda: Blur(length=2.5), "length 2.5"),
        (lambda: Blur(length=10**9), "length 1000000000"),
        (lambda: Blur(length=5, angle=180.0), "angle 180"),
        (lambda: Blur(std=1.0, noise_std="much"), "noise_std 'much'"),
        (lambda: Downsample(1), "factor 1"),
        (lambda: Downsample(2.0), "factor 2.0"),
        (lambda: Downsample(2, noise_std=-1), "noise_std -1"),
        (lambda: Custom("a:b", noise_std=-1), "noise_std -1"),
        (lambda: Erasure("center", fill=Colour((1, 0))).degrade(IMAGES), "2 values and the images 3 channels"),
        (lambda: Erasure("center").operator((3, 1, 1), IDS, 42), "larger images"),
        (lambda: Erasure("center").degrade(255 * IMAGES), "divide 0 to 255"),
        (lambda: Blur(std=1.0).degrade(255 * IMAGES), "divide 0 to 255"),
        (lambda: Downsample(2).degrade(IMAGES, ["a"]), "one id for each image"),
        (lambda: Downsample(5).degrade(IMAGES), "blocks of 5 x 5"),
        (lambda: Blur(std=1.0).degrade(IMAGES, seed=-1), "seed -1"),
    ],
)
def test_wrong_setting_is_named(make: Callable[[], object], words: str):
    with pytest.raises(InputError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


LINEAR = {"blur": Blur(std=1.0), "downsample": Downsample(4), "custom": Custom(lambda x: x / 2)}


@pytest.mark.parametrize("degradation", LINEAR.values(), ids=LINEAR)
def test_linear_degradation_is_its_operator_and_the_same_noise_as_ever(degradation: Degradation):
    y = degradation.degrade(IMAGES, IDS, 7)
    assert torch.equal(y, degradation.operator(SHAPE, IDS, 7).forward(IMAGES))
    noisy = dataclasses.replace(degradation, noise_std=0.1).degrade(IMAGES, IDS, 7)
    noise = degradations.degrade(torch.zeros_like(IMAGES), degradations.mask(1, SHAPE), 0.1, 7, IDS)
    assert torch.allclose(noisy - y, noise, atol=1e-6)


KINDS = {
    **LINEAR,
    "zeros": Erasure("center", 0.1),
    "own masks": Erasure("random_50", per_image=True),
    "colour": Erasure("center", fill=Colour((1, 0, 0.5))),
    "noise": Erasure("center", fill=Noise()),
    "patch": Erasure("center", fill=Patch()),
}


@pytest.mark.parametrize("degradation", KINDS.values(), ids=KINDS)
def test_image_is_degraded_alike_alone_and_in_any_batch(degradation: Degradation):
    whole = degradation.degrade(IMAGES, IDS, 7, others=IMAGES)
    for i, id_ in enumerate(IDS):
        alone = degradation.degrade(IMAGES[i : i + 1], [id_], 7, others=IMAGES)
        assert torch.allclose(alone, whole[i : i + 1], atol=1e-6)


@pytest.mark.parametrize("degradation", KINDS.values(), ids=KINDS)
def test_no_images_stay_none(degradation: Degradation):
    assert degradation.degrade(IMAGES[:0]).shape == (0, *SHAPE)


CENTER = degradations.mask("center", SHAPE) == 0


def filled(fill: degradations.Fill, **options) -> Tensor:
    """What the missing pixels hold; the others are as they were."""
    y = Erasure("center", fill=fill).degrade(IMAGES, IDS, **options)
    assert torch.equal(y[:, ~CENTER], IMAGES[:, ~CENTER])
    return y[:, CENTER].view(4, 3, 8, 8)


def test_missing_pixels_have_the_colour():
    assert (filled(Zeros()) == 0).all()
    assert (filled(Colour(0.5)) == 0.5).all()
    red = filled(Colour((1, 0, 0.25)))
    assert red.amax((0, 2, 3)).tolist() == red.amin((0, 2, 3)).tolist() == [1, 0, 0.25]


def test_missing_pixels_are_uniform_noise_of_seed_and_id():
    noise = filled(Noise(), seed=1)
    assert 0 <= noise.min() < 0.05 < 0.95 < noise.max() <= 1
    assert noise.mean().item() == pytest.approx(0.5, abs=0.05)
    assert len({bits(own) for own in noise}) == 4
    assert torch.equal(noise, filled(Noise(), seed=1))
    assert not torch.equal(noise, filled(Noise(), seed=2))


def test_missing_pixels_are_those_of_another_picture_at_the_same_place():
    patches = filled(Patch())
    origins = [[torch.equal(patch, other[CENTER].view(3, 8, 8)) for other in IMAGES] for patch in patches]
    for i, origin in enumerate(origins):
        assert sum(origin) == 1
        assert not origin[i]


def test_patch_follows_seed_id_and_the_pictures_given():
    pool = torch.rand(50, *SHAPE, generator=torch.Generator().manual_seed(1))
    one = filled(Patch(), others=pool, seed=1)
    assert torch.equal(one, filled(Patch(), others=pool, seed=1))
    assert not torch.equal(one, filled(Patch(), others=pool, seed=2))
    assert not torch.equal(one, filled(Patch(), others=pool.flip(0), seed=1))
    assert len({bits(patch) for patch in one}) > 2
    moved = Erasure("center", fill=Patch()).degrade(IMAGES[2:3], [IDS[2]], 1, others=pool)
    assert torch.equal(moved[0, CENTER].view(3, 8, 8), one[2])


class Album:
    """Pictures that are read when they are asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, indices: Tensor) -> Tensor:
        self.asked += indices.tolist()
        return torch.stack([torch.full(SHAPE, index / 1000) for index in indices.tolist()])


def test_patch_reads_only_the_picture_that_it_takes():
    album = Album()
    patches = filled(Patch(), others=album)
    assert patches[:, 0, 0, 0].tolist() == pytest.approx([index / 1000 for index in album.asked])


def test_copy_of_an_image_gives_it_no_patch():
    copies = IMAGES[:1].repeat(9, 1, 1, 1)
    pool = torch.cat([copies, IMAGES[1:2]])
    y = Erasure("center", fill=Patch()).degrade(IMAGES[:1], ["a"], others=pool)
    assert torch.equal(y[0, CENTER], IMAGES[1, CENTER])
    with pytest.raises(InputError, match=r"of the 9 pictures .*none is another than the image a"):
        Erasure("center", fill=Patch()).degrade(IMAGES[:1], ["a"], others=copies)
    with pytest.raises(InputError, match="does not fit"):
        Erasure("center", fill=Patch()).degrade(IMAGES[:1], ["a"], others=torch.rand(2, 3, 8, 8))


@pytest.fixture
def left_half():
    def pattern(height: int, width: int) -> Tensor:
        """The left half is missing."""
        return (torch.arange(width) >= width // 2).expand(height, width)

    PATTERNS["left"] = pattern
    yield
    del PATTERNS["left"]


@pytest.mark.usefixtures("left_half")
def test_pattern_from_outside_is_a_mask_like_the_others():
    y = Erasure("left").degrade(IMAGES)
    assert (y[..., :8] == 0).all()
    assert torch.equal(y[..., 8:], IMAGES[..., 8:])
    assert degradations.mask("left", SHAPE).dtype == torch.float32
    assert degradations.descriptions()["left"] == "The left half is missing."
    with pytest.raises(InputError, match="left"):
        degradations.mask("lefd", SHAPE)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (lambda height, width: torch.ones(width, height + 1), r"tensor \(height, width\)"),
        (lambda height, width: [[0, 1]], r"tensor \(height, width\)"),
        (lambda height, width: torch.full((height, width), 0.5), "other entries than 0"),
        (lambda height, width: torch.ones(height, width), "no missing"),
    ],
)
def test_pattern_from_outside_that_is_no_mask_is_refused(monkeypatch, pattern, words: str):
    monkeypatch.setitem(PATTERNS, "odd", pattern)
    with pytest.raises(InputError, match=words):
        degradations.mask("odd", SHAPE)


def test_pattern_whose_name_is_no_folders_is_refused(monkeypatch):
    monkeypatch.setitem(PATTERNS, "a/b", PATTERNS["center"])
    with pytest.raises(InputError, match="can't name a folder"):
        Erasure("a/b")
