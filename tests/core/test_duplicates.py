"""Near-duplicates: what people call the same picture is found, and different pictures are left apart."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from torch import Tensor

from memrec_core import datasets
from memrec_core.datasets.duplicates import near_duplicates, near_pairs, orientation
from memrec_core.datasets.image_file import pixels_of

COUNT, SIDE = 40, 64


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    images = datasets.load("photos", count=COUNT, size=SIDE).images
    return [Image.fromarray(image.mul(255).byte().permute(1, 2, 0).numpy()) for image in images]


def tensor(pictures: list[Image.Image], size: int = 32) -> Tensor:
    resized = [picture.convert("RGB").resize((size, size), Image.Resampling.BOX) for picture in pictures]
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in resized])).permute(0, 3, 1, 2) / 255


def saved(picture: Image.Image, **options: object) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, **options)
    return Image.open(buffer)


def edited(picture: Image.Image) -> Image.Image:
    picture = picture.copy()
    picture.putpixel((5, 7), (255, 0, 255))
    return picture


CHANGES = {
    "copy": lambda picture: picture,
    "JPEG": lambda picture: saved(picture, format="JPEG", quality=75),
    "WebP": lambda picture: saved(picture, format="WEBP", quality=70),
    "GIF": lambda picture: saved(picture, format="GIF"),
    "half the size": lambda picture: picture.resize((SIDE // 2, SIDE // 2), Image.Resampling.BOX),
    "larger": lambda picture: picture.resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC),
    "turned": lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "transposed and reduced": lambda picture: picture.transpose(Image.Transpose.TRANSVERSE).resize(
        (SIDE // 2, SIDE // 2)
    ),
    "one pixel changed": edited,
}


@pytest.mark.parametrize("size", [8, 16, 32])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_copy_is_found_beside_its_original_and_no_other_picture_is(photographs, change, size):
    images, copies = tensor(photographs, size), tensor([change(picture) for picture in photographs], size)
    assert near_pairs(copies, images).tolist() == [[i, i] for i in range(COUNT)]


def test_first_of_several_copies_stands_for_them(photographs):
    images = tensor(photographs[:4])
    several = torch.cat([images, orientation(images[1:2], 5), images[3:], images[3:]])
    assert near_duplicates(several).tolist() == [0, 1, 2, 3, 1, 3, 3]


def test_every_orientation_is_another_one_and_each_is_found(photographs):
    image = tensor(photographs[:1])
    turned = torch.cat([orientation(image, turn) for turn in range(8)])
    assert len({each.numpy().tobytes() for each in turned}) == 8
    assert near_duplicates(turned).tolist() == [0] * 8


def test_slow_change_from_one_picture_to_another_is_not_taken_for_one_picture(photographs):
    first, last = tensor(photographs[:2])
    film = torch.stack([first + (last - first) * share for share in torch.linspace(0, 1, 40)])
    places = near_duplicates(film)
    assert places[1] == 0
    assert places[-1] > 0


def test_one_colour_is_the_same_picture_and_another_colour_is_not():
    colours = torch.tensor([0.2, 0.2, 0.5]).view(3, 1, 1, 1).expand(3, 3, 16, 16)
    assert near_duplicates(colours).tolist() == [0, 0, 2]


@pytest.mark.parametrize(("side", "std"), [(512, 0.02), (256, 0.005)])
def test_textures_whose_cells_have_one_mean_are_several_pictures_and_each_has_its_copy(side: int, std: float):
    textures = 0.5 + std * torch.randn(6, 3, side, side, generator=torch.Generator().manual_seed(0))
    copy = (textures[:1].clamp(0, 1) * 255).round() / 255
    assert near_duplicates(torch.cat([textures, copy]).clamp(0, 1)).tolist() == [0, 1, 2, 3, 4, 5, 0]


def test_noise_is_like_no_other_noise():
    images = torch.rand(300, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert near_duplicates(images).tolist() == list(range(300))


@pytest.mark.parametrize("shape", [(5, 1, 28, 20), (5, 4, 3, 3), (0, 3, 16, 16)])
def test_any_number_of_channels_and_pixels_will_do(shape):
    images = torch.rand(*shape, generator=torch.Generator().manual_seed(0))
    assert near_duplicates(images).tolist() == list(range(shape[0]))
    assert near_pairs(images, images.flip(3)).tolist() == [[i, i] for i in range(shape[0])]


def in_shape(pictures: list[Image.Image], size: tuple[int, int], channels: int) -> Tensor:
    return (
        torch.from_numpy(np.stack([pixels_of(picture, size, channels) for picture in pictures])).permute(0, 3, 1, 2)
        / 255
    )


SHAPES = [((28, 20), 1), ((28, 20), 3), ((12, 30), 4), ((6, 5), 2), ((16, 16), 2)]
LYING = ("turned", "transposed and reduced")
"""Of what is not square, another part of the picture is cut out of these."""


@pytest.mark.parametrize(
    ("size", "channels", "change"),
    [
        (size, channels, change)
        for (size, channels) in SHAPES
        for change in CHANGES
        if size[0] == size[1] or change not in LYING
    ],
)
def test_copy_is_found_in_any_shape_and_channels(photographs, change, size, channels):
    images = in_shape(photographs, size, channels)
    copies = in_shape([CHANGES[change](picture).convert("RGB") for picture in photographs], size, channels)
    pairs = near_pairs(copies, images).tolist()
    assert all(i == k for i, k in pairs)
    assert len(pairs) >= 0.9 * COUNT
    places = near_duplicates(torch.cat([images, copies]))
    assert places[:COUNT].tolist() == [*range(COUNT)]
    assert (places[COUNT:] == range(COUNT)).sum() >= 0.9 * COUNT


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_quarter_turn_is_found_by_the_centred_squares_of_pictures_that_are_not_square(photographs, channels):
    images = in_shape(photographs, (28, 20), channels)
    for turn in (Image.Transpose.ROTATE_90, Image.Transpose.TRANSPOSE):
        copies = in_shape([picture.transpose(turn) for picture in photographs], (28, 20), channels)
        assert near_pairs(copies, images).tolist() == [[i, i] for i in range(COUNT)]


def test_pictures_with_one_centre_are_two_pictures(photographs):
    images = in_shape(photographs[:8], (28, 20), 1)
    others = in_shape(photographs[8:16], (28, 20), 1)
    others[:, :, 4:24] = images[:, :, 4:24]
    assert not len(near_pairs(images, others))


def test_turned_centre_of_long_pictures_does_not_make_them_one(photographs):
    images, others = (in_shape(photographs[part], (10, 40), 1) for part in (slice(8), slice(8, 16)))
    others[..., 15:25] = orientation(images[..., 15:25], 1)
    assert not len(near_pairs(images, others))


def test_colour_under_transparent_pixels_makes_no_other_picture(photographs):
    images = in_shape(photographs, (28, 20), 4)
    images[:, 3, :10] = 0
    other = images.clone()
    other[:, :3, :10] = 0.3
    assert near_pairs(other, images).tolist() == [[i, i] for i in range(COUNT)]


def test_pictures_whose_transparent_parts_differ_are_two_pictures(photographs):
    images = in_shape(photographs[:1], (28, 20), 4).repeat(2, 1, 1, 1)
    images[0, 3, :14] = 0
    images[1, 3, 14:] = 0
    assert near_duplicates(images).tolist() == [0, 1]


@settings(max_examples=40, deadline=None)
@given(shape=st.tuples(st.integers(0, 6), st.integers(1, 4), st.integers(1, 40), st.integers(1, 40)))
def test_pictures_of_any_shape_are_compared(shape):
    images = torch.rand(*shape, generator=torch.Generator().manual_seed(0))
    doubled = near_duplicates(torch.cat([images, orientation(images, 2)]))
    assert (doubled[shape[0] :] == doubled[: shape[0]]).all()
    assert {(i, i) for i in range(shape[0])} <= {tuple(pair) for pair in near_pairs(images, images.flip(3)).tolist()}


@pytest.mark.parametrize("count", [300, pytest.param(1000, marks=pytest.mark.long)])
def test_many_of_one_picture_take_seconds(photographs, count: int):
    images = tensor(photographs[:1]).expand(count, -1, -1, -1)
    assert set(near_duplicates(images).tolist()) == {0}


def drawn(draw: Callable[[ImageDraw.ImageDraw, np.random.Generator], None]) -> Tensor:
    """Pictures of one kind: what the seed makes of it, on a white page with a black frame."""
    pictures = []
    for seed in range(COUNT):
        picture = Image.new("RGB", (SIDE, SIDE), "white")
        drawing = ImageDraw.Draw(picture)
        drawing.rectangle((0, 0, SIDE - 1, SIDE - 1), outline="black", width=6)
        draw(drawing, np.random.default_rng(seed))
        pictures.append(picture)
    return tensor(pictures)


KINDS = {
    "words": lambda drawing, random: drawing.text((12, 26), "".join(random.choice([*"abcdefghik"], 6)), fill="black"),
    "plots": lambda drawing, random: drawing.line(
        [(x, float(random.uniform(10, 54))) for x in range(10, 55, 4)], fill="blue", width=1
    ),
    "spots": lambda drawing, random: drawing.point([tuple(random.integers(8, 56, 2)) for _ in range(6)], fill="black"),
    "discs": lambda drawing, random: drawing.ellipse(
        (16, 16, 48, 48), fill=tuple(int(c) for c in random.integers(0, 256, 3))
    ),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_pictures_of_one_kind_are_not_one_picture(kind):
    images = drawn(kind)
    places = near_duplicates(images)
    merged = [(i, int(k)) for i, k in enumerate(places) if i != k]
    assert len(merged) <= 1, merged
    again = torch.cat([images, orientation(images, 1)])
    assert near_duplicates(again)[COUNT:].tolist() == places.tolist()
