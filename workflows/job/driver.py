"""A run from its start to its last unit, on a Ray cluster: networks are trained, and every checkpoint's units are
recovered as soon as it exists."""

import time
from dataclasses import dataclass, field
from functools import partial

import ray
from ray.util.metrics import Gauge

from memrec_core import diffusion_prior
from memrec_core.errors import InputError
from workflows.errors import CheckpointError
from workflows.experiment.methods import source_of
from workflows.experiment.models import Model
from workflows.experiment.resolved import Experiment
from workflows.job.cluster import Audits, Cluster
from workflows.job.display import Display
from workflows.job.ledger import Ledger
from workflows.job.pool import End, Pool
from workflows.job.pulse import Pulse
from workflows.job.request import Request, Steps
from workflows.job.sizes import unit_sizes
from workflows.job.tasks import start, wait_for
from workflows.job.training_pool import TrainingEnd, TrainingPool
from workflows.job.weights import WeightsInMemory
from workflows.run.audit_set import AuditSet, load_audit_set
from workflows.run.catalogue import Catalogue
from workflows.run.checkpoint_files import (
    Checkpoint,
    all_checkpoints,
    checkpoint_file,
    checkpoints_there,
    set_checkpoint_aside,
    set_damaged_aside,
)
from workflows.run.compacted import drop_compacted, keep_compacted
from workflows.run.growth import growth_of, keep_grown, settle
from workflows.run.identity import asks_for_the_same, begun, claim
from workflows.run.images import catalogues_of, check_still_there, check_trained_on, keep_catalogues
from workflows.run.plan import load_plan, with_checkpoints
from workflows.run.run import Run
from workflows.run.standing import Standing
from workflows.run.store import FAILURES, PLAN, Store
from workflows.run.survey import Survey, fault_of, is_done, outlook, survey
from workflows.run.unit import Kind, Unit
from workflows.terminal import duration, say
from workflows.work import preflight
from workflows.work.given import keep_given

LOOK_S = 1.0
"""How often the job looks for new checkpoints and for nodes that have come or gone."""
TRAINING = "training-"
"""How the names of failed trainings begin; those of units are hexadecimal."""


@dataclass(frozen=True)
class Outcome:
    """Units with results, of how many in the plan; by name the reason of each unit or training that failed; and how
    long the recovery took, in seconds from its first unit to its end."""

    done: int
    planned: int
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        return not self.failed and self.done == self.planned


def run_job(run: Run, request: Request, steps: Steps) -> Outcome:
    """Do what is missing of the run's steps. What fails is recorded, and does not stop the rest.

    Raises InputError for what is wrong with the experiment, its data or the run's folder, before the folder is claimed,
    and JobError where the job can't go on.
    """
    store, then = run.store, begun(run.store)
    if then is None or not asks_for_the_same(then, run.experiment):
        preflight.check(run.experiment)
    if steps.train:
        for sentence in set_damaged_aside(run):
            say(sentence)
    digests = checkpoints_there(run)
    if not steps.train:
        _check_trained(run, digests)
    if steps.retry_failed:
        for what in store.failures():
            if steps.train if what.startswith(TRAINING) else steps.recover:
                store.remove(f"{FAILURES}/{what}.json")
    if then is not None and (found := _found_done(run, then, steps, digests)) is not None:
        return found
    with Pulse(store) as pulse:
        if then is not None:
            pulse.begin()
        pulse.standing = Standing("connecting to Ray" if request.address else "starting Ray")
        with Cluster(request, run.experiment) as cluster:
            return _run_on(cluster, run, then, digests, steps, pulse)


def _run_on(
    cluster: Cluster,
    run: Run,
    then: Experiment | None,
    digests: dict[Checkpoint, str],
    steps: Steps,
    pulse: Pulse,
) -> Outcome:
    """Do the job on a cluster, of a run that was of another experiment `then`; holds nothing of Ray's once it
    returns."""
    pulse.standing = Standing("reading the images")
    catalogues, audits = _read_images(run)
    for sentence in (one for label, catalogue in catalogues.items() for one in catalogue.sentences(label)):
        say(sentence)
    for sentence in run.experiment.left_out() if steps.recover else ():
        say(sentence)
    if then is None:
        claim(run)
    keep_catalogues(run.store, catalogues)
    keep_given(run, catalogues)
    check_trained_on(run, catalogues)
    pulse.standing = Standing("planning" if steps.recover else "training")
    pulse.begin()
    planned: list[Unit] = []
    if steps.recover or run.store.exists(PLAN):
        planned = _plan(run, then or run.experiment, cluster, catalogues, audits, digests)
    claim(run)
    replaced: set[Checkpoint] = set()
    while True:
        job = _Job(run, cluster, audits, planned if steps.recover else [], digests, steps, pulse)
        try:
            return job.run()
        except CheckpointError as error:
            job.abandon()
            _make_way(error, run.store, steps, replaced)
            keep_given(run, catalogues)
            digests = checkpoints_there(run)


