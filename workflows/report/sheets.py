"""Sheets: all pictures of an image as tiles of one lossless WebP, each once, however often it came out."""

import base64
import io
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from PIL import Image

COLUMNS = 16
"""Tiles beside each other, more where there would be too many rows."""
MOST_SIDE = 128
"""Pixels of a tile's side; what is larger is drawn smaller."""
MOST_ROWS = 16_383 // MOST_SIDE
"""WebP has no side of more pixels."""
PER_PNG = 0.6
"""How many bytes a tile takes on a sheet, of those that its PNG had, about."""


class Sheet:
    """The tiles of one image, from PNG files: the first is the original."""

    def __init__(self) -> None:
        self.tiles: dict[bytes, int] = {}

    def place(self, picture: Mapping[str, Any] | None) -> int:
        """The tile of a picture of the results; -1 where there is none."""
        if picture is None:
            return -1
        return self.tiles.setdefault(picture["bytes"], len(self.tiles))

    @property
    def bytes(self) -> float:
        """What it will take on the page, about."""
        return PER_PNG * sum(map(len, self.tiles)) * 4 / 3

    def drawn(self, grid: "Grid") -> "Drawn":
        """The sheet, on that grid."""
        pictures = [_opened(png) for png in self.tiles]
        width, height = pictures[0].size
        mode = "RGBA" if any(picture.mode in ("LA", "RGBA") for picture in pictures) else "RGB"
        sheet = Image.new(mode, (grid.columns * width, grid.rows * height))
        for place, picture in enumerate(pictures):
            row, column = divmod(place, grid.columns)
            sheet.paste(picture.convert(mode), (column * width, row * height))
        buffer = io.BytesIO()
        sheet.save(buffer, "WEBP", lossless=True, quality=75, method=4, exact=True)
        return Drawn("data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode(), width, height)


class Grid(NamedTuple):
    """The tiles beside and below each other. All sheets of a page have the same, so that a tile's place is the same in
    each."""

    columns: int
    rows: int

    @classmethod
    def of(cls, tiles: int) -> "Grid":
        """One for so many tiles."""
        columns = max(COLUMNS, math.ceil(tiles / MOST_ROWS))
        return cls(columns, math.ceil(tiles / columns))

    def position(self, tile: int) -> str:
        """A tile's place as a CSS background-position, which is of what is left of the sheet beside the tile."""
        row, column = divmod(tile, self.columns)
        return f"{100 * column / (self.columns - 1):.6g}% {100 * row / max(self.rows - 1, 1):.6g}%"


class Drawn(NamedTuple):
    """A sheet as a data URI, and the width and height of a tile."""

    uri: str
    width: int
    height: int


def _opened(png: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(png))
    picture.load()
    picture.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.BOX)
    return picture
