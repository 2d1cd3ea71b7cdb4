"""Where a run stands, for a terminal."""

from rich.table import Table

from workflows.duration import duration
from workflows.run.opened import OpenRun
from workflows.terminal import console, say


def print_status(run: OpenRun, verify: bool = False) -> None:
    """Print a line for each step of the run, what its driver does, and then what failed."""
    status = run.status(verify)
    say(f"{run.experiment.name}: {run.store.uri}")
    table = Table()
    for title in ("step", "done", "left"):
        table.add_column(title, justify="left" if title == "step" else "right")
    table.add_row("checkpoints", *_counts(status.checkpoints_done, status.checkpoints_asked))
    table.add_row("recovery units", *_counts(status.units_done, status.units_planned))
    table.add_row("rates", *_counts(int(status.has_rates), 1))
    table.add_row("page", *_counts(int(status.has_page), 1))
    console.print(table)
    worked = "" if status.seconds is None else f"drivers have worked on it for {duration(status.seconds)} altogether"
    for sentence in filter(None, [status.driver, worked, *status.remarks]):
        say(sentence)
    for name in status.stray:
        say(f"damaged, or not of this run's plan: {name}")
    for what, reason in status.failures.items():
        say(f"failed: {what}: {reason}")


def _counts(done: int, asked: int | None) -> tuple[str, str]:
    """What is done and what is left."""
    return str(done), "not planned yet" if asked is None else str(asked - done)