def _read_images(run: Run) -> tuple[dict[str, Catalogue], Audits]:
    """The images of the data sets, by their labels: what is known of them, and where they lie."""
    kept, read = catalogues_of(run.store), {}
    for data in run.experiment.data:
        what, work = (
            f"reading the images of data set {data.label}",
            partial(read_images, run.experiment, data.label, kept.get(data.label), run.store.uri),
        )
        read[data.label] = start(what, work, num_returns=2, num_cpus=1)
    catalogues = dict(zip(read, wait_for(list(read.values())), strict=True))
    return catalogues, {label: task.refs[1] for label, task in read.items()}


def _make_way(error: CheckpointError, store: Store, steps: Steps, replaced: set[Checkpoint]) -> None:
    """Set a damaged checkpoint aside, so that it is trained again, once. Raises what ends the job otherwise."""
    checkpoint = (error.model, error.target)
    if not steps.train:
        raise InputError(f"{error}; memrec run sets it aside, and makes it again") from error
    if checkpoint in replaced:
        raise error
    replaced.add(checkpoint)
    say(f"{error}: {set_checkpoint_aside(store, *checkpoint)}")


def read_images(experiment: Experiment, label: str, kept: Catalogue | None, run: str) -> tuple[Catalogue, AuditSet]:
    """A data set's catalogue for the driver, and its images for the nodes' shared memory. The experiment comes with it,
    whatever the data set: it may import the code that reads it."""
    audit = load_audit_set(experiment.data_set(label), experiment.seed, kept, run)
    return audit.catalogue, audit


def read_prior(prior: str) -> str:
    """The digest of a diffusion model."""
    return diffusion_prior.load(source_of(prior)).digest


