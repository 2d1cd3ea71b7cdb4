"""What is done on the cluster before a job's loop: the images are read, the run's folder is claimed, its plan grows."""

from dataclasses import dataclass
from functools import partial

from torch import Tensor

from memrec_core.autoencoders.fit import IMAGES
from workflows.experiment.resolved import Experiment
from workflows.job.cluster import Audits, Cluster
from workflows.job.pulse import Pulse
from workflows.job.request import Steps
from workflows.job.sizes import unit_sizes
from workflows.job.state import TRAINING, training_name
from workflows.job.tasks import start, wait_for
from workflows.run.audit_set import AuditSet, load_audit_set
from workflows.run.catalogue import Catalogue
from workflows.run.checkpoint_files import Checkpoint
from workflows.run.growth import PlanGrewError, growth_of, keep_grown, not_asked, settle
from workflows.run.identity import claim
from workflows.run.images import catalogues_of, check_trained_on, keep_catalogues
from workflows.run.plan import Plan
from workflows.run.run import Run
from workflows.run.standing import Standing
from workflows.run.store import PLAN
from workflows.run.unit import Unit
from workflows.terminal import say
from workflows.work.given import keep_given
from workflows.work.preflight import check_floors, check_uses
from workflows.work.priors import check_priors, read_prior


@dataclass(frozen=True)
class Prepared:
    """What is known of the images of each data set, where they lie in the nodes' memory, and the units to recover."""

    catalogues: dict[str, Catalogue]
    audits: Audits
    planned: tuple[Unit, ...] = ()


def prepare(
    cluster: Cluster,
    run: Run,
    then: Experiment | None,
    digests: dict[Checkpoint, str],
    steps: Steps,
    pulse: Pulse,
) -> Prepared:
    """Claim the folder of a run that was of another experiment `then`, and plan what its own asks for."""
    pulse.standing = Standing("reading the images")
    catalogues, audits, samples = _read_images(run)
    check_uses(run.experiment, samples)
    elsewhere = bool(run.experiment.given_models)
    for sentence in (own for label, known in catalogues.items() for own in known.sentences(label, elsewhere)):
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
    read, units = Prepared(catalogues, audits), ()
    if steps.recover or run.store.exists(PLAN):
        units = _grow_plan(run, then or run.experiment, cluster, read, digests).units
    claim(run)
    return Prepared(catalogues, audits, units if steps.recover else ())


def _read_images(run: Run) -> tuple[dict[str, Catalogue], Audits, dict[str, Tensor]]:
    """The images of the data sets, by their labels: what is known of them, where they lie, and some training images of
    each, for networks whose weights the driver alone may have."""
    kept, reading = catalogues_of(run.store), {}
    for data in run.experiment.data:
        what, work = (
            f"reading the images of data set {data.label}",
            partial(read_images, run.experiment, data.label, kept.get(data.label), run.store.uri),
        )
        reading[data.label] = start(what, work, num_returns=2, num_cpus=1)
    read: dict[str, tuple[Catalogue, Tensor]] = dict(zip(reading, wait_for(list(reading.values())), strict=True))
    catalogues = {label: catalogue for label, (catalogue, _) in read.items()}
    audits = {label: task.refs[1] for label, task in reading.items()}
    return catalogues, audits, {label: some for label, (_, some) in read.items()}


def read_images(
    experiment: Experiment, label: str, kept: Catalogue | None, run: str
) -> tuple[tuple[Catalogue, Tensor], AuditSet]:
    """A data set's catalogue and some of its training images for the driver, and its images for the nodes' shared
    memory. The experiment comes with it, whatever the data set: it may import the code that reads it. Raises InputError
    where a training of these images can't reach its target."""
    audit = load_audit_set(experiment.data_set(label), experiment.seed, kept, run)
    check_floors(experiment, audit, label)
    return (audit.catalogue, audit.some_training_images(IMAGES)), audit


def _grow_plan(run: Run, then: Experiment, cluster: Cluster, read: Prepared, digests: dict[Checkpoint, str]) -> Plan:
    """The run's plan, made if there is none yet, with what the experiment has gained since it was `then`; results that
    are not asked for are set aside, and those that are again come back."""
    growth = growth_of(run, then, read.catalogues)
    new, there = growth.open(run.experiment), growth.sizes()
    to_measure = [kind for kind in new if kind not in there]
    counts = {label: len(known) for label, known in read.catalogues.items()}
    sizes = unit_sizes(run.experiment, to_measure, counts, cluster, read.audits)
    priors = _priors(run.experiment)
    check_priors(run.experiment, growth.stay, priors)
    try:
        plan = keep_grown(run, growth, read.catalogues, (sizes | there).__getitem__, priors, digests)
    except PlanGrewError:  # another driver was first: what it has planned stays
        return _grow_plan(run, then, cluster, read, digests)
    _forget_failures_of(run, {unit.name for unit in not_asked(run, growth, plan, digests)})
    if growth.replaced:
        say(f"recovery: {len(growth.replaced)} units are done again, to keep pictures of more images")
    gone, back = settle(run, growth, plan, digests)
    if gone:
        say(f"recovery: {sum(map(len, gone)):,} recoveries are not asked for now, and wait in set_aside/recovery")
    if back:
        say(f"recovery: {sum(map(len, back)):,} recoveries that were set aside are asked for again, and come back")
    return plan


def _forget_failures_of(run: Run, units: set[str]) -> None:
    """And of the trainings of networks that are not asked for, as these units are not."""
    trainings = {training_name(model.label) for model in run.experiment.trained_models}
    for what in run.store.failures():
        if what in units or (what.startswith(TRAINING) and what not in trainings):
            run.store.forget_failure(what)


def _priors(experiment: Experiment) -> dict[str, str]:
    """The digests of the generic priors, by their sources."""
    reading = [start(f"reading the diffusion prior {prior}", partial(read_prior, prior)) for prior in experiment.priors]
    return dict(zip(experiment.priors, wait_for(reading), strict=True))
