"""What a run would do, said before anything of it is done: its images, trainings, recoveries, units, disk and time.

Nothing is written and no Ray is started. Times come from a measurement of seconds on this machine.
"""

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch

from memrec_core import training
from memrec_core.autoencoders.fit import IMAGES
from memrec_core.datasets.image_set import SPLITS
from memrec_core.errors import TrainingError
from workflows.duration import duration
from workflows.experiment.data import Data
from workflows.experiment.models import TrainedModel
from workflows.experiment.resolved import Experiment
from workflows.job.machine import processors
from workflows.job.sizes import sizes_of
from workflows.run.audit_set import AuditSet, load_audit_set
from workflows.run.checkpoint_files import Checkpoint, all_checkpoints, anew, checkpoints_there
from workflows.run.growth import growth_of
from workflows.run.identity import asks_for_the_same, begun
from workflows.run.images import catalogues_of, check_trained_on
from workflows.run.plan import with_checkpoints
from workflows.run.planning import Size, make_plan
from workflows.run.retired import waiting_place
from workflows.run.run import Run
from workflows.run.store import RECOVERY, SET_ASIDE
from workflows.run.survey import survey
from workflows.run.unit import Kind, Unit
from workflows.terminal import say
from workflows.work import preflight
from workflows.work.measure import USUAL_BATCH, Cost, measure, measured_places

MEASURED_S = 2.0
"""How long each network is tried."""
COMPACTED = 2
"""How often a run holds each row: in its unit's file, and compacted."""
ROW_BYTES, PICTURES_A_ROW, VALUE_BYTES, PAGE_BYTES = 60, 3, 0.8, 6e6
"""What a row of the results takes, a channel of a pixel of its pictures as PNG, and the page, as seen in the demo's
run."""
STATE_BYTES = 12
"""What the state of a training keeps of each weight: itself and Adam's two moments; SOAP has more."""

Costs = Callable[[], dict[Kind, Cost]]
"""The measured costs, which take their time."""
SIZES = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


class Progress(NamedTuple):
    """The checkpoints that are there, how many units are done, and the units that are left."""

    checkpoints: Collection[Checkpoint]
    done: int
    left: list[Unit]


@dataclass(frozen=True)
class Machine:
    """Where the times hold: this machine's GPUs, or its processors where it has none."""

    device: str
    workers: int

    @classmethod
    def here(cls) -> "Machine":
        if torch.cuda.is_available():
            return cls("cuda", torch.cuda.device_count())
        return cls("cpu", processors())

    def __str__(self) -> str:
        what = "GPU" if self.device == "cuda" else "processor"
        return f"{self.workers} {what}{'' if self.workers == 1 else 's'}"


class _TimeIsUpError(Exception):
    """A measurement has had its time."""


def print_forecast(run: Run) -> None:
    """Print what `memrec run` would do, and what of it is done. Raises InputError where that would refuse to begin."""
    experiment, store = run.experiment, run.store
    then = begun(store)
    if then is None or not asks_for_the_same(then, experiment):
        preflight.check(experiment)
    kept = catalogues_of(store)
    audits = {
        data.label: load_audit_set(data, experiment.seed, kept.get(data.label), store.uri) for data in experiment.data
    }
    floors = {
        name: floor
        for label, audit in audits.items()
        for name, floor in preflight.check_floors(experiment, audit, label).items()
    }
    preflight.check_uses(experiment, {label: audit.some_training_images(IMAGES) for label, audit in audits.items()})
    check_trained_on(run, {label: audit.catalogue for label, audit in audits.items()})
    machine = Machine.here()
    costs = cache(lambda: _costs(experiment, audits, machine))
    planned = _planned(run, then or experiment, audits, costs, machine)
    progress = _progress(run, planned)
    say(f"{experiment.name}: {experiment.description or 'an experiment without a description'}")
    for data in experiment.data:
        known = audits[data.label].catalogue
        counts = f"{known.trained():,} training images, {known.count('control'):,} control images"
        say(f"images:     {data.label}: {counts}, of {_shape(data)}")
        for sentence in known.sentences(data.label, bool(experiment.given_models)):
            say(f"            {sentence}")
    for model in experiment.trained_models:
        floor = floors.get(model.label, 0.0)
        say(f"training:   {_training(experiment, model, audits[model.data], machine, progress, floor)}")
    for model in experiment.given_models:
        size = model.size(audits[model.data].image_shape) / 1e6
        say(f"given:      {model.label}, asked of {model.data}, {size:.1f} million weights")
    say(f"recovery:   {sum(map(len, planned))} recoveries in {len(planned)} units: {_factors(experiment, audits)}")
    for sentence in experiment.left_out():
        say(f"            {sentence}")
    say(f"disk:       about {_disk(experiment, audits, planned)}")
    say(f"time:       {_time(experiment, progress, costs, machine)}")
    wanted = len(all_checkpoints(experiment))
    said = f"{len(progress.checkpoints)} of {wanted} checkpoints and {progress.done} of {len(planned)} units are done"
    say(f"run:        {store.uri}: {said if then else 'not begun'}")


