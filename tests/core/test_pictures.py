"""What a picture goes through from its file to the tensor: it is what people see who open it."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memrec_core import datasets
from memrec_core.datasets.image_file import endings
from memrec_core.errors import InputError

SIDE = 16


def noise(seed: int = 0, shape: tuple[int, ...] = (SIDE, SIDE, 3), top: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, top, shape, dtype=np.uint8 if top <= 256 else np.uint16)


def loaded(folder: Path, size: int = SIDE) -> tuple[np.ndarray, str]:
    """The pixels (H, W, 3) of the only picture, and the remarks in one string."""
    found = datasets.load("image_folder", root=folder, size=size)
    return (found.images[0] * 255).round().byte().permute(1, 2, 0).numpy(), "; ".join(found.remarks)


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=-1).astype(np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(path: Path, values: np.ndarray, *chunks: bytes) -> None:
    """A PNG of 16 bits a channel; `values` (H, W, C) of grey, grey and alpha, RGB or RGBA."""
    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


# Turned as its EXIF says


def test_ordinary_pixels_are_the_files_own_without_a_remark(tmp_path: Path):
    Image.fromarray(noise()).save(tmp_path / "p.png")
    pixels, remarks = loaded(tmp_path)
    assert np.array_equal(pixels, noise())
    assert not remarks


UNDONE = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
    8: lambda p: np.rot90(p),
}


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
@pytest.mark.parametrize("orientation", UNDONE)
def test_picture_is_turned_as_its_exif_says(tmp_path: Path, orientation: int, suffix: str):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(noise()).save(tmp_path / f"p.{suffix}", exif=exif, **{"lossless": True} if suffix == "webp" else {})
    assert np.array_equal(loaded(tmp_path)[0], UNDONE[orientation](noise()))


def test_photograph_on_its_side_is_turned_before_its_square_is_cut(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.full((16, 48, 3), 120, dtype=np.uint8)
    pixels[:, 16:24] = 250
    Image.fromarray(pixels).save(tmp_path / "p.jpg", exif=exif, quality=95)
    rows = loaded(tmp_path)[0].mean(axis=(1, 2))
    assert rows[:7].min() > 230
    assert rows[9:].max() < 140


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0nonsense" * 9, b"\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_nonsense_in_the_exif_leaves_the_picture_as_it_lies(tmp_path: Path, exif: bytes):
    Image.fromarray(noise()).save(tmp_path / "p.png", exif=exif)
    assert np.array_equal(loaded(tmp_path)[0], noise())


# Over white where it is transparent


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_what_is_transparent_is_white_whatever_lies_under_it(tmp_path: Path, mode: str):
    alpha = noise(1, (SIDE, SIDE))
    image = Image.fromarray(np.dstack([np.zeros((SIDE, SIDE, 3), np.uint8), alpha]))
    image.convert(mode).save(tmp_path / ("p.tif" if mode == "PA" else "p.png"))
    pixels, remarks = loaded(tmp_path)
    assert np.abs(pixels.astype(int) - grey(255 - alpha)).max() <= 1
    assert "1 picture laid over white where transparent: p." in remarks


def test_opaque_alpha_changes_nothing(tmp_path: Path):
    Image.fromarray(np.dstack([noise(), np.full((SIDE, SIDE), 255, np.uint8)])).save(tmp_path / "p.png")
    pixels, remarks = loaded(tmp_path)
    assert np.array_equal(pixels, noise())
    assert not remarks


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P"])
def test_colour_that_is_named_as_transparent_is_white(tmp_path: Path, mode: str):
    black = noise(1, (SIDE, SIDE), 2) == 0
    image = Image.fromarray(np.where(black[..., None], 0, 250).astype(np.uint8).repeat(3, axis=-1)).convert(mode)
    clear = image.getpixel(tuple(int(n) for n in np.argwhere(black)[0][::-1]))
    image.save(tmp_path / "p.png", transparency=clear)
    pixels = loaded(tmp_path)[0]
    assert (pixels[black] == 255).all()
    assert (pixels[~black] >= 250).all()


@pytest.mark.parametrize("bits", [2, 4])
def test_transparent_grey_of_few_bits_is_white(tmp_path: Path, bits: int):
    levels = noise(1, (SIDE, SIDE), 2**bits)
    per_byte = 8 // bits
    rows = [sum(levels[:, i::per_byte].astype(int) << bits * (per_byte - 1 - i) for i in range(per_byte))][0]
    data = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in rows)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, bits, 0, 0, 0, 0)) + chunk(
        b"tRNS", struct.pack(">H", 1)
    )
    whole = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    (tmp_path / "p.png").write_bytes(whole)
    expected = np.where(levels == 1, 255, levels.astype(int) * 255 // (2**bits - 1))
    assert np.array_equal(loaded(tmp_path)[0], grey(expected))


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_colour_of_16_bits_is_white(tmp_path: Path, channels: int):
    values = noise(1, (SIDE, SIDE, channels), 65536)
    values[4:8, 4:8] = np.arange(1, channels + 1) * 0x1234
    png16(tmp_path / "p.png", values, chunk(b"tRNS", (np.arange(1, channels + 1) * 0x1234).astype(">u2").tobytes()))
    pixels = loaded(tmp_path)[0]
    assert (pixels[4:8, 4:8] == 255).all()
    assert np.array_equal(pixels[8:], np.broadcast_to(values[8:] >> 8, (8, SIDE, 3)))


def test_gif_is_its_first_frame_over_white(tmp_path: Path):
    frames = [
        Image.fromarray(np.dstack([noise(n, top=2) * 255, np.full((SIDE, SIDE), a, np.uint8)]))
        for n, a in ((1, 0), (2, 255))
    ]
    frames[0].save(tmp_path / "p.gif", save_all=True, append_images=frames[1:], disposal=2)
    pixels, remarks = loaded(tmp_path)
    assert (pixels == 255).all()
    assert "1 picture of several frames read as the first: p.gif" in remarks


# More than 8 bits


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm", "jp2"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_values_of_fewer_bits_than_their_file_has_are_scaled_by_these(tmp_path: Path, bits: int, suffix: str):
    values = noise(1, (SIDE, SIDE), 2**bits).astype(np.uint16)
    values[0, 0] = 2**bits - 1
    Image.fromarray(values).save(tmp_path / f"p.{suffix}", **{"irreversible": False} if suffix == "jp2" else {})
    pixels, remarks = loaded(tmp_path)
    assert np.array_equal(pixels, grey(values >> bits - 8))
    assert f"1 picture of 16 bits or more scaled by the {bits} bits in use: p.{suffix}" in remarks


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [12, 16])
def test_colours_and_alpha_of_16_bits_are_scaled_likewise(tmp_path: Path, bits: int, channels: int):
    values = noise(1, (SIDE, SIDE, channels), 2**bits).astype(np.uint16)
    values[0, 0, :] = 2**bits - 1
    if channels in (2, 4):
        values[..., -1] = 2**bits - 1
    png16(tmp_path / "p.png", values)
    pixels, remarks = loaded(tmp_path)
    colours = (values[..., :-1] if channels in (2, 4) else values) >> bits - 8
    assert np.array_equal(pixels, np.broadcast_to(colours, (SIDE, SIDE, 3)))
    assert ("12 bits in use" in remarks) == (bits == 12)
    assert "1 picture whose more than 8 bits are cut to 8" in remarks


@pytest.mark.parametrize("suffix", ["png", "tif", "ppm"])
def test_nothing_is_cut_of_8_bits_that_a_file_has_as_16(tmp_path: Path, suffix: str):
    values = noise(1, (SIDE, SIDE) if suffix == "tif" else (SIDE, SIDE, 3), 256).astype(np.uint16) * 257
    if suffix == "png":
        png16(tmp_path / "p.png", values)
    else:
        data = b"P6 16 16 65535\n" + values.astype(">u2").tobytes() if suffix == "ppm" else tiff(values)
        (tmp_path / f"p.{suffix}").write_bytes(data)
    pixels, remarks = loaded(tmp_path)
    assert np.array_equal(pixels, grey(values >> 8) if suffix == "tif" else values >> 8)
    assert "cut" not in remarks


def tiff(values: np.ndarray, **tags: tuple[int, int]) -> bytes:
    """A little-endian TIFF of one uncompressed strip; `tags` by number, as (type, value)."""
    height, width = values.shape[:2]
    channels = values.shape[2] if values.ndim == 3 else 1
    bits = values.dtype.itemsize * 8
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    entries = {256: (3, width), 257: (3, height), 258: (3, bits), 259: (3, 1), 262: (3, 2 if channels == 3 else 1)}
    entries |= {273: (4, 8), 277: (3, channels), 278: (3, height), 279: (4, values.nbytes), 339: (3, kind)}
    entries |= {int(tag): value for tag, value in tags.items()}
    if channels == 3:
        entries |= {258: (3, (bits,) * 3)}
    data, extra = values.astype(values.dtype.newbyteorder("<")).tobytes(), b""
    table = b""
    end = 8 + len(data) + 2 + 12 * len(entries) + 4
    for tag, (type_, value) in sorted(entries.items()):
        if isinstance(value, tuple):
            table += struct.pack("<HHII", tag, type_, len(value), end + len(extra))
            extra += struct.pack(f"<{len(value)}H", *value)
        else:
            table += struct.pack("<HHI", tag, type_, 1) + struct.pack(
                "<HH" if type_ == 3 else "<I", *([value, 0] if type_ == 3 else [value])
            )
    return (
        b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries)) + table + bytes(4) + extra
    )


def test_colours_of_12_bits_in_a_tiff_and_a_ppm_are_not_black(tmp_path: Path):
    values = noise(1, (SIDE, SIDE, 3), 4096)
    values[0, 0] = 4095
    (tmp_path / "p.tif").write_bytes(tiff(values))
    assert np.array_equal(loaded(tmp_path)[0], values >> 4)
    (tmp_path / "p.tif").unlink()
    (tmp_path / "p.ppm").write_bytes(b"P6 16 16 65535\n" + values.astype(">u2").tobytes())
    assert np.array_equal(loaded(tmp_path)[0], values >> 4)


def test_what_the_file_says_of_its_bits_comes_before_its_range(tmp_path: Path):
    dark = noise(1, (SIDE, SIDE), 300)
    dark[0, 0] = 299
    png16(tmp_path / "p.png", dark[..., None], chunk(b"sBIT", bytes([12])))
    pixels, remarks = loaded(tmp_path)
    assert np.array_equal(pixels, grey(dark >> 4))
    assert "bits in use" not in remarks
    (tmp_path / "p.png").unlink()
    (tmp_path / "p.tif").write_bytes(tiff(dark, **{"281": (3, 4095)}))
    assert np.array_equal(loaded(tmp_path)[0], grey(dark >> 4))
    (tmp_path / "p.tif").unlink()
    (tmp_path / "p.pgm").write_bytes(b"P5 16 16 4095\n" + dark.astype(">u2").tobytes())
    assert np.abs(loaded(tmp_path)[0].astype(int) - grey(dark >> 4)).max() <= 1


def test_significant_bits_where_the_png_standard_has_them_are_the_upper_ones(tmp_path: Path):
    dark = noise(1, (SIDE, SIDE), 200).astype(np.uint16)
    png16(tmp_path / "p.png", (dark << 4)[..., None], chunk(b"sBIT", bytes([12])))
    assert np.array_equal(loaded(tmp_path)[0], grey(dark >> 4))


def test_tiff_whose_smallest_value_is_white_is_no_negative(tmp_path: Path):
    values = noise(1, (SIDE, SIDE), 65536)
    (tmp_path / "p.tif").write_bytes(tiff(values, **{"262": (3, 0)}))
    assert np.array_equal(loaded(tmp_path)[0], grey(255 - (values >> 8)))


@pytest.mark.parametrize(
    ("values", "expected", "words"),
    [
        (np.linspace(0, 1, 256, dtype=np.float32), np.arange(256), ""),
        (np.linspace(0, 0.5, 256, dtype=np.float32), np.rint(np.arange(256) / 2), "real numbers rounded to 8 bits"),
        (np.arange(256, dtype=np.float32), np.arange(256), "real numbers scaled by the 8 bits"),
        (np.arange(256, dtype=np.int32), np.arange(256), "scaled by the 8 bits"),
        (np.arange(256, dtype=np.int32) * 16, np.arange(256), "scaled by the 12 bits"),
        (np.arange(256, dtype=np.float32) * 2 - 100, np.arange(256), "stretched from the smallest to the largest"),
        (np.arange(256, dtype=np.int32) * 1000 - 9, np.arange(256), "stretched from the smallest to the largest"),
        (np.arange(256, dtype=np.uint32) * (2**24), np.arange(256), "stretched from the smallest to the largest"),
        (np.arange(256, dtype=np.int16) - 128, np.arange(256), "stretched from the smallest to the largest"),
    ],
)
def test_pixels_of_32_bits_are_scaled_by_their_range(
    tmp_path: Path, values: np.ndarray, expected: np.ndarray, words: str
):
    (tmp_path / "p.tif").write_bytes(tiff(values.reshape(16, 16)))
    pixels, remarks = loaded(tmp_path)
    assert np.array_equal(pixels, grey(expected.reshape(16, 16)))
    assert words in remarks
    assert bool(words) == bool(remarks)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_refused(tmp_path: Path, value: float):
    pixels = np.full((8, 8), 0.5, dtype=np.float32)
    pixels[3, 3] = value
    Image.fromarray(pixels).save(tmp_path / "p.tif")
    with pytest.raises(
        InputError, match=r"p\.tif can't be read as an image \(it has pixels that are NaN or infinite\)"
    ):
        loaded(tmp_path)


# Shape and size


def test_extreme_shapes_flat_pictures_and_small_ones_are_named(tmp_path: Path):
    Image.fromarray(noise(1, (3000, 1, 3))).save(tmp_path / "a.png")
    Image.new("RGB", (40, 40), (200, 10, 10)).save(tmp_path / "c.png")
    Image.fromarray(noise(2, (7, 8, 3))).save(tmp_path / "e.png")
    Image.fromarray(noise(3, (8, 9, 3))).save(tmp_path / "g.png")
    for other in "bdfh":
        Image.fromarray(noise(4)).save(tmp_path / f"{other}.png")
    remarks = datasets.load("image_folder", root=tmp_path, size=8).remarks
    assert "1 picture cut to less than a quarter of it for the shape of 8 x 8: a.png" in remarks
    assert sum("smaller than 8 x 8 enlarged" in remark and "2 pictures" in remark for remark in remarks) == 1
    assert sum("of one colour, or nearly" in remark and "c.png" in remark for remark in remarks) == 1
    assert not any("g.png" in remark for remark in remarks)


def test_remarks_are_short_whatever_the_number_of_pictures(tmp_path: Path):
    for number in range(40):
        Image.fromarray(noise(number, (4, 4, 3))).save(tmp_path / f"{'n' * 200}{number}.png")
    [remark] = datasets.load("image_folder", root=tmp_path, size=8).remarks
    assert remark.startswith("20 pictures smaller than 8 x 8")
    assert remark.endswith("and 17 more")
    assert len(remark) < 400


@pytest.mark.parametrize("name", ["cifar10", "svhn"])
def test_publishers_pictures_that_are_enlarged_are_counted(name: str):
    shared = Path(__file__).parents[3] / "shared" / "data"
    root = shared / {"cifar10": "cifar-10-batches-py", "svhn": "svhn"}[name]
    if not root.exists():
        pytest.skip(f"the real data set is not at {root}")
    assert not datasets.load(name, root=root, count=5, size=32).remarks
    [remark] = datasets.load(name, root=root, count=5, size=48).remarks
    assert remark.startswith("5 pictures smaller than 48 x 48 enlarged")


# Formats


@pytest.mark.parametrize("ending", sorted(ending for ending, kind in endings().items() if kind in Image.SAVE))
def test_every_ending_that_pillow_writes_is_read(tmp_path: Path, ending: str):
    kind = endings()[ending]
    image = Image.fromarray(noise()).convert("1" if kind == "XBM" else "RGB")
    image.save(tmp_path / f"p{ending.upper()}", format=kind)
    assert loaded(tmp_path)[0].std() > 20


def test_endings_are_those_of_raster_formats():
    assert {".jpg", ".jfif", ".jpe", ".ppm", ".pgm", ".avif", ".jp2", ".tga", ".webp", ".qoi"} <= set(endings())
    assert {".eps", ".ps", ".pdf", ".wmf", ".emf", ".mpg", ".h5", ".grib"}.isdisjoint(endings())


def test_postscript_that_is_named_as_a_picture_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "gs").write_text(f"#!/bin/sh\ntouch '{tmp_path}/started'\n")
    (tools / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "pictures").mkdir()
    Image.fromarray(noise()).save(tmp_path / "pictures" / "p.png", format="EPS")
    with pytest.raises(InputError, match=r"p\.png can't be read as an image \(its format is none that is known\)"):
        loaded(tmp_path / "pictures")
    assert not (tmp_path / "started").exists()


def test_pointers_of_git_lfs_and_git_annex_say_how_to_fetch_the_picture(tmp_path: Path):
    (tmp_path / "p.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(InputError, match="git lfs pull"):
        loaded(tmp_path)
    (tmp_path / "p.png").write_text("/annex/objects/SHA256E-s9--0.png\n")
    with pytest.raises(InputError, match="git annex get"):
        loaded(tmp_path)


def test_absurdly_large_pictures_and_files_are_refused(tmp_path: Path):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    (tmp_path / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    with pytest.raises(InputError, match=r"p\.png .*decompression bomb"):
        loaded(tmp_path)
    with (tmp_path / "p.png").open("r+b") as file:
        file.truncate(2**31)
    with pytest.raises(InputError, match=r"p\.png has 2147483648 bytes"):
        loaded(tmp_path)


def test_large_photograph_brings_no_warning_of_pillows(tmp_path: Path, recwarn: pytest.WarningsRecorder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)  # a picture of 16 x 16 is above it, and below twice as much
    Image.fromarray(noise()).save(tmp_path / "p.png")
    loaded(tmp_path)
    assert not recwarn.list


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_other_colour_spaces_become_rgb(tmp_path: Path, mode: str):
    red = Image.new("RGB", (20, 20), (250, 5, 5))
    if mode == "LAB":
        from PIL import ImageCms

        to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        image = ImageCms.applyTransform(red, to_lab)
    else:
        image = red.convert(mode)
    image.save(tmp_path / "p.tif")
    pixels = loaded(tmp_path)[0].astype(int)
    assert np.abs(pixels - [250, 5, 5]).max() < 12


def test_cut_short_picture_is_named(tmp_path: Path):
    buffer = io.BytesIO()
    Image.fromarray(noise()).save(buffer, "PNG")
    (tmp_path / "p\n.png").write_bytes(buffer.getvalue()[:200])
    with pytest.raises(InputError) as caught:
        loaded(tmp_path)
    assert "\\n.png" in str(caught.value)
    assert "\n" not in str(caught.value)
