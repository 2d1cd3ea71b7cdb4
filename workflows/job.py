"""A run from its start to its last unit, on a Ray cluster: networks are trained, and every checkpoint's units are
recovered as soon as it exists."""

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import ray
from ray.exceptions import RayTaskError
from ray.util.metrics import Gauge

from memrec_core import diffusion_prior
from memrec_core.errors import InputError
from workflows import preflight
from workflows.audit_set import AuditSet, Catalogue, load_audit_set
from workflows.checkpoint_files import checkpoint_file, trained_checkpoints
from workflows.cluster import Cluster
from workflows.experiment import Experiment
from workflows.ledger import Ledger
from workflows.plan import Unit, load_plan, make_plan, planned_units, save_plan, survey, with_checkpoints
from workflows.pool import End, Pool
from workflows.progress import Display, console, duration
from workflows.request import Request, Steps
from workflows.sizes import unit_sizes
from workflows.store import FAILURES, PLAN, PROGRESS, Store, claim, is_claimed
from workflows.trainings import Trainings
from workflows.worker import read_weights

LOOK_S = 1.0
"""How often the job looks for new checkpoints and for nodes that have come or gone."""
KEEP_PROGRESS_S = 5.0
HELD_CHECKPOINTS = 4
"""How many checkpoints stay in the nodes' shared memory, ready for the next unit."""


@dataclass(frozen=True)
class Outcome:
    """Units with results, of how many in the plan; and by name the reason of each unit or training that failed."""

    done: int
    planned: int
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return not self.failed and self.done == self.planned


def run_job(experiment: Experiment, store: Store, request: Request, steps: Steps) -> Outcome:
    """Do what is missing of the run's steps. What fails is recorded, and does not stop the rest.

    Raises InputError for what is wrong with the experiment, its data or the run's folder, before the folder is claimed,
    and StoreError where the folder can't be written.
    """
    new = not is_claimed(store, experiment)
    if new:
        preflight.check(experiment)
    if not steps.train:
        _check_trained(experiment, store)
    if (found := _found_done(experiment, store, steps)) is not None:
        return found
    with Cluster(request, experiment) as cluster:
        prepared = ray.remote(prepare).options(num_returns=2, num_cpus=1, max_retries=5).remote(experiment)
        catalogue, prior = _get(prepared[0])
        if new:
            claim(store, experiment)
        job = _Job(experiment, store, cluster, catalogue, prior, prepared[1], steps)
        return job.run()


def prepare(experiment: Experiment) -> tuple[tuple[Catalogue, str], AuditSet]:
    """The catalogue and the digest of ddnm's prior for the driver, and the images for the nodes' shared memory."""
    audit = load_audit_set(experiment)
    prior = diffusion_prior.load(experiment.ddnm.source).digest if "ddnm" in experiment.methods else ""
    return (audit.catalogue, prior), audit