class _Job:
    """The driver's loop. `blocked` are the units whose checkpoint is not there yet."""

    def __init__(
        self,
        run: Run,
        cluster: Cluster,
        audits: Audits,
        planned: list[Unit],
        digests: dict[Checkpoint, str],
        steps: Steps,
        pulse: Pulse,
    ) -> None:
        self.pulse = pulse
        self.of_run, self.experiment, self.store = run, run.experiment, run.store
        self.cluster, self.planned, self.steps = cluster, planned, steps
        self.failures = self.store.failures()
        self.digests, self.blocked, self.already_done = digests, planned, 0
        self.checkpoint_may_have_come = True
        """Whether a checkpoint may have come since the last look."""
        self.ledger = Ledger()
        self.weights = WeightsInMemory(run)
        self.pool = Pool(run, audits, cluster)
        self.trainings = TrainingPool(run, audits, cluster)
        self.display = Display()
        self.units_left = Gauge("memrec_units_left", "work units that are not done yet")
        self.recovering_since: float | None = None
        self.looked_at, self.most_actors = 0.0, 0
        if steps.train:
            self._start_trainings()

    def run(self) -> Outcome:
        with self.display:
            self._look_at_all()
            self._look()
            while self.trainings or self.ledger.waiting or self.ledger.at_work:
                self._assign()
                self._settle_all()
                if time.monotonic() - self.looked_at > LOOK_S:
                    self._look()
        self.pulse.standing = self._standing()
        return self._outcome()

    def abandon(self) -> None:
        """End all that is at work, so that another job can begin."""
        self.pool.close()
        self.trainings.close()

    def _start_trainings(self) -> None:
        wanted = []
        for model in self.experiment.trained_models:
            if all((model.label, target) in self.digests for target in model.ladder(self.experiment.training.targets)):
                self._forget_failure(training_name(model))
                say(f"training: {model.label} is done already")
            elif training_name(model) not in self.failures:
                wanted.append(model)
        self.trainings.start(wanted)

    def _look_at_all(self) -> None:
        """See what of the run is there, and say what is to do."""
        units, self.blocked = with_checkpoints(self.planned, self.digests)
        if self.planned:
            seen = survey(self.store, units, self.blocked, self.steps.verify)
            say(f"recovery: {outlook(seen.done, [*seen.left, *self.blocked])}")
            keep_compacted(self.store, seen.done, [*seen.left, *self.blocked])
            self._take_up(seen, units)

    def _look(self) -> None:
        """Take up units whose checkpoint has come, fit the actors to the cluster, and show where the job stands."""
        self.looked_at = time.monotonic()
        if self.blocked and self.checkpoint_may_have_come:
            self.digests = checkpoints_there(self.of_run, self.digests)
            units, self.blocked = with_checkpoints(self.blocked, self.digests)
            if units:
                self._take_up(survey(self.store, units, verify=self.steps.verify), units)
            if not self.blocked:
                self._forget_strangers()
        self.checkpoint_may_have_come = bool(self.trainings)
        wanted = self.cluster.wanted_actors(self.trainings.reserved)
        if self.trainings.starting or not self.trainings:  # else idle actors wait for the next checkpoint
            wanted = min(wanted, len(self.ledger.waiting) + 2 * len(self.ledger.at_work))  # two: for slow ones' copies
        self.pool.resize(wanted if self.planned else 0)
        self.most_actors = max(self.most_actors, self.pool.ready)
        self._show()

    def _take_up(self, seen: Survey, units: list[Unit]) -> None:
        """Give the ledger those of the units that have no file yet and were not given up."""
        self._set_aside(seen.stray, units)
        self.already_done += len(seen.done)
        for unit in seen.done:
            self._forget_failure(unit.name)
        self.ledger.add(unit for unit in seen.left if unit.name not in self.failures)

    def _set_aside(self, stray: list[str], units: list[Unit]) -> None:
        """Move what does not belong among the results out of the way; another driver may have mended it meanwhile."""
        by_file = {unit.file: unit for unit in units}
        for name in stray:
            if name in by_file and is_done(self.store, by_file[name], self.steps.verify):
                continue
            fault = fault_of(self.store, name)
            say(f"set aside: {self.store.show(name)} {fault}; it is {self.store.set_aside(name)} now")

    def _assign(self) -> None:
        while self.pool.idle and (unit := self.ledger.next(time.monotonic())) is not None:
            self.recovering_since = self.recovering_since or time.monotonic()
            self.pool.assign(unit, self.weights.of(unit))
            self.most_actors = max(self.most_actors, self.pool.ready)
        if self.ledger.waiting:
            self.weights.of(self.ledger.waiting[0])  # read ahead

    def _settle_all(self) -> None:
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
            elif (end := self.pool.settle(ref)) is not None:
                self._account_unit(end)

    def _account_training(self, end: TrainingEnd | None) -> None:
        if end is None:
            return
        label, trained = end.model.label, end.trained
        self.display.training_ended(label)
        if trained is None:
            self._give_up(training_name(end.model), f"{end.reason} (checkpoints already reached are kept)")
        else:
            say(f"training: {label} reached {trained.loss:.1e} in {trained.step} steps, {trained.seconds:.0f} s")
        self.checkpoint_may_have_come = True
        self._look()

    def _account_unit(self, end: End) -> None:
        unit = end.unit
        if end.recovered is not None:
            self.ledger.finish(unit, end.recovered.images, end.recovered.seconds)
            self.pool.abandon(unit)
            self._forget_failure(unit.name)
            return
        self.weights.drop(unit)
        if (reason := self.ledger.fail(unit, end.reason, end.charged)) is not None:
            self._give_up(unit.name, reason)

    def _give_up(self, what: str, reason: str) -> None:
        self.failures[what] = reason
        self.store.record_failure(what, reason)

    def _forget_failure(self, what: str) -> None:
        """It has succeeded since, here or under another driver, or matters no more."""
        if self.failures.pop(what, None) is not None:
            self.store.remove(f"{FAILURES}/{what}.json")

    def _forget_strangers(self) -> None:
        """Failures of units that are the plan's no more, since their checkpoint was trained anew."""
        known = {unit.name for unit in with_checkpoints(self.planned, self.digests)[0]}
        known |= {training_name(model) for model in self.experiment.trained_models}
        for what in self.failures.keys() - known:
            self._forget_failure(what)

    def _show(self) -> None:
        self.pulse.standing = standing = self._standing()
        wanted = "" if self.cluster.has_room() else standing.waiting
        for model, at in self.trainings.standings():
            self.display.training(model.label, at.step, at.loss, min(self.experiment.training.targets), wanted)
        if self.planned:
            self.display.recovery(standing)
            self.units_left.set(standing.units_planned - standing.units_done)

    def _standing(self) -> Standing:
        """Where the job stands, for the display and for `memrec status`."""
        left, seconds = self.ledger.seconds_left(self.blocked), self._recovery_seconds()
        return Standing(
            doing="training",
            waiting=self._lack(),
            units_done=self.already_done + len(self.ledger.done),
            units_planned=len(self.planned),
            images_recovered=self.ledger.images,
            images_per_second=self.ledger.images / seconds if seconds else 0.0,
            seconds_left=None if left is None or not self.pool.ready else left / self.pool.ready,
            actors=self.pool.ready,
            failed=len(self.failures),
        )

    def _lack(self) -> str:
        """What keeps the job from having an actor for its units, or a training at work; nothing where nothing does."""
        if self.pool.ready or not (self.ledger.waiting or self.trainings):
            return ""
        if not self.cluster.has_room():
            return f"a node with room for {self.cluster.actor_words()}"
        if not self.ledger.waiting:
            return "a checkpoint" if self.planned else ""
        return "the trainings to leave room" if self.trainings and not self.pool.starting else "one to start"

    def _recovery_seconds(self) -> float:
        return time.monotonic() - self.recovering_since if self.recovering_since else 0.0

    def _outcome(self) -> Outcome:
        seconds = self._recovery_seconds()
        if self.ledger.done:
            named, _ = with_checkpoints(self.planned, self.digests)
            drop_compacted(self.store, [unit.file for unit in named if unit.name in self.ledger.done])
            say(
                f"recovery: {len(self.ledger.done)} units, {self.ledger.images} recoveries in "
                f"{duration(seconds)} on {self.most_actors} actors"
            )
        failed = {what: why for what, why in self.failures.items() if self.steps.recover or what.startswith(TRAINING)}
        return Outcome(self.already_done + len(self.ledger.done), len(self.planned), failed, seconds)


