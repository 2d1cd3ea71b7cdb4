"""The trainings of a job: each network is trained by a Ray actor with a device of its own."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import ray
import torch
from ray.exceptions import RayError, RayTaskError

from memrec_core.errors import InputError, TrainingError
from workflows.errors import StoreError, first_line
from workflows.experiment.models import TrainedModel
from workflows.experiment.resolved import Experiment
from workflows.job.cluster import Audits, Cluster
from workflows.job.worker import device
from workflows.run.audit_set import AuditSet
from workflows.run.store import Store
from workflows.work.train import TrainingSummary, train_model

ATTEMPTS = 5
"""How often a training may break off without having got further, before it is given up."""


class TrainingStanding(NamedTuple):
    """Where a training stands."""

    step: int
    loss: float


STARTING = TrainingStanding(0, math.inf)


class TrainingActor:
    """Trains one network. It answers `standing` while it does, so it runs with a concurrency of two."""

    def __init__(self, experiment: Experiment, model: TrainedModel, run: str, audit: AuditSet, threads: int) -> None:
        self.experiment, self.model, self.audit, self.threads = experiment, model, audit, threads
        self.store, self.now = Store(run), STARTING

    def standing(self) -> TrainingStanding:
        return self.now

    def train(self) -> TrainingSummary:
        """Train to the last target, from the state that an earlier process left."""
        self.store.check_shared()
        torch.set_num_threads(self.threads)  # Ray sets OMP_NUM_THREADS from num_cpus; and threads are a thread's own
        return train_model(self.experiment, self.model, self.audit, self.store, self._note, device())

    def _note(self, step: int, loss: float) -> None:
        self.now = TrainingStanding(step, loss)


class TrainingEnd(NamedTuple):
    """The end of a model's training: it reached its last target, or was given up for a reason."""

    model: TrainedModel
    trained: TrainingSummary | None = None
    reason: str = ""


@dataclass
class _Training:
    model: TrainedModel
    actor: Any = None
    end: ray.ObjectRef | None = None
    reserved: float = 0.0
    standing: TrainingStanding = STARTING
    question: ray.ObjectRef | None = None
    breaks: int = 0
    furthest: int = 0
    """The last step that any of its processes has told of."""

    def note(self, standing: TrainingStanding) -> None:
        """It stands there now; once it is further than ever, no break before that counts."""
        self.standing = standing
        if standing.step > self.furthest:
            self.breaks, self.furthest = 0, standing.step


class TrainingPool:
    """The trainings that are under way. One whose process dies goes on in another, from its last state."""

    def __init__(self, experiment: Experiment, run: str, audits: Audits, cluster: Cluster) -> None:
        self.experiment, self.run, self.audits, self.cluster = experiment, run, audits, cluster
        self.running: list[_Training] = []

    def __len__(self) -> int:
        return len(self.running)

    def start(self, models: list[TrainedModel]) -> None:
        self.running += [_Training(model) for model in models]
        for entry in self.running:
            self._start(entry)

    def close(self) -> None:
        """End all trainings; each leaves its state."""
        for entry in self.running:
            ray.kill(entry.actor)
        self.running = []

    @property
    def starting(self) -> bool:
        """Whether one of them still waits for its place on the cluster."""
        return any(entry.standing.step == 0 for entry in self.running)

    @property
    def reserved(self) -> float:
        """The GPUs that they have, or the CPUs where there is no GPU."""
        return sum(entry.reserved for entry in self.running)

    def refs(self) -> list[ray.ObjectRef]:
        return [entry.end for entry in self.running if entry.end is not None]

    def settle(self, ref: ray.ObjectRef) -> TrainingEnd | None:
        """Take note of a training that has ended, or broken off and goes on. Raises what ends the whole job: StoreError
        or InputError."""
        entry = next(entry for entry in self.running if entry.end == ref)
        try:
            return self._end(entry, TrainingEnd(entry.model, ray.get(ref)))
        except RayTaskError as error:
            if isinstance(error.cause, StoreError | InputError):
                raise error.cause from None
            if isinstance(error.cause, TrainingError):
                return self._end(entry, TrainingEnd(entry.model, None, str(error.cause)))
            reason = f"{type(error.cause).__name__}: {first_line(error.cause)}"
        except RayError as error:
            reason = f"its process died: {first_line(error)}"
        entry.breaks += 1
        if entry.breaks == ATTEMPTS:
            return self._end(entry, TrainingEnd(entry.model, None, f"{reason} ({ATTEMPTS} attempts)"))
        ray.kill(entry.actor)  # it may be out of reach and alive
        self._start(entry)
        return None

    def standings(self) -> Iterator[tuple[TrainedModel, TrainingStanding]]:
        """Where each training stood when it answered last; asks those that have answered anew."""
        for entry in self.running:
            question = entry.question
            if question is None:
                entry.question = entry.actor.standing.remote()
            elif ray.wait([question], timeout=0)[0]:
                self._note_answer(entry, question)
            yield entry.model, entry.standing

    def _note_answer(self, entry: _Training, question: ray.ObjectRef) -> None:
        entry.question = None
        try:
            answer = ray.get(question)
        except RayError:
            return  # `settle` sees to it
        entry.note(answer)

    def _start(self, entry: _Training) -> None:
        resources = self.cluster.training_resources(len(self.running))
        threads = self.cluster.training_threads(len(self.running))
        actor_class = ray.remote(TrainingActor).options(max_concurrency=2, **resources)
        entry.reserved = resources["num_gpus"] or resources["num_cpus"]
        audit = self.audits[entry.model.data]
        entry.actor = actor_class.remote(self.experiment, entry.model, self.run, audit, threads)
        entry.end, entry.question, entry.standing = entry.actor.train.remote(), None, STARTING

    def _end(self, entry: _Training, end: TrainingEnd) -> TrainingEnd:
        ray.kill(entry.actor)
        self.running.remove(entry)
        return end
