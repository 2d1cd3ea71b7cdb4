"""Where a run stands: what of it is done, what is left, and what failed and why, read from its folder alone."""

from dataclasses import dataclass, field

from workflows.run.checkpoint_files import all_checkpoints, checkpoints_there
from workflows.run.heartbeat import Heartbeat
from workflows.run.images import sentences_of
from workflows.run.plan import load_plan, with_checkpoints
from workflows.run.rates_file import are_of, makers_said, mixed_words
from workflows.run.run import Run
from workflows.run.store import PLAN, PROGRESS, REPORT, Store
from workflows.run.survey import Survey, survey


@dataclass(frozen=True)
class Status:
    """Checkpoints and work units that are there, and that the experiment asks for (`units_planned` is None before there
    is a plan); whether rates and a page are written, the rates of just the units that are there.

    `driver` is what the last driver says of itself, `seconds` how long drivers have worked on the run altogether (None
    where that is not recorded), `remarks` what a reader of the figures must know of the images,
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
    seconds: float | None = None
    remarks: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def caveats_of(run: Run) -> list[str]:
    """What a reader of its rows must know, a sentence each: that units are missing, that several versions or devices
    made them, as far as rates of just these say so, and what is true of the images."""
    found = status_of(run)
    missing = found.units_planned is not None and found.units_done < found.units_planned
    part = f"Incomplete: {found.units_done:,} of {found.units_planned:,} work units are there." if missing else ""
    several = mixed_words(makers_said(run.store)) if found.has_rates else ""
    return [*filter(None, [part, several]), *found.remarks]


def status_of(run: Run, verify: bool = False) -> Status:
    """Where the run stands; to `verify`, each unit's file is looked into, and not at its name alone."""
    store, planned, seen = run.store, None, Survey([], [], [])
    digests = checkpoints_there(run)
    if store.exists(PLAN):
        units, waiting = with_checkpoints(load_plan(run).units, digests)
        planned, seen = [*units, *waiting], survey(store, units, waiting, verify)
    driver, seconds = _driver(store)
    has_rates = planned is not None and are_of(store, seen.done, len(planned))
    return Status(
        checkpoints_done=len(digests),
        checkpoints_asked=len(all_checkpoints(run.experiment)),
        units_done=len(seen.done),
        units_planned=None if planned is None else len(planned),
        recoveries_done=sum(map(len, seen.done)),
        recoveries_planned=None if planned is None else sum(map(len, planned)),
        has_rates=has_rates,
        has_page=has_rates and store.is_file(REPORT),
        driver=driver,
        seconds=seconds,
        remarks=sentences_of(run),
        stray=seen.stray,
        failures=store.failures(),
    )


def _driver(store: Store) -> tuple[str, float | None]:
    """What the driver said last, and whether it lives; and how long all of them have worked."""
    if not store.exists(PROGRESS):
        return "", None
    try:
        beat = Heartbeat.of(store.read(PROGRESS))
        return beat.says(), beat.seconds_worked
    except (ValueError, TypeError):
        return f"{store.show(PROGRESS)} is damaged; the next driver writes it anew", None