def training_name(model: Model) -> str:
    """What a model's training is called among the failures."""
    return f"{TRAINING}{model.label}"


def _check_trained(run: Run, digests: dict[Checkpoint, str]) -> None:
    """Raises InputError where a checkpoint is missing whose training was not given up."""
    failures = run.store.failures()
    for model in run.experiment.trained_models:
        for target in model.ladder(run.experiment.training.targets):
            if (model.label, target) not in digests and training_name(model) not in failures:
                name = checkpoint_file(model.label, target)
                raise InputError(f"{run.store.uri} has no checkpoint {name}; run memrec train or memrec run first")


def _found_done(run: Run, then: Experiment, steps: Steps, digests: dict[Checkpoint, str]) -> Outcome | None:
    """The outcome of a run that has nothing left to do, without starting Ray; None for any other."""
    if any(checkpoint not in digests for checkpoint in all_checkpoints(run.experiment)):
        return None
    if not asks_for_the_same(then, run.experiment):
        return None
    if not steps.recover:
        _check_still_there(run)
        say(f"training: {len(run.experiment.trained_models)} networks are done already")
        return Outcome(0, 0)
    if not run.store.exists(PLAN):
        return None
    units, waiting = with_checkpoints(load_plan(run).units, digests)
    seen, failures = survey(run.store, units, waiting, steps.verify), run.store.failures()
    if seen.stray or any(unit.name not in failures for unit in seen.left):
        return None
    _check_still_there(run)
    claim(run)
    if not seen.left:
        say(f"recovery: all {len(seen.done)} units are done already")
    return Outcome(len(seen.done), len(units), {unit.name: failures[unit.name] for unit in seen.left})


def _check_still_there(run: Run) -> None:
    """See that images and given weights are those of the run. Raises InputError for others."""
    check_still_there(run)
    keep_given(run, catalogues_of(run.store))


def _plan(
    run: Run,
    then: Experiment,
    cluster: Cluster,
    catalogues: dict[str, Catalogue],
    audits: Audits,
    digests: dict[Checkpoint, str],
) -> list[Unit]:
    """The run's plan, made if there is none yet, with what the experiment has gained since it was `then`."""
    growth = growth_of(run, then, catalogues)
    new = growth.open(run.experiment)
    there = growth.sizes()
    to_measure = [kind for kind in new if kind not in there]
    sizes = unit_sizes(run.experiment, to_measure, _counts(catalogues), cluster, audits)
    priors = _priors(run.experiment, new)
    plan = keep_grown(run, growth, catalogues, (sizes | there).__getitem__, priors, digests)
    back = settle(run, growth, plan, digests)
    if growth.replaced:
        say(f"recovery: {len(growth.replaced)} units are done again, to keep pictures of more images")
    if back:
        say(f"recovery: {len(back)} units that were set aside are asked for again, and come back")
    return list(plan.units)


def _counts(catalogues: dict[str, Catalogue]) -> dict[str, int]:
    return {label: len(known) for label, known in catalogues.items()}


def _priors(experiment: Experiment, kinds: list[Kind]) -> dict[str, str]:
    """The digests of the generic priors that units of these kinds rest on, by their sources."""
    methods = {method for _, _, method in kinds}
    sources = dict.fromkeys(entry.prior for entry in experiment.generic if entry.prior and entry.label in methods)
    reading = [start(f"reading the diffusion prior {prior}", partial(read_prior, prior)) for prior in sources]
    return dict(zip(sources, wait_for(reading), strict=True))
