"""A job's progress for people: bars in a terminal, the same as a line now and then where there is none."""

import math
import time

from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from workflows.job.training_state import TrainingState
from workflows.run.standing import Standing, standing_note
from workflows.terminal import console, is_screen, say

LINE_EVERY_S = 10.0


class Display:
    """The progress of a whole job for the length of a block: a line for each training, and one for the recovery."""

    def __init__(self) -> None:
        self.bars: Progress | None = None
        self.tasks: dict[str, TaskID] = {}
        self.printed: dict[str, float] = {}

    def __enter__(self) -> "Display":
        if is_screen():
            columns = (_text("{task.description}"), BarColumn(10), _text("{task.fields[note]}"))
            self.bars = Progress(*columns, console=console, refresh_per_second=4)
            self.bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bars is not None:
            self.bars.stop()

    def training(self, label: str, training: TrainingState, target: float, most: int, waiting: str = "") -> None:
        """A training's step, its loss on the way down to `target`, in decades, and when it is expected there, of `most`
        steps; or what it is `waiting` for."""
        step, loss, _ = training.standing
        share = min(max(math.log10(loss) / math.log10(target), 0), 1) if 0 < loss < 1 and target < 1 else 0.0
        if waiting:
            note = f"waiting for {waiting}"
        elif step:
            note = f"step {step}, loss {loss:.1e}{_prospect(training.expected(target), target, most)}"
        else:
            note = "starting"
        self._show(f"training {label}", share, note)

    def training_ended(self, label: str) -> None:
        """Its line goes."""
        if self.bars is not None and (task := self.tasks.pop(f"training {label}", None)) is not None:
            self.bars.remove_task(task)

    def recovery(self, standing: Standing) -> None:
        """The standing of a job, as `memrec status` has it too."""
        self._show("recovery", standing.units_done / standing.units_planned, standing_note(standing))

    def _show(self, title: str, share: float, note: str) -> None:
        note = f"{100 * share:3.0f} %, {note}"
        if self.bars is not None:
            if title not in self.tasks:
                self.tasks[title] = self.bars.add_task(title, total=1, note="")
            self.bars.update(self.tasks[title], completed=share, note=note)
        elif time.monotonic() - self.printed.setdefault(title, time.monotonic()) > LINE_EVERY_S:
            self.printed[title] = time.monotonic()
            say(f"{title}: {note.strip()}")


def _prospect(expected: float | None, target: float, most: int) -> str:
    """How the note of a training ends: when it is expected at its target."""
    if expected is None:
        return ""
    if expected > most:
        return f"; as it falls now, {target:g} is not reached within max_steps, {most}"
    return f"; {target:g} is expected at about step {float(f'{expected:.2g}'):,.0f}"


def _text(of_task: str) -> TextColumn:
    """A column of a text as it is, which a narrow terminal breaks and does not cut."""
    return TextColumn(of_task, markup=False, table_column=Column(overflow="fold"))
