"""One look at a run's folder: what its driver says, the losses of its trainings, and its rates so far."""

from dataclasses import dataclass, field
from typing import NamedTuple

from memrec_core.errors import InputError
from workflows.experiment.resolved import Experiment
from workflows.live.rates_so_far import Counted, RatesSoFar, Row
from workflows.run.checkpoint_files import sidecars_of
from workflows.run.heartbeat import Heartbeat
from workflows.run.identity import begun
from workflows.run.plan import planned_units
from workflows.run.run import Run
from workflows.run.store import PLAN, Store
from workflows.run.survey import survey
from workflows.run.unit import Unit

Course = dict[int, float]
"""By the step the loss."""


class Look(NamedTuple):
    """What there is at a moment: the experiment, the driver's heartbeat (None before the first), the course of each
    training that has begun, how many units are done of how many, the rates so far, and what is wrong."""

    experiment: Experiment
    driver: Heartbeat | None
    courses: dict[str, Course]
    done: int
    planned: int
    rates: dict[Row, Counted]
    wrong: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether no driver works on the run any more."""
        return self.driver is not None and (self.driver.state != "running" or self.driver.is_dead)

    @property
    def is_done(self) -> bool:
        """Whether the last driver came to its end."""
        return self.driver is not None and self.driver.state == "done"


@dataclass
class Watched:
    """A run's folder that is looked at again and again; what was seen before is not read again."""

    store: Store
    courses: dict[str, Course] = field(default_factory=dict)
    rates: RatesSoFar | None = None

    def look(self) -> Look | None:
        """What is there now; None before the run has begun. Raises InputError where something else is there."""
        experiment = begun(self.store)
        if experiment is None:
            return None
        run = Run(experiment, self.store)
        driver = Heartbeat.last(self.store)
        self._follow(run, driver)
        done, planned = self._units(run)
        self.rates = self.rates or RatesSoFar(self.store)
        rates = self.rates.update(done)
        return Look(experiment, driver, self.courses, len(done), planned, rates, self.rates.wrong)

    def _follow(self, run: Run, driver: Heartbeat | None) -> None:
        """The courses as far as they are known: from the checkpoints, and from what drivers said while one looked."""
        for _, sidecar in sidecars_of(run):
            if sidecar["loss"] is not None and "step" in sidecar:
                self.courses.setdefault(sidecar["model"], {})[int(sidecar["step"])] = float(sidecar["loss"])
        for model, course in (driver.standing.trainings if driver else {}).items():
            self.courses.setdefault(model, {}).update({int(step): float(loss) for step, loss in course})

    def _units(self, run: Run) -> tuple[list[Unit], int]:
        """The units that are done, and how many are planned."""
        try:
            if not self.store.exists(PLAN):
                return [], 0
            units, waiting = planned_units(run)
        except InputError:  # the driver changes the plan and the experiment one after the other
            return [], 0
        return survey(self.store, units, waiting).done, len(units) + len(waiting)
