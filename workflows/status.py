"""What of a run is done, what is left, and what failed and why: read from the run's folder alone."""

from rich.table import Table

from workflows.experiment import Experiment
from workflows.plan import load_plan, remaining
from workflows.progress import console
from workflows.store import CHECKPOINTS, PLAN, RATES, REPORT, Store


def print_status(experiment: Experiment, store: Store) -> None:
    """Print a line for each step of the run, then the failed units."""
    table = Table(title=f"{experiment.name}: {store.uri}", title_justify="left")
    for title in ("step", "done", "left"):
        table.add_column(title, justify="left" if title == "step" else "right")
    wanted = len(experiment.models) * len(experiment.training.targets)
    trained = len(store.names(CHECKPOINTS, ".json"))
    table.add_row("checkpoints", str(trained), str(wanted - trained))
    if store.exists(PLAN):
        units = load_plan(store)
        left = len(remaining(store, units))
        table.add_row("recovery units", str(len(units) - left), str(left))
    else:
        table.add_row("recovery units", "0", "not planned yet")
    for title, file in (("rates", RATES), ("page", REPORT)):
        done = store.exists(file)
        table.add_row(title, "1" if done else "0", "0" if done else "1")
    console.print(table)
    for unit, reason in store.failures().items():
        console.print(f"failed: unit {unit}: {reason}", highlight=False, markup=False, soft_wrap=True)
