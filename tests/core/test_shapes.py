"""Pictures of any height and width, in 1 to 4 channels, from every data set."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from scipy.io import savemat

from memrec_core import datasets
from memrec_core.errors import InputError
from tests.core.test_pictures import chunk, noise, png16

SHAPES = st.one_of(st.integers(1, 70), st.tuples(st.integers(1, 70), st.integers(1, 70)))
PORTRAIT = (28, 20)


def loaded(folder: Path, size: int | tuple[int, int] = PORTRAIT, channels: int = 3) -> tuple[np.ndarray, str]:
    """The pixels (H, W, C) of the only picture, and the remarks in one string."""
    found = datasets.load("image_folder", root=folder, size=size, channels=channels)
    return (found.images[0] * 255).round().byte().permute(1, 2, 0).numpy(), "; ".join(found.remarks)


# Every data set


def cifar10(root: Path) -> None:
    for number, name in enumerate([*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]):
        batch = {b"data": noise(number, (3, 3072)), b"labels": [0, 1, 2]}
        (root / name).write_bytes(pickle.dumps(batch, protocol=2))
    names = [f"class{number}".encode() for number in range(10)]
    (root / "batches.meta").write_bytes(pickle.dumps({b"label_names": names}, protocol=2))


def svhn(root: Path) -> None:
    savemat(root / "train_32x32.mat", {"X": noise(1, (32, 32, 3, 8)), "y": np.arange(8, dtype=np.uint8)[:, None]})


def tiny_imagenet(root: Path) -> None:
    for folder in ("train/n01/images", "val/n01"):
        (root / folder).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(noise(number, (64, 64, 3))).save(root / folder / f"{number}.JPEG")


def image_folder(root: Path) -> None:
    png16(root / "grey16.png", noise(1, (40, 30, 1), 65536))
    png16(root / "greyalpha16.png", noise(2, (28, 20, 2), 65536))
    Image.fromarray(noise(3, (33, 50, 4))).save(root / "rgba.png")
    Image.fromarray(noise(4, (9, 100, 3))).save(root / "long.jpg")
    Image.fromarray(noise(5, (50, 20))).save(root / "grey.png")
    Image.fromarray(noise(6, (20, 20, 3))).convert("P").save(root / "palette.gif")
    Image.fromarray(noise(7, (20, 33, 3))).convert("CMYK").save(root / "cmyk.tif")
    Image.fromarray(noise(8, (12, 13), 2) * 255).convert("1").save(root / "bits.png")
    Image.fromarray(noise(9, (20, 33, 3))).convert("YCbCr").save(root / "ycbcr.tif")


MAKERS: dict[str, Callable[[Path], None]] = {
    maker.__name__: maker for maker in (cifar10, svhn, tiny_imagenet, image_folder)
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """The options of every data set that memrec has: each is on a small copy of its own."""
    found: dict[str, dict[str, Path]] = {}
    for name in datasets.DATA_SETS:
        found[name] = {"root": tmp_path_factory.mktemp(name)} if name in MAKERS else {}
        MAKERS.get(name, lambda root: None)(found[name].get("root", Path()))
    return found


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=SHAPES, channels=st.integers(1, 4), split=st.sampled_from(["train", "control"]))
@pytest.mark.parametrize("name", datasets.DATA_SETS)
def test_images_have_the_shape_that_is_asked_for(roots, name: str, size, channels: int, split: str):
    try:
        found = datasets.load(name, size=size, channels=channels, split=split, **roots[name])
    except datasets.ImageCountError:
        assert name == "photos"  # of tiles that small none has any contrast
        assert min((size, size) if isinstance(size, int) else size) < 6
        return
    height, width = (size, size) if isinstance(size, int) else size
    assert found.images.shape == (len(found), channels, height, width)
    assert found.images.dtype == torch.float32
    assert 0 <= found.images.min() <= found.images.max() <= 1
    size = size if name == "photos" else 32  # whose tiles follow from their shape
    assert found.ids == datasets.load(name, size=size, split=split, **roots[name]).ids


@pytest.mark.parametrize("name", ["photos", "tiny_imagenet", "cifar10", "svhn"])  # whose pictures have no alpha
def test_channels_are_grey_colours_and_alpha(roots, name: str):
    grey, both, rgb, rgba = (
        datasets.load(name, size=32, channels=channels, count=3, **roots[name]).images for channels in (1, 2, 3, 4)
    )
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    assert torch.allclose(grey, (rgb * weights).sum(1, keepdim=True), atol=1.5 / 255)
    assert torch.equal(both[:, :1], grey)
    assert torch.equal(rgba[:, :3], rgb)
    assert (both[:, 1] == 1).all()
    assert (rgba[:, 3] == 1).all()


def test_photos_of_any_shape_share_no_pixel_between_the_splits():
    taken = {
        split: {tuple(id_.rsplit("-", 2)) for id_ in datasets.load("photos", size=(20, 60), split=split).ids}
        for split in ("train", "control")
    }
    for name, left, top in taken["train"]:
        for other, other_left, other_top in taken["control"]:
            apart = abs(int(left) - int(other_left)) >= 60 or abs(int(top) - int(other_top)) >= 48
            assert name != other or apart


# From the file to the pixels


@pytest.mark.parametrize("bits", [12, 16])
def test_grey_of_16_bits_keeps_its_upper_bits_in_one_channel(tmp_path: Path, bits: int):
    values = noise(1, (28, 20, 1), 2**bits)
    values[0, 0] = 2**bits - 1
    png16(tmp_path / "p.png", values)
    pixels, _ = loaded(tmp_path, channels=1)
    assert np.array_equal(pixels, values >> bits - 8)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_levels_are_kept_in_one_channel_and_in_three(tmp_path: Path, channels: int):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(levels).save(tmp_path / "p.png")
    pixels, remarks = loaded(tmp_path, 16, channels)
    assert np.array_equal(pixels, np.broadcast_to(levels[..., None], (16, 16, channels)))
    assert not remarks


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_grey_of_other_colour_spaces_is_that_of_their_colours(tmp_path: Path, mode: str):
    image = Image.new("RGB", (20, 28), (250, 5, 5))
    if mode == "LAB":
        to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        image = ImageCms.applyTransform(image, to_lab)
    image.convert(mode).save(tmp_path / "p.tif")
    red, green, blue = loaded(tmp_path)[0][0, 0]
    for channels in (1, 2):
        grey = loaded(tmp_path, channels=channels)[0][0, 0, 0]
        assert abs(grey - (0.299 * red + 0.587 * green + 0.114 * blue)) < 1


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_kept_where_it_is_asked_for_and_nothing_is_laid_over_white(tmp_path: Path, channels: int, depth: int):
    values = noise(1, (28, 20, channels), 2**depth)
    values[0, 0] = 2**depth - 1
    if depth == 8:
        Image.fromarray(values).save(tmp_path / "p.png")
    else:
        png16(tmp_path / "p.png", values)
    pixels, remarks = loaded(tmp_path, channels=channels)
    assert np.array_equal(pixels, values >> depth - 8)
    assert "white" not in remarks


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_parts_are_white_where_no_alpha_is_asked_for(tmp_path: Path, channels: int):
    values = noise(1, (28, 20, 4))
    values[:14, :, 3] = 0
    Image.fromarray(values).save(tmp_path / "p.png")
    pixels, remarks = loaded(tmp_path, channels=channels)
    assert (pixels[:14] == 255).all()
    assert (pixels[14:] < 255).any()
    assert "1 picture laid over white where transparent" in remarks


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
def test_colour_that_is_named_as_transparent_becomes_alpha(tmp_path: Path, mode: str):
    black = noise(1, (16, 16), 2) == 0
    image = Image.fromarray(np.where(black[..., None], 0, 250).astype(np.uint8).repeat(3, axis=-1)).convert(mode)
    clear = image.getpixel(tuple(int(n) for n in np.argwhere(black)[0][::-1]))
    image.save(tmp_path / "p.png", transparency=clear)
    for channels in (2, 4):
        pixels, _ = loaded(tmp_path, 16, channels)
        assert np.array_equal(pixels[..., -1], np.where(black, 0, 255))
        assert (pixels[~black][:, :-1] >= 250).all()


def test_transparent_grey_of_16_bits_becomes_alpha(tmp_path: Path):
    values = noise(1, (28, 20, 1), 65536)
    values[4:8, 4:8] = 0x1234
    png16(tmp_path / "p.png", values, chunk(b"tRNS", b"\x12\x34"))
    pixels, _ = loaded(tmp_path, channels=2)
    assert np.array_equal(pixels[..., 0], values[..., 0] >> 8)
    assert (pixels[4:8, 4:8, 1] == 0).all()
    assert (pixels[8:, :, 1] == 255).all()


def test_colour_under_transparent_pixels_does_not_bleed_when_a_picture_is_reduced(tmp_path: Path):
    values = np.zeros((56, 40, 4), np.uint8)
    values[::2] = [255, 0, 0, 255]
    values[1::2] = [0, 255, 0, 0]  # a green that nobody sees
    Image.fromarray(values).save(tmp_path / "p.png")
    pixels, _ = loaded(tmp_path, channels=4)
    assert np.abs(pixels[..., :3].astype(int) - [255, 0, 0]).max() <= 1
    assert np.abs(pixels[1:-1, :, 3].astype(int) - 128).max() <= 1


def test_picture_of_the_same_shape_is_not_cut_but_averaged(tmp_path: Path):
    rows, columns = np.mgrid[:56, :40]
    values = (3 * rows + 2 * columns).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "p.png")
    pixels, remarks = loaded(tmp_path, channels=1)
    means = values.reshape(28, 2, 20, 2).mean(axis=(1, 3))
    assert np.abs(pixels[..., 0] - means).max() <= 1.5
    assert not remarks


@pytest.mark.parametrize("times", [0.6, 1.3, 2, 3.7])
def test_picture_in_another_size_gives_nearly_the_same_pixels(tmp_path: Path, times: float):
    picture = Image.fromarray(noise(1, (7, 9, 3))).resize((108, 84), Image.Resampling.BICUBIC)
    picture.save(tmp_path / "p.png")
    pixels, _ = loaded(tmp_path)
    picture.resize((round(108 * times), round(84 * times)), Image.Resampling.LANCZOS).save(tmp_path / "p.png")
    again, _ = loaded(tmp_path)
    assert np.abs(pixels.astype(int) - again).mean() < 2


@pytest.mark.parametrize(
    ("size", "kept"), [((28, 20), np.s_[:, 12:32]), ((20, 28), np.s_[:, 2:41]), ((14, 44), np.s_[7:21, :])]
)
def test_centre_is_kept_of_a_picture_of_another_shape_and_all_of_it(tmp_path: Path, size: tuple[int, int], kept):
    values = noise(1, (28, 44, 3))
    values[kept] = 77
    Image.fromarray(values).save(tmp_path / "p.png")
    assert (loaded(tmp_path, size)[0][1:-1, 1:-1] == 77).all()
    for edge in (np.s_[:1], np.s_[-1:], np.s_[:, :1], np.s_[:, -1:]):
        values[kept] = 77
        values[kept][edge] = 200
        Image.fromarray(values).save(tmp_path / "p.png")
        pixels, _ = loaded(tmp_path, size)
        assert (pixels[edge][1:-1, 1:-1] > 77).all()


def test_photograph_on_its_side_is_turned_before_it_is_cut(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    values = noise(1, (20, 28, 3))
    Image.fromarray(values).save(tmp_path / "p.png", exif=exif)
    assert np.array_equal(loaded(tmp_path)[0], np.rot90(values, -1))


def test_what_little_is_left_of_a_long_picture_is_said(tmp_path: Path):
    Image.fromarray(noise(1, (28, 81, 3))).save(tmp_path / "a.png")
    Image.fromarray(noise(1, (28, 80, 3))).save(tmp_path / "b.png")  # the other half's
    assert loaded(tmp_path)[1] == "1 picture cut to less than a quarter of it for the shape of 28 x 20: a.png"
    (tmp_path / "a.png").unlink()
    assert not loaded(tmp_path)[1]


def test_small_pictures_are_enlarged_with_a_word(tmp_path: Path):
    Image.fromarray(noise(1, (14, 10, 3))).save(tmp_path / "p.png")
    assert "smaller than 28 x 20 enlarged to it" in loaded(tmp_path)[1]


def test_digest_of_an_image_is_that_of_its_shape(tmp_path: Path):
    Image.fromarray(noise(1, (40, 40))).save(tmp_path / "p.png")
    sizes = [(40, 40), (20, 80), (80, 20), 20]
    found = [datasets.load("image_folder", root=tmp_path, size=size, channels=c) for size in sizes for c in (1, 2, 3)]
    assert len({one.fingerprint for one in found}) == len(found)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"size": 0}, "size 0 is not a whole number of at least 1, or two of these, such as"),
        ({"size": (28,)}, "two of these"),
        ({"size": (28, 20, 1)}, "two of these"),
        ({"size": (28, 0)}, "two of these"),
        ({"size": "32"}, "two of these"),
        ({"size": 2.0}, "two of these"),
        ({"size": True}, "two of these"),
        ({"channels": 0}, "channels 0 is not a whole number of at least 1"),
        ({"channels": 5}, r"channels 5 is not 1 \(grey\), 2 \(grey and alpha\), 3 \(RGB\) or 4 \(RGB and alpha\)"),
        ({"channels": None}, "channels None is not"),
    ],
)
def test_wrong_size_and_channels_are_refused(asked: dict, words: str):
    with pytest.raises(InputError, match=words):
        datasets.load("photos", count=2, **asked)
