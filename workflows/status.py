"""What of a run is done, what is left, and what failed and why: read from the run's folder alone."""

from rich.table import Table

from workflows.experiment.resolved import Experiment
from workflows.job.heartbeat import Heartbeat
from workflows.run.checkpoint_files import all_checkpoints, checkpoints_there
from workflows.run.images import sentences_of
from workflows.run.plan import planned_units
from workflows.run.store import PLAN, PROGRESS, RATES, REPORT, Store
from workflows.run.survey import survey
from workflows.terminal import console, say


def print_status(experiment: Experiment, store: Store) -> None:
    """Print a line for each step of the run, what its driver does, and then what failed."""
    say(f"{experiment.name}: {store.uri}")
    table = Table()
    for title in ("step", "done", "left"):
        table.add_column(title, justify="left" if title == "step" else "right")
    digests = checkpoints_there(experiment, store)
    wanted = len(all_checkpoints(experiment))
    table.add_row("checkpoints", str(len(digests)), str(wanted - len(digests)))
    seen = None
    if store.exists(PLAN):
        units, waiting = planned_units(experiment, store)
        seen = survey(store, units, waiting)
        table.add_row("recovery units", str(len(seen.done)), str(len(seen.left) + len(waiting)))
    else:
        table.add_row("recovery units", "0", "not planned yet")
    for title, file in (("rates", RATES), ("page", REPORT)):
        done = store.is_file(file)
        table.add_row(title, "1" if done else "0", "0" if done else "1")
    console.print(table)
    if store.exists(PROGRESS):
        say(_driver(store))
    for sentence in sentences_of(store):
        say(sentence)
    for name in seen.stray if seen else []:
        say(f"damaged, or not of this run's plan: {name}")
    for what, reason in store.failures().items():
        say(f"failed: {what}: {reason}")


def _driver(store: Store) -> str:
    """What the driver said last, and whether it lives."""
    try:
        return Heartbeat.of(store.read(PROGRESS)).says()
    except (ValueError, TypeError):
        return f"{store.show(PROGRESS)} is damaged; the next driver writes it anew"
