"""Arrays of numpy beside pictures: which are read, as what, and in which words the others are refused."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from memrec_core import datasets
from memrec_core.datasets.image_file import decode, shape_of
from memrec_core.errors import InputError

GREY = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def load(folder: Path, channels: int = 1, **options: Any) -> datasets.ImageSet:
    return datasets.load("image_folder", root=folder, control_root=folder.parent, size=8, channels=channels, **options)


def saved(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "array",
    [GREY, GREY[..., None], np.asfortranarray(GREY), GREY / 255, (GREY / 255).astype(np.float32)],
    ids=["grey", "one channel", "by columns", "float64", "float32"],
)
def test_array_is_the_picture_that_has_its_pixels(tmp_path: Path, array: np.ndarray):
    np.save(tmp_path / "a.npy", array)
    Image.fromarray(GREY).save(tmp_path / "b.png")
    found = load(tmp_path)
    assert found.ids == ("a.npy", "b.png") or found.ids == ("b.png", "a.npy")
    assert (found.images[0] == found.images[1]).all()
    assert (found.images[0, 0].mul(255).round().numpy() == GREY).all()
    rounded = ("1 picture of real numbers rounded to 8 bits: a.npy",) if array.dtype.kind == "f" else ()
    assert found.remarks == rounded


def test_colours_and_alpha_of_an_array_are_those_of_a_picture():
    alpha = np.concatenate([RGB, np.full((8, 8, 1), 100, np.uint8)], 2)
    for array, mode, channels in ((RGB, "RGB", 3), (alpha, "RGBA", 4)):
        assert (np.asarray(decode(saved(array), "a.npy", channels)) == array).all()
        assert shape_of(saved(array), "a.npy") == (channels, 8, 8)
        picture = io.BytesIO()
        Image.fromarray(array).save(picture, "PNG")
        for wanted in (1, 2, 3, 4):
            of_array, of_picture = (
                np.asarray(decode(data, name, wanted))
                for data, name in ((saved(array), "A.NPY"), (picture.getvalue(), f"{mode}.png"))
            )
            assert (of_array == of_picture).all()
    assert shape_of(saved(GREY[:, :5]), "a.npy") == (1, 8, 5)


class Writer:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"echo ran > {self.path}",)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (GREY.astype(np.int64), "an array of int64, and expected is uint8, or real numbers"),
        (GREY.astype(np.uint16), "an array of uint16"),
        (GREY > 3, "an array of bool"),
        (GREY.astype(complex), "an array of complex128"),
        (GREY.astype("U"), "an array of <U3"),
        (GREY / 1.0, "its values go from 4 to 248, and expected are real numbers in"),
        (GREY / 127.5 - 1, "its values go from -0.96"),
        (np.where(GREY > 9, np.nan, 0.5), "NaN or infinite"),
        (np.where(GREY > 9, np.inf, 0.5), "NaN or infinite"),
        (GREY[0], r"an array of \(8\), and expected is \(H, W\)"),
        (np.uint8(3), r"an array of \(\), and expected is"),
        (GREY[:0], r"an array of \(0, 8\), without a pixel"),
        (RGB[..., :2], r"an array of \(8, 8, 2\), a volume or several pictures"),
        (RGB.transpose(2, 0, 1), r"an array of \(3, 8, 8\), with its channels first"),
        (np.zeros((20, 8, 8), np.uint8), r"\(20, 8, 8\), a volume .* save each slice .* --group"),
        (np.zeros((5, 8, 8, 3), np.uint8), r"\(5, 8, 8, 3\), a volume"),
        (np.zeros((1, 1, 5, 8, 8), np.float32), r"\(1, 1, 5, 8, 8\), a volume"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_array_that_is_no_picture_is_one_sentence(tmp_path: Path, array: Any, words: str):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=words) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'a.npy'} can't be read as an image (")
    assert "\n" not in str(caught.value)


def test_nothing_is_unpickled(tmp_path: Path):
    ran = tmp_path / "ran"
    np.save(tmp_path / "a.npy", np.array([Writer(ran)], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="an array of object"):
        load(tmp_path)
    assert not ran.exists()
    np.load(tmp_path / "a.npy", allow_pickle=True)
    assert ran.exists()  # the test would tell


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        saved(GREY)[:60],
        saved(GREY)[:-3],
        saved(GREY) + b"x",
        saved(GREY).replace(b"(8, 8)", b"(8,-8)"),
        saved(GREY).replace(b"(8, 8), ", b"(10**9,)"),
        saved(GREY).replace(b"(8, 8), }           ", b"(9999999, 9999), } "),
        saved(GREY).replace(b"\x93NUMPY\x01", b"\x93NUMPY\x03"),
        saved(GREY).replace(b"\x93NUMPY\x01", b"\x93NUMPY\x09"),
        b"PK\x03\x04",
    ],
)
def test_damaged_array_is_one_sentence(tmp_path: Path, data: bytes):
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(InputError, match="can't be read as an image") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "IM1.DCM", "a/scan.nrrd"])
def test_file_of_a_medical_format_is_refused_and_not_passed_over(tmp_path: Path, name: str):
    Image.fromarray(GREY).save(tmp_path / "b.png")
    (tmp_path / "a").mkdir()
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(
        InputError, match="is of a medical format, whose volumes are not read; save each slice"
    ) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_how_many_were_of_another_size_is_counted(tmp_path: Path):
    for name, side in (("a", 8), ("b", 9), ("c", 16)):
        Image.fromarray(np.resize(GREY, (side, 8))).save(tmp_path / f"{name}.png")
    assert load(tmp_path).resized == 2
    assert load(tmp_path / ".." / tmp_path.name).remarks == ()
