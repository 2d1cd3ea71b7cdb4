"""Where a run stands: what of it is done, what is left, and what failed and why, read from its folder alone."""

from dataclasses import dataclass, field

from workflows.run.checkpoint_files import all_checkpoints, checkpoints_there
from workflows.run.heartbeat import Heartbeat
from workflows.run.images import sentences_of
from workflows.run.plan import load_plan, with_checkpoints
from workflows.run.run import Run
from workflows.run.store import PLAN, PROGRESS, RATES, REPORT, Store
from workflows.run.survey import Survey, survey


@dataclass(frozen=True)
class Status:
    """Checkpoints and work units that are there, and that the experiment asks for (`units_planned` is None before there
    is a plan); whether the rates and the page are written.

    `driver` is what the last driver says of itself, `remarks` what a reader of the figures must know of the images,
    `stray` what lies among the results and is no unit's, and `failures` why units and trainings were given up, by name.
    """

    checkpoints_done: int
    checkpoints_asked: int
    units_done: int
    units_planned: int | None
    recoveries_done: int
    recoveries_planned: int | None
    has_rates: bool
    has_page: bool
    driver: str = ""
    remarks: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def status_of(run: Run, verify: bool = False) -> Status:
    """Where the run stands; to `verify`, each unit's file is looked into, and not at its name alone."""
    store, planned, seen = run.store, None, Survey([], [], [])
    digests = checkpoints_there(run)
    if store.exists(PLAN):
        units, waiting = with_checkpoints(load_plan(run).units, digests)
        planned, seen = [*units, *waiting], survey(store, units, waiting, verify)
    return Status(
        checkpoints_done=len(digests),
        checkpoints_asked=len(all_checkpoints(run.experiment)),
        units_done=len(seen.done),
        units_planned=None if planned is None else len(planned),
        recoveries_done=sum(map(len, seen.done)),
        recoveries_planned=None if planned is None else sum(map(len, planned)),
        has_rates=store.is_file(RATES),
        has_page=store.is_file(REPORT),
        driver=_driver(store) if store.exists(PROGRESS) else "",
        remarks=sentences_of(run),
        stray=seen.stray,
        failures=store.failures(),
    )


def _driver(store: Store) -> str:
    """What the driver said last, and whether it lives."""
    try:
        return Heartbeat.of(store.read(PROGRESS)).says()
    except (ValueError, TypeError):
        return f"{store.show(PROGRESS)} is damaged; the next driver writes it anew"
