"""Sheets: all pictures of an image as tiles of one lossless WebP, each once, however often it came out."""

import base64
import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

COLUMNS = 16
"""Tiles beside each other. All sheets of a page have as many rows, so that a tile's place is the same in each."""
MOST_SIDE = 128
"""Pixels of a tile's side; what is larger is drawn smaller."""
MOST_TILES = COLUMNS * 120
"""WebP has no side above 16,383 pixels."""
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

    @property
    def rows(self) -> int:
        return -(-len(self.tiles) // COLUMNS)

    def drawn(self, rows: int) -> "Drawn":
        """The sheet, with so many rows."""
        pictures = [_opened(png) for png in self.tiles]
        width, height = pictures[0].size
        mode = "RGBA" if any(picture.mode in ("LA", "RGBA") for picture in pictures) else "RGB"
        sheet = Image.new(mode, (COLUMNS * width, rows * height))
        for place, picture in enumerate(pictures):
            sheet.paste(picture.convert(mode), (place % COLUMNS * width, place // COLUMNS * height))
        buffer = io.BytesIO()
        sheet.save(buffer, "WEBP", lossless=True, quality=75, method=4, exact=True)
        return Drawn("data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode(), width, height)


class Drawn:
    """A sheet as a data URI, and the width and height of a tile."""

    def __init__(self, uri: str, width: int, height: int) -> None:
        self.uri, self.width, self.height = uri, width, height


def _opened(png: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(png))
    picture.load()
    picture.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.BOX)
    return picture
