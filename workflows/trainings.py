"""The trainings of a job: each network is trained by a Ray actor with a device of its own."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import ray
import torch
from ray.exceptions import RayActorError, RayTaskError

from memrec_core.errors import InputError, TrainingError
from workflows.audit_set import AuditSet
from workflows.errors import StoreError
from workflows.experiment import Experiment, Model
from workflows.store import Store
from workflows.train import Trained, train_model
from workflows.worker import device

ATTEMPTS = 5
"""How often a training goes on after its process died, before it is given up."""


class Standing(NamedTuple):
    """Where a training stands."""

    step: int
    loss: float


STARTING = Standing(0, math.inf)


class Trainer:
    """Trains one network. It answers `standing` while it does, so it runs with a concurrency of two."""

    def __init__(self, experiment: Experiment, model: Model, run: str, threads: int) -> None:
        self.experiment, self.model, self.store, self.threads = experiment, model, Store(run), threads
        self.now = STARTING

    def standing(self) -> Standing:
        return self.now

    def train(self, audit: AuditSet) -> Trained:
        """Train to the last target, from the state that an earlier process left."""
        torch.set_num_threads(self.threads)  # Ray sets OMP_NUM_THREADS from num_cpus; and threads are a thread's own
        return train_model(self.experiment, self.model, audit.training_images(device()), self.store, self._note)

    def _note(self, step: int, loss: float) -> None:
        self.now = Standing(step, loss)


@dataclass
class _Training:
    model: Model
    actor: Any
    end: ray.ObjectRef
    deaths: int = 0
    standing: Standing = STARTING
    question: ray.ObjectRef | None = None


class Trainings:
    """The trainings that are under way. One whose process dies goes on in another, from its last state."""

    def __init__(self, experiment: Experiment, run: str, audit: ray.ObjectRef, threads: int, resources: dict) -> None:
        self.arguments, self.audit, self.threads = (experiment, run), audit, threads
        self.reserved = resources["num_gpus"] or resources["num_cpus"]
        self.actor_class = ray.remote(Trainer).options(max_concurrency=2, **resources)
        self.running: list[_Training] = []
        self.finished: dict[str, Trained] = {}
        self.failed: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.running)

    def start(self, model: Model) -> None:
        actor, end = self._start(model)
        self.running.append(_Training(model, actor, end))

    @property
    def starting(self) -> bool:
        """Whether one of them still waits for its place on the cluster."""
        return any(entry.standing.step == 0 for entry in self.running)

    def take_ended(self) -> tuple[dict[str, Trained], dict[str, str]]:
        """The trainings that ended since the last call, by model: those that succeeded, and the others' reasons."""
        ended = self.finished, self.failed
        self.finished, self.failed = {}, {}
        return ended

    def refs(self) -> list[ray.ObjectRef]:
        return [entry.end for entry in self.running]

    def settle(self, ref: ray.ObjectRef) -> None:
        """Take note of a training that has ended. Raises what ends the whole job: StoreError, or InputError."""
        entry = next(entry for entry in self.running if entry.end == ref)
        label = entry.model.label
        try:
            self.finished[label] = ray.get(ref)
        except RayActorError as error:
            entry.deaths += 1
            if entry.deaths < ATTEMPTS:
                entry.actor, entry.end = self._start(entry.model)
                entry.question = None
                return
            self.failed[label] = f"its process died {ATTEMPTS} times: {error}"
        except RayTaskError as error:
            if isinstance(error.cause, StoreError | InputError):
                raise error.cause from None
            kind = "" if isinstance(error.cause, TrainingError) else f"{type(error.cause).__name__}: "
            self.failed[label] = f"{kind}{error.cause}"
        ray.kill(entry.actor)
        self.running.remove(entry)

    def standings(self) -> Iterator[tuple[Model, Standing]]:
        """Where each training stood when it answered last; asks those that have answered anew."""
        for entry in self.running:
            if entry.question is not None and ray.wait([entry.question], timeout=0)[0]:
                try:
                    entry.standing = ray.get(entry.question)
                except RayActorError:  # `settle` sees to it
                    continue
                finally:
                    entry.question = None
            if entry.question is None:
                entry.question = entry.actor.standing.remote()
            yield entry.model, entry.standing

    def _start(self, model: Model) -> tuple[Any, ray.ObjectRef]:
        experiment, run = self.arguments
        actor = self.actor_class.remote(experiment, model, run, self.threads)
        return actor, actor.train.remote(self.audit)