class _Job:
    def __init__(
        self,
        experiment: Experiment,
        store: Store,
        cluster: Cluster,
        catalogue: Catalogue,
        prior: str,
        audit: ray.ObjectRef,
        steps: Steps,
    ) -> None:
        self.experiment, self.store, self.cluster, self.steps = experiment, store, cluster, steps
        self.failures = _given_up(store, steps)
        self.began = time.monotonic()
        untrained = [model for model in experiment.models if _is_untrained(experiment, store, model)]
        wanted = [model for model in untrained if f"training-{model.label}" not in self.failures] if steps.train else []
        self.ledger, self.blocked = Ledger(), []
        self.weights: dict[str, ray.ObjectRef] = {}
        self.planned: list[Unit] = []
        if steps.recover:
            self.planned = self.blocked = _plan(experiment, store, cluster, catalogue, prior, audit)
        self.found = 0
        self.trainings = Trainings(
            experiment,
            store.uri,
            audit,
            cluster.training_threads(len(wanted)),
            cluster.training_resources(len(wanted)),
        )
        for model in experiment.models:
            if model not in untrained:
                console.print(f"training: {model.label} is done already", highlight=False)
        for model in wanted:
            self.trainings.start(model)
        self.pool = Pool(experiment, store.uri, audit, cluster)
        self.units_left = Gauge("memrec_units_left", "work units that are not done yet")
        self.looked = self.kept = -float("inf")
        self.recovering_since: float | None = None
        self.most_actors = 0

    def run(self) -> Outcome:
        with Display() as display:
            while self._unfinished():
                self._look()
                self._assign()
                refs = [*self.trainings.refs(), *self.pool.refs()]
                ready, _ = ray.wait(refs, num_returns=1, timeout=LOOK_S) if refs else ([], [])
                for ref in ready:
                    self._settle(ref)
                self._show(display)
        self._keep_progress("done")
        return self._outcome()

    def _unfinished(self) -> bool:
        return bool(self.trainings or self.ledger.waiting or self.ledger.at_work or self._is_first_look())

    def _is_first_look(self) -> bool:
        return self.looked == -float("inf")

    def _look(self, now: bool = False) -> None:
        """Take up units whose checkpoint has come, and fit the actors to the cluster."""
        if not now and time.monotonic() - self.looked < LOOK_S:
            return
        self.looked = time.monotonic()
        if self.blocked:
            digests = trained_checkpoints(self.experiment, self.store)
            units, self.blocked = with_checkpoints(self.blocked, digests)
            self._take_up(units)
        wanted = self.cluster.wanted_actors(len(self.trainings), self.trainings.reserved)
        if self.trainings.starting or not self.trainings:  # else idle actors wait for the next checkpoint
            wanted = min(wanted, len(self.ledger.waiting) + len(self.ledger.at_work))
        self.pool.resize(wanted if self.steps.recover else 0)
        self.most_actors = max(self.most_actors, len(self.pool))

    def _take_up(self, units: list[Unit]) -> None:
        """Give the ledger those that have no valid file yet and were not given up."""
        if not units:
            return
        seen = survey(self.store, units)
        for name in seen.stray:
            new = self.store.set_aside(name)
            console.print(
                f"set aside: {self.store.show(name)} is damaged, or not of this run's plan; it is {new} now",
                highlight=False,
                soft_wrap=True,
            )
        self.found += len(seen.done)
        if seen.done:
            console.print(f"recovery: {len(seen.done)} of {len(units)} units are done already", highlight=False)
        self.ledger.add(unit for unit in seen.left if unit.name not in self.failures)

    def _assign(self) -> None:
        while self.pool.idle and (unit := self.ledger.next(time.monotonic())) is not None:
            self.recovering_since = self.recovering_since or time.monotonic()
            self.pool.assign(unit, self._weights(unit))

    def _weights(self, unit: Unit) -> list[ray.ObjectRef]:
        """The unit's checkpoint, which lies once in each node's memory; nothing for a method that uses none."""
        if unit.target_loss is None:
            return []
        if unit.checkpoint not in self.weights:
            while len(self.weights) >= HELD_CHECKPOINTS:
                del self.weights[next(iter(self.weights))]
            task = ray.remote(read_weights).options(num_returns=2, num_cpus=0, max_retries=5)
            digest, weights = task.remote(self.store.uri, unit.model, unit.target_loss)
            _get(digest)  # a checkpoint that is damaged ends the job, in one sentence
            self.weights[unit.checkpoint] = weights
        return [self.weights[unit.checkpoint]]

    def _settle(self, ref: ray.ObjectRef) -> None:
        if ref in self.trainings.refs():
            self.trainings.settle(ref)
            finished, failed = self.trainings.take_ended()
            for model, trained in finished.items():
                console.print(
                    f"training: {model} reached {trained.loss:.1e} in {trained.step} steps, {trained.seconds:.0f} s",
                    highlight=False,
                )
                self.store.remove(f"{FAILURES}/training-{model}.json")
            for model, reason in failed.items():
                self._give_up(f"training-{model}", f"{reason} (checkpoints already reached are kept)")
            self._look(now=True)
        elif (end := self.pool.settle(ref)) is not None:
            self._account(end)

    def _account(self, end: End) -> None:
        unit = end.unit
        if end.recovered is not None:
            self.ledger.finish(unit, end.recovered.images, end.recovered.seconds)
            if self.failures.pop(unit.name, None) is not None:
                self.store.remove(f"{FAILURES}/{unit.name}.json")
            return
        self.weights.pop(unit.checkpoint, None)  # should it be the reason, it is read anew
        if self.ledger.fail(unit, end.reason, end.charged):
            self._give_up(unit.name, self.ledger.failed[unit.name])

    def _give_up(self, what: str, reason: str) -> None:
        self.failures[what] = reason
        self.store.record_failure(what, reason)

    def _show(self, display: Display) -> None:
        for model, standing in self.trainings.standings():
            display.training(model.label, standing.step, standing.loss, min(self.experiment.training.targets))
        if self.planned:
            display.recovery(self._standing())
        if time.monotonic() - self.kept > KEEP_PROGRESS_S:
            self.units_left.set(len(self.planned) - self.found - len(self.ledger.done))
            self._keep_progress("running")

    def _standing(self) -> dict[str, Any]:
        """Where the job stands, for the display and for `memrec status`."""
        seconds = time.monotonic() - (self.recovering_since or self.began)
        left = self.ledger.seconds_left(self.blocked)
        return {
            "units_done": self.found + len(self.ledger.done),
            "units_planned": len(self.planned),
            "images_recovered": self.ledger.images,
            "images_per_second": self.ledger.images / seconds,
            "seconds_left": None if left is None else left / max(len(self.pool), 1),
            "actors": len(self.pool),
            "failed": len(self.failures),
        }

    def _keep_progress(self, state: str) -> None:
        self.kept = time.monotonic()
        entry = {"state": state, "time": datetime.now(UTC).isoformat(timespec="seconds"), **self._standing()}
        self.store.write(PROGRESS, json.dumps(entry, indent=2).encode())

    def _outcome(self) -> Outcome:
        done = self.found + len(self.ledger.done)
        if self.steps.recover and self.ledger.done:
            seconds = time.monotonic() - (self.recovering_since or self.began)
            console.print(
                f"recovery: {len(self.ledger.done)} units, {self.ledger.images} recoveries in {duration(seconds)} on "
                f"{self.most_actors} actors",
                highlight=False,
            )
        return Outcome(done, len(self.planned), self.failures)


