"""A run from its start to its last unit, on a Ray cluster: networks are trained, and every checkpoint's units are
recovered as soon as it exists."""

from memrec_core.errors import InputError
from workflows.errors import CheckpointError
from workflows.experiment.resolved import Experiment
from workflows.job.cluster import Cluster
from workflows.job.loop import Loop
from workflows.job.preparation import prepare
from workflows.job.pulse import Pulse
from workflows.job.request import Request, Steps
from workflows.job.state import TRAINING, Outcome, training_name
from workflows.run.checkpoint_files import (
    Checkpoint,
    all_checkpoints,
    checkpoint_file,
    checkpoints_there,
    damaged_checkpoints,
    set_checkpoint_aside,
)
from workflows.run.compacted import keep_compacted
from workflows.run.identity import asks_for_the_same, begun, claim
from workflows.run.images import catalogues_of, check_still_there
from workflows.run.plan import load_plan, with_checkpoints
from workflows.run.remains import remove_unfinished
from workflows.run.run import Run
from workflows.run.standing import Standing
from workflows.run.store import PLAN, Store
from workflows.run.survey import survey
from workflows.terminal import say
from workflows.work import preflight
from workflows.work.given import keep_given
from workflows.work.priors import check_priors, priors_here


def run_job(run: Run, request: Request, steps: Steps) -> Outcome:
    """Do what is missing of the run's steps. What fails is recorded, and does not stop the rest.

    Raises InputError for what is wrong with the experiment, its data or the run's folder, before the folder is claimed,
    and JobError where the job can't go on.
    """
    store, then = run.store, begun(run.store)
    if then is None or not asks_for_the_same(then, run.experiment):
        preflight.check(run.experiment)
    if then is not None:
        remove_unfinished(store)
    if steps.train:
        _set_damaged_aside(run)
    digests = checkpoints_there(run)
    if not steps.train:
        _check_trained(run, digests)
    if steps.retry_failed:
        _forget_failures(store, steps)
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
    prepared = prepare(cluster, run, then, digests, steps, pulse)
    replaced: set[Checkpoint] = set()
    while True:
        loop = Loop(run, cluster, prepared.audits, prepared.planned, digests, steps, pulse)
        try:
            return loop.until_done()
        except CheckpointError as error:
            loop.abandon()
            _make_way(error, run.store, steps, replaced)
            keep_given(run, prepared.catalogues)
            digests = checkpoints_there(run)


def _make_way(error: CheckpointError, store: Store, steps: Steps, replaced: set[Checkpoint]) -> None:
    """Set a damaged checkpoint aside, so that it is trained again, once. Raises what ends the job otherwise."""
    checkpoint = (error.model, error.target)
    if not steps.train:
        raise InputError(f"{error}; memrec run sets it aside, and makes it again") from error
    if checkpoint in replaced:
        raise error
    replaced.add(checkpoint)
    say(f"{error}: {set_checkpoint_aside(store, *checkpoint)}")


def _set_damaged_aside(run: Run) -> None:
    """Move damaged checkpoints out of the way of a training that makes them anew; not in a run that is refused."""
    damaged = damaged_checkpoints(run)
    if damaged:
        check_still_there(run)
    for checkpoint, what in damaged.items():
        say(f"{what}: {set_checkpoint_aside(run.store, *checkpoint)}")


def _check_trained(run: Run, digests: dict[Checkpoint, str]) -> None:
    """Raises InputError where a checkpoint is missing whose training was not given up."""
    failures = run.store.failures()
    for model in run.experiment.trained_models:
        for target in model.ladder(run.experiment.training.targets):
            if (model.label, target) not in digests and training_name(model.label) not in failures:
                name = checkpoint_file(model.label, target)
                raise InputError(f"{run.store.uri} has no checkpoint {name}; run memrec train or memrec run first")


def _forget_failures(store: Store, steps: Steps) -> None:
    """Those of the steps to do: they are tried again."""
    for what in store.failures():
        if steps.train if what.startswith(TRAINING) else steps.recover:
            store.forget_failure(what)


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
    check_priors(run.experiment, units, priors_here(run.experiment))
    claim(run)
    keep_compacted(run.store, seen.done, [*seen.left, *waiting])
    if not seen.left:
        say(f"recovery: all {len(seen.done)} units are done already")
    return Outcome(len(seen.done), len(units), {unit.name: failures[unit.name] for unit in seen.left})


def _check_still_there(run: Run) -> None:
    """See that images and given weights are those of the run. Raises InputError for others."""
    check_still_there(run)
    keep_given(run, catalogues_of(run.store))
