"""Crops of the public-domain and CC0 photographs that ship inside the scikit-image wheel: nothing to download."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from memrec_core.datasets.data_set import DataSet
from memrec_core.datasets.image_file import decode, pixels_of
from memrec_core.datasets.image_set import ImageSet, balanced_choice, image_set
from memrec_core.errors import InputError

PHOTOGRAPHS = (
    "astronaut.png",  # NASA, public domain
    "chelsea.png",  # Stefan van der Walt, CC0
    "coffee.png",  # Rachel Michetti, CC0
    "rocket.jpg",  # SpaceX, public domain
    "hubble_deep_field.jpg",  # NASA, public domain
    "ihc.png",  # no known copyright restrictions
)
MIN_TILE = 48
"""Least height and width of a crop in pixels of the photograph, before it is reduced; larger images take larger
crops."""
MIN_CONTRAST = 0.05
"""Crops whose channels vary less (standard deviation, range [0, 1]) are left out: sky is not much of a memory."""


def load(*, count: int | None, size: tuple[int, int], channels: int, seed: int, split: str) -> ImageSet:
    """Disjoint tiles of the photographs, reduced to `size`, (height, width); the label is the photograph.

    The tiles lie like a chess board: train crops come from its white squares and control crops from its black ones, so
    that no pixel is in both, whatever the seeds and counts.
    """
    tiles = {Path(name).stem: _tiles(name, size, split) for name in PHOTOGRAPHS}
    chosen = balanced_choice(tiles, count, seed, split, f"photos at size {_words(size)}")
    ids = [f"{label}-{left}-{top}" for label, (left, top, _) in chosen]
    pixels = [pixels_of(Image.fromarray(colours), size, channels) for _, (_, _, colours) in chosen]
    return image_set(pixels, ids, [label for label, _ in chosen])


def _tiles(name: str, size: tuple[int, int], split: str) -> list[tuple[int, int, np.ndarray]]:
    """The tiles (left, top, RGB pixels) of one photograph that belong to the split."""
    path = _folder() / name
    photograph = decode(path.read_bytes(), str(path))
    height, width = (max(MIN_TILE, side) for side in size)
    colour = ("train", "control").index(split)
    tiles = []
    for row in range(photograph.height // height):
        for column in range(photograph.width // width):
            left, top = column * width, row * height
            if (row + column) % 2 == colour:
                pixels = pixels_of(photograph.crop((left, top, left + width, top + height)), size)
                if pixels.std(axis=(0, 1)).mean() > 255 * MIN_CONTRAST:
                    tiles.append((left, top, pixels))
    return tiles


def _words(size: tuple[int, int]) -> str:
    height, width = size
    return str(height) if height == width else f"{height} x {width}"


def _folder() -> Path:
    """Where scikit-image keeps its photographs; found without importing it, which would take a second."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise InputError("data set photos needs the photographs inside scikit-image; pip install scikit-image")
    return Path(spec.origin).parent / "data"


PHOTOS = DataSet("photos", load)
