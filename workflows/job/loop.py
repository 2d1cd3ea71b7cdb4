"""The loop of a job on a Ray cluster: it gives units to actors, and tells the job's state what became of them."""

import time
from collections.abc import Mapping, Sequence

import ray
from ray.util.metrics import Gauge

from workflows.duration import duration
from workflows.experiment.models import TrainedModel
from workflows.job.cluster import Audits, Cluster
from workflows.job.display import Display
from workflows.job.pool import Attempt, Pool
from workflows.job.pulse import Pulse
from workflows.job.request import Steps
from workflows.job.state import TRAINING, Crew, JobState, Outcome
from workflows.job.training_pool import TrainingEnd, TrainingPool
from workflows.job.weights import WeightsInMemory
from workflows.run.checkpoint_files import Checkpoint, anew, checkpoints_there
from workflows.run.compacted import drop_compacted, keep_compacted
from workflows.run.plan import with_checkpoints
from workflows.run.rates_file import forget_others
from workflows.run.run import Run
from workflows.run.survey import Survey, fault_of, is_done, outlook, survey
from workflows.run.unit import Unit
from workflows.terminal import say

LOOK_S = 1.0
"""How often the job looks for new checkpoints and for nodes that have come or gone."""


class Loop:
    """A job at work: its state, and what of Ray, the run's folder and the screen goes with it."""

    def __init__(
        self,
        run: Run,
        cluster: Cluster,
        audits: Audits,
        planned: Sequence[Unit],
        digests: Mapping[Checkpoint, str],
        steps: Steps,
        pulse: Pulse,
    ) -> None:
        self.run, self.store, self.cluster, self.steps, self.pulse = run, run.store, cluster, steps, pulse
        self.planned, self.digests = planned, digests
        targets = run.experiment.training.targets
        self.models: dict[str, TrainedModel] = {model.label: model for model in run.experiment.trained_models}
        ladders = {name: [(name, loss) for loss in model.ladder(targets)] for name, model in self.models.items()}
        self.state = JobState(planned, self.store.failures(), ladders)
        self.weights, self.pool = WeightsInMemory(run), Pool(run, audits, cluster)
        self.trainings = TrainingPool(run, audits, cluster)
        self.display, self.looked_at = Display(), 0.0
        self.units_left = Gauge("memrec_units_left", "work units that are not done yet")
        self.checkpoint_may_have_come = True
        """Whether a checkpoint may have come since the last look."""

    def until_done(self) -> Outcome:
        """Do what is to be done. Raises what ends the whole job."""
        units = self.state.unblock(self.digests)
        if self.steps.train:
            self._start_trainings()
        with self.display:
            self._survey_all(units)
            self._look()
            while not self.state.is_over:
                self._assign()
                self._settle_ended()
                if time.monotonic() - self.looked_at > LOOK_S:
                    self._look()
        return self._end()

    def abandon(self) -> None:
        """End all that is at work, so that another job can begin."""
        self.pool.close()
        self.trainings.close()

    def _start_trainings(self) -> None:
        wanted, done = self.state.start_trainings()
        for name in done:
            say(f"training: {name} is done already")
        for name in wanted:
            if sentence := anew(self.models[name], self.run.experiment.training.targets, self.digests):
                say(f"training: {sentence}")
        self.trainings.start([self.models[name] for name in wanted])
        self._record_failures()

    def _survey_all(self, units: list[Unit]) -> None:
        """See what of the run is there, and say what is to do; `units` are not blocked."""
        if self.planned:
            blocked = [unit for some in self.state.blocked.values() for unit in some]
            seen = survey(self.store, units, blocked, self.steps.verify)
            say(f"recovery: {outlook(seen.done, [*seen.left, *blocked])}")
            keep_compacted(self.store, seen.done, [*seen.left, *blocked])
            forget_others(self.store, seen.done)
            self._take_up(seen, units)

    def _look(self) -> None:
        """Take up units whose checkpoint has come, fit the actors to the cluster, and show where the job stands."""
        self.looked_at = time.monotonic()
        if self.state.blocked and self.checkpoint_may_have_come:
            self._unblock()
        self.checkpoint_may_have_come = bool(self.trainings)
        for model, standing in self.trainings.answers():
            self._say_remark(model.label, standing.remark)
            self.state.trainings[model.label].note(standing)
        self.pool.resize(self.state.wanted_actors(self.cluster.wanted_actors(self.trainings.reserved)))
        self.state.most_actors = max(self.state.most_actors, self.pool.ready)
        self._show()

    def _unblock(self) -> None:
        units = self.state.unblock(checkpoints_there(self.run, self.state.digests))
        if units:
            self._take_up(survey(self.store, units, verify=self.steps.verify), units)

    def _take_up(self, seen: Survey, units: list[Unit]) -> None:
        self._set_aside(seen.stray, units)
        self.state.take_up(seen.done, seen.left)
        self._record_failures()

    def _set_aside(self, stray: list[str], units: list[Unit]) -> None:
        """Move what does not belong among the results out of the way; another driver may have mended it meanwhile."""
        by_file = {unit.file: unit for unit in units}
        for name in stray:
            if name in by_file and is_done(self.store, by_file[name], self.steps.verify):
                continue
            fault = fault_of(self.store, name)
            say(f"set aside: {self.store.show(name)} {fault}; it is {self.store.set_aside(name)} now")

    def _assign(self) -> None:
        while self.pool.idle and (unit := self.state.next(time.monotonic())) is not None:
            self.pool.assign(unit, self.weights.of(unit))
            self.state.most_actors = max(self.state.most_actors, self.pool.ready)
        if (following := self.state.following) is not None:
            self.weights.of(following)  # read ahead

    def _settle_ended(self) -> None:
        """Wait for something to end, for LOOK_S at the most, and take note of all that has."""
        # A checkpoint first: one that is damaged is why the units that wait for it fail.
        refs = [*self.weights.refs(), *self.trainings.refs(), *self.pool.refs()]
        if not refs:
            time.sleep(LOOK_S)
            return
        ray.wait(refs, num_returns=1, timeout=LOOK_S)
        ended, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        weights, trainings = set(self.weights.refs()), set(self.trainings.refs())
        for ref in ended:
            if ref in weights:
                self.weights.settle(ref)
            elif ref in trainings:
                self._account_training(self.trainings.settle(ref))
            elif (attempt := self.pool.settle(ref)) is not None:
                self._account_unit(attempt)
            self._record_failures()

    def _account_training(self, end: TrainingEnd) -> None:
        name, trained, reason = end.model.label, end.trained, end.reason
        if reason is not None and end.broken_off:
            reason = self.state.trainings[name].break_off(reason)
            if reason is None:
                self.trainings.go_on(end.model)
                return
        if reason is not None:
            say(f"training: {name} failed: {reason}")
        if trained is not None:
            self._say_remark(name, trained.remark)
            say(f"training: {name} reached {trained.loss:.1e} in {trained.step} steps, {trained.seconds:.0f} s")
        self.state.end_training(name, reason)
        self.trainings.end(end.model)
        self.display.training_ended(name)
        self._record_failures()
        self.checkpoint_may_have_come = True
        self._look()

    def _say_remark(self, name: str, remark: str) -> None:
        if remark := self.state.trainings[name].heard(remark):
            say(f"training: {remark}")

    def _account_unit(self, attempt: Attempt) -> None:
        unit, recovered = attempt.unit, attempt.recovered
        if recovered is not None:
            self.state.finish(unit, recovered.images, recovered.seconds)
            self.pool.abandon(unit)
        else:
            self.weights.drop(unit)
            self.state.fail(unit, attempt.reason, attempt.charged)

    def _record_failures(self) -> None:
        for what, reason in self.state.changed_failures().items():
            if reason is None:
                self.store.forget_failure(what)
            else:
                self.store.record_failure(what, reason)

    def _show(self) -> None:
        crew = self._crew()
        self.pulse.standing = standing = self.state.standing(time.monotonic(), crew)
        target = min(self.run.experiment.training.targets)
        for name, training in self.state.trainings.items():
            waiting = standing.waiting if crew.missing else ""
            self.display.training(name, training, target, self.run.experiment.training.max_steps, waiting)
        if self.planned:
            self.display.recovery(standing)
            self.units_left.set(standing.units_planned - standing.units_done)

    def _crew(self) -> Crew:
        missing = "" if self.cluster.has_room() else f"a node with room for {self.cluster.actor_words()}"
        return Crew(self.pool.ready, len(self.pool.starting), missing)

    def _end(self) -> Outcome:
        now, recovered = time.monotonic(), self.state.ledger
        self.pulse.standing = self.state.standing(now, self._crew())
        outcome = self.state.outcome(now, "" if self.steps.recover else TRAINING)
        if recovered.done:
            named, _ = with_checkpoints(self.planned, self.state.digests)
            drop_compacted(self.store, [unit.file for unit in named if unit.name in recovered.done])
            say(
                f"recovery: {len(recovered.done)} units, {recovered.images} recoveries in "
                f"{duration(outcome.seconds)} on {self.state.most_actors} actors"
            )
        return outcome
