"""Tables of the page, as the macro `ui.table` draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """A cell's text; what it is sorted by, where that is another; its key among what a slider changes; its link."""

    text: str
    sort: float | str | None = None
    key: str | None = None
    link: str | None = None


@dataclass(frozen=True)
class Table:
    """A table: the first `heads` cells of each row name it.

    Args:
        caption: what it is of.
        columns: their titles.
        rows: text, or cells that are sorted by something else.
        heads: how many columns name a row.
        sortable: whether its columns are buttons that sort it.
        name: its id on the page, where it has one.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    heads: int = 1
    sortable: bool = False
    name: str = ""

    @property
    def cells(self) -> list[list[Cell]]:
        return [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in self.rows]


def json_text(value: Any) -> str:
    """JSON as a script element may hold it: nothing in it ends the element, and no line separator ends a line."""
    import json

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