def _check_trained(experiment: Experiment, store: Store) -> None:
    digests = trained_checkpoints(experiment, store)
    for model in experiment.models:
        for target in experiment.training.targets:
            if (model.label, target) not in digests:
                name = checkpoint_file(model.label, target)
                raise InputError(f"{store.uri} has no checkpoint {name}; run memrec train or memrec run first")


def _found_done(experiment: Experiment, store: Store, steps: Steps) -> Outcome | None:
    """The outcome of a run that has nothing left to do, without starting Ray; None for any other."""
    if any(_is_untrained(experiment, store, model) for model in experiment.models):
        return None
    if not steps.recover:
        console.print(f"training: all {len(experiment.models)} networks are done already", highlight=False)
        return Outcome(0, 0)
    if not store.exists(PLAN):
        return None
    units, _ = planned_units(experiment, store)
    seen, failures = survey(store, units), {} if steps.retry_failed else store.failures()
    if seen.stray or any(unit.name not in failures for unit in seen.left):
        return None
    console.print(f"recovery: all {len(seen.done)} units are done", highlight=False)
    return Outcome(len(seen.done), len(units), failures)


def _plan(
    experiment: Experiment, store: Store, cluster: Cluster, catalogue: Catalogue, prior: str, audit: ray.ObjectRef
) -> list[Unit]:
    """The run's plan, made if there is none yet."""
    if not store.exists(PLAN):
        sizes = unit_sizes(experiment, len(catalogue), cluster, audit)
        return save_plan(store, make_plan(experiment, catalogue, sizes, prior))
    units = load_plan(store)
    if max(unit.stop for unit in units) != len(catalogue):
        raise InputError(
            f"the data set has {len(catalogue)} images now, not as many as when the plan of {store.uri} was made; "
            "restore the data, or choose another --run"
        )
    return units


def _given_up(store: Store, steps: Steps) -> dict[str, str]:
    """What earlier calls gave up, by name; with --retry-failed it is forgotten."""
    failures = store.failures()
    if not steps.retry_failed:
        return failures
    for what in failures:
        store.remove(f"{FAILURES}/{what}.json")
    return {}


def _is_untrained(experiment: Experiment, store: Store, model: Any) -> bool:
    digests = trained_checkpoints(experiment, store)
    return any((model.label, target) not in digests for target in experiment.training.targets)


def _get(ref: ray.ObjectRef) -> Any:
    """What a task returned; its InputError, if that is what it raised."""
    try:
        return ray.get(ref)
    except RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise error.cause from None
        raise
