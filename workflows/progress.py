"""Progress for people: bars in a terminal, a line now and then where there is none."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console()
LINE_EVERY_S = 10.0


class Bar:
    """One task's progress, from 0 to `total`, with a note on where it stands."""

    def __init__(self, title: str, total: float, bars: Progress | None) -> None:
        self.title, self.total, self.bars = title, total, bars
        self.task = bars.add_task(title, total=total, note="") if bars else None
        self.last_line = time.monotonic()

    def update(self, done: float, note: str) -> None:
        if self.bars is not None and self.task is not None:
            self.bars.update(self.task, completed=done, note=note)
        elif time.monotonic() - self.last_line > LINE_EVERY_S:
            self.last_line = time.monotonic()
            console.print(f"{self.title}: {100 * done / self.total:.0f} %, {note}", highlight=False)


@contextmanager
def progress_bar(title: str, total: float) -> Iterator[Bar]:
    """A bar for the length of the block."""
    if not console.is_terminal:
        yield Bar(title, total, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as bars:
        yield Bar(title, total, bars)
