"""The trainings of a job: each network is trained by a Ray actor with a device of its own."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import ray
import torch
from ray.exceptions import RayError

from memrec_core.errors import InputError, TrainingError
from workflows.errors import StoreError
from workflows.experiment.models import TrainedModel
from workflows.job.cluster import Audits, Cluster
from workflows.job.ray_errors import End, mishap_of
from workflows.job.training_state import STARTING, TrainingStanding
from workflows.job.worker import device
from workflows.run.audit_set import AuditSet
from workflows.run.run import Run
from workflows.work.train import TrainingSummary, train_model


class TrainingActor:
    """Trains one network. It answers `standing` while it does, so it runs with a concurrency of two."""

    def __init__(self, run: Run, model: TrainedModel, audit: AuditSet, threads: int) -> None:
        self.run, self.model, self.audit, self.threads = run, model, audit, threads
        self.now = STARTING

    def standing(self) -> TrainingStanding:
        return self.now

    def train(self) -> TrainingSummary:
        """Train to the last target, from the state that an earlier process left."""
        self.run.store.check_shared()
        torch.set_num_threads(self.threads)  # Ray sets OMP_NUM_THREADS from num_cpus; and threads are a thread's own
        return train_model(self.run, self.model, self.audit, self._note, device(), self._remark)

    def _note(self, step: int, loss: float) -> None:
        self.now = self.now._replace(step=step, loss=loss)

    def _remark(self, remark: str) -> None:
        self.now = self.now._replace(remark=remark)


class TrainingEnd(NamedTuple):
    """How a training's process ended: its model reached its last target, or it failed for a `reason`, and another
    process may go on with it where it has only `broken_off`."""

    model: TrainedModel
    trained: TrainingSummary | None = None
    reason: str | None = None
    broken_off: bool = False


@dataclass
class _Training:
    model: TrainedModel
    actor: Any = None
    end: ray.ObjectRef | None = None
    reserved: float = 0.0
    question: ray.ObjectRef | None = None


class TrainingPool:
    """The processes of the trainings that are under way, one each."""

    def __init__(self, run: Run, audits: Audits, cluster: Cluster) -> None:
        self.run, self.audits, self.cluster = run, audits, cluster
        self.running: list[_Training] = []

    def __len__(self) -> int:
        return len(self.running)

    def start(self, models: list[TrainedModel]) -> None:
        self.running += [_Training(model) for model in models]
        for entry in self.running:
            self._start(entry)

    def go_on(self, model: TrainedModel) -> None:
        """Start another process, which takes the training up where the last one left its state."""
        entry = next(entry for entry in self.running if entry.model is model)
        ray.kill(entry.actor)  # it may be out of reach and alive
        self._start(entry)

    def end(self, model: TrainedModel) -> None:
        """Let the training's process go."""
        entry = next(entry for entry in self.running if entry.model is model)
        ray.kill(entry.actor)
        self.running.remove(entry)

    def close(self) -> None:
        """End all trainings; each leaves its state."""
        for entry in self.running:
            ray.kill(entry.actor)
        self.running = []

    @property
    def reserved(self) -> float:
        """The GPUs that they have, or the CPUs where there is no GPU."""
        return sum(entry.reserved for entry in self.running)

    def refs(self) -> list[ray.ObjectRef]:
        return [entry.end for entry in self.running if entry.end is not None]

    def settle(self, ref: ray.ObjectRef) -> TrainingEnd:
        """How a training's process ended. Raises what ends the whole job: StoreError or InputError."""
        model = next(entry.model for entry in self.running if entry.end == ref)
        try:
            return TrainingEnd(model, ray.get(ref))
        except RayError as error:
            mishap = mishap_of(error)
        if isinstance(mishap.error, StoreError | InputError):
            raise mishap.error
        if isinstance(mishap.error, TrainingError):
            return TrainingEnd(model, None, str(mishap.error))
        died = "" if mishap.end is End.RAISED else "its process died: "
        return TrainingEnd(model, None, f"{died}{mishap.reason}", broken_off=True)

    def answers(self) -> Iterator[tuple[TrainedModel, TrainingStanding]]:
        """Where trainings stand that have answered since; asks those again."""
        for entry in self.running:
            if (standing := self._answer(entry)) is not None:
                yield entry.model, standing

    def _answer(self, entry: _Training) -> TrainingStanding | None:
        question = entry.question
        if question is None:
            entry.question = entry.actor.standing.remote()
            return None
        if not ray.wait([question], timeout=0)[0]:
            return None
        entry.question = None
        with suppress(RayError):  # `settle` sees to it
            return ray.get(question)

    def _start(self, entry: _Training) -> None:
        resources = self.cluster.training_resources(len(self.running))
        threads = self.cluster.training_threads(len(self.running))
        actor_class = ray.remote(TrainingActor).options(max_concurrency=2, **resources)
        entry.reserved = resources["num_gpus"] or resources["num_cpus"]
        audit = self.audits[entry.model.data]
        entry.actor = actor_class.remote(self.run, entry.model, audit, threads)
        entry.end, entry.question = entry.actor.train.remote(), None