def _costs(experiment: Experiment, audits: dict[str, AuditSet], machine: Machine) -> dict[Kind, Cost]:
    """What a recovery takes on one of the machine's devices, which is what an actor has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {
            (data, model, method): cost
            for data, model in measured_places(experiment)
            for method, cost in measure(experiment, model, audits[data], machine.device, MEASURED_S).items()
        }
    finally:
        torch.set_num_threads(threads)


def _planned(run: Run, then: Experiment, audits: dict[str, AuditSet], costs: Costs, machine: Machine) -> list[Unit]:
    """The run's plan as it will be, whose experiment was another one `then`."""
    experiment = run.experiment
    catalogues = {label: audit.catalogue for label, audit in audits.items()}
    growth = growth_of(run, then, catalogues)
    new, sizes = growth.open(experiment), growth.sizes()
    if (recoveries := experiment.images_per_unit) is not None:
        sizes = dict.fromkeys(new, Size(recoveries, USUAL_BATCH)) | sizes
    elif any(kind not in sizes for kind in new):
        images = {label: len(catalogue) for label, catalogue in catalogues.items()}
        sizes = sizes_of(costs(), images, experiment, machine.workers) | sizes
    return make_plan(experiment, catalogues, sizes.__getitem__, None, growth.stay)


def _progress(run: Run, planned: list[Unit]) -> Progress:
    digests = checkpoints_there(run)
    ready, waiting = with_checkpoints(planned, digests)
    seen, aside = survey(run.store, ready, waiting), set(run.store.names(f"{SET_ASIDE}/{RECOVERY}", ".parquet"))
    left = [unit for unit in seen.left if waiting_place(unit.file) not in aside]
    return Progress(digests, len(ready) - len(left), [*left, *waiting])


def _factors(experiment: Experiment, audits: dict[str, AuditSet]) -> str:
    """What the number of recoveries is the product of."""
    generic, networked = experiment.generic, experiment.networked
    images = sum(map(len, audits.values()))
    pairs = {entry.label: len(experiment.under(entry.label)) for entry in experiment.methods}
    if any(count < len(experiment.degradations) for count in pairs.values()):
        at_each, once = (sum(pairs[entry.label] for entry in entries) for entries in (networked, generic))
        return (
            f"{images} images, {_count(at_each, 'pair')} of a method and a degradation at each checkpoint and {once} "
            "without a network"
        )
    parts = []
    if networked:
        parts.append(f"{_count(len(networked), 'method')} at each checkpoint")
    if generic:
        parts.append(f"{_count(len(generic), 'method')} without a network")
    return f"{images} images, {_count(len(experiment.degradations), 'degradation')}, {' and '.join(parts)}"


def _training(
    experiment: Experiment, model: TrainedModel, audit: AuditSet, machine: Machine, progress: Progress, floor: float
) -> str:
    targets = model.ladder(experiment.training.targets)
    ladder = f"down to {targets[-1]:g}, with {_count(len(targets), 'checkpoint')}"
    said = f"{model.label} on {model.data}, {model.size(audit.image_shape) / 1e6:.1f} million weights, {ladder}"
    said += f", where its width allows no less than {floor:.2g}" if floor else ""
    if all((model.label, target) in progress.checkpoints for target in targets):
        return f"{said}: done"
    seconds, most = _step_seconds(experiment, model, audit, machine, floor), experiment.training.max_steps
    step = f"{1000 * seconds:.0f} ms" if seconds < 1 else duration(seconds)
    said += f"; a step takes {step}, and {most} at the most {duration(most * seconds)}"
    again = anew(model, experiment.training.targets, progress.checkpoints)
    return f"{said}; {again}" if again else said


def _step_seconds(
    experiment: Experiment, model: TrainedModel, audit: AuditSet, machine: Machine, floor: float
) -> float:
    """The time of a training's step, from a few first ones, as one of the trainings that share this machine."""
    settings = experiment.training
    images = audit.training_images(machine.device)
    threads = torch.get_num_threads()
    if machine.device == "cpu":
        torch.set_num_threads(max(machine.workers // len(experiment.trained_models), 1))
    network = model.example(audit.image_shape).to(machine.device)
    began, ended, steps = time.monotonic(), math.inf, 0

    def count(step: int, _: float) -> None:
        nonlocal began, ended, steps
        ended, steps = time.monotonic(), step - 1
        if step == 1:
            began = ended  # the first one's memory is not there yet
        elif ended - began > MEASURED_S:
            raise _TimeIsUpError

    try:
        training.train(
            network,
            images,
            [max(min(settings.targets) * 1e-9, 1.001 * floor)],  # which a few steps do not reach
            experiment.seed,
            optimiser=model.optimiser,
            learning_rate=model.learning_rate,
            batch_size=settings.batch_size,
            on_step=count,
        )
    except (_TimeIsUpError, TrainingError):
        pass
    finally:
        torch.set_num_threads(threads)
    return (ended - began) / max(steps, 1)


def _disk(experiment: Experiment, audits: dict[str, AuditSet], planned: list[Unit]) -> str:
    """What the run's folder takes in the end."""
    checkpoints = sum(
        4 * len(model.ladder(experiment.training.targets)) * model.size(audits[model.data].image_shape)
        for model in experiment.models
    )
    states = sum(STATE_BYTES * model.size(audits[model.data].image_shape) for model in experiment.trained_models)
    results = 0.0
    for data in experiment.data:
        known = audits[data.label].catalogue
        recoveries = sum(len(unit) for unit in planned if unit.data_set == data.label)
        pictured = sum(min(experiment.pictures, known.count(split)) for split in SPLITS) / len(known)
        results += (
            COMPACTED * recoveries * (ROW_BYTES + pictured * PICTURES_A_ROW * VALUE_BYTES * math.prod(data.image_shape))
        )
    parts = {"checkpoints": checkpoints, "trainings": states, "results": results, "page": PAGE_BYTES}
    return f"{_size(sum(parts.values()))}: " + ", ".join(f"{what} {_size(size)}" for what, size in parts.items())


def _time(experiment: Experiment, progress: Progress, costs: Costs, machine: Machine) -> str:
    if not progress.left:
        return "nothing is left to recover"
    seconds = sum(len(unit) * costs()[unit.kind].seconds for unit in progress.left) / machine.workers
    taken = ", ".join(f"{entry.method.evaluations()} by {entry.label}" for entry in experiment.methods)
    return (
        f"recovery about {duration(seconds)} on the {machine} here, as just measured, for so many "
        f"evaluations an image: {taken}; a training takes the steps that its loss needs"
    )


def _shape(data: Data) -> str:
    """Height and width, and the channels where the images are not RGB."""
    channels = "" if data.channels == 3 else f" and {_count(data.channels, 'channel')}"
    return f"{data.height} x {data.width} pixels{channels}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _size(number: float) -> str:
    """Bytes as people say them."""
    unit = next((unit for unit in SIZES if number < 1000 * SIZES[unit]), "TB")
    amount = number / SIZES[unit]
    return f"{amount:.0f} {unit}" if amount >= 10 or unit == "bytes" else f"{amount:.1f} {unit}"
