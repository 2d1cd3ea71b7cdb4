"""The actors of a job: each lies on a device, holds a checkpoint, takes units, and writes their Parquet."""

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
import ray
import torch
from ray.util.metrics import Counter

from memrec_core import diffusion_prior
from memrec_core.device import is_out_of_memory
from memrec_core.diffusion_prior import DiffusionPrior
from memrec_core.errors import InputError
from memrec_core.recovery import Basis
from workflows.errors import CheckpointError
from workflows.experiment.methods import source_of
from workflows.job.cluster import Audits
from workflows.run.audit_set import AuditSet
from workflows.run.catalogue import check_same
from workflows.run.checkpoint_files import loss_label, read_checkpoint
from workflows.run.images import catalogues_of
from workflows.run.run import Run
from workflows.run.survey import is_done
from workflows.run.unit import Kind, Network, Unit
from workflows.work.recover import Held, recover_unit

Result = TypeVar("Result")


class Weights(NamedTuple):
    """A checkpoint's two files as they lie in a node's shared memory, and what to call them in error messages."""

    data: np.ndarray
    sidecar: bytes
    name: str


class Recovered(NamedTuple):
    """How many images an actor has recovered, none where the unit's file was there already, and how long it took."""

    images: int
    seconds: float


class Recoverer:
    """Recovers units, one after the other, and keeps the last checkpoint that it needed on its device."""

    def __init__(self, run: Run, audits: Audits, threads: int) -> None:
        torch.set_num_threads(threads)  # Ray sets OMP_NUM_THREADS from num_cpus, which is 1 for an actor with a GPU
        self.device = device()
        self.experiment, self.store, self.audits = run.experiment, run.store, audits
        self.held = Held()
        self.holds: Network | None = None
        self.priors: dict[str, DiffusionPrior] = {}
        self.images_of: dict[str, AuditSet] = {}
        self.fitting: dict[Kind, int] = {}
        """How many recoveries of a kind fit the device's memory side by side, where its units' own number does not."""
        tags = ("model", "method")
        self.images = Counter("memrec_images_recovered", "images that memrec has recovered", tags)
        self.units = Counter("memrec_units_recovered", "work units that memrec has written", tags)

    def node(self) -> str:
        """The id of the actor's node; answers once the actor is there. Raises InputError where that node does not see
        the run's folder."""
        self.store.check_shared()
        return ray.get_runtime_context().get_node_id()

    def recover(self, unit: Unit, weights: list[ray.ObjectRef]) -> Recovered:
        """Write the unit's Parquet file, unless another driver has. `weights` holds a reference to the Weights of the
        unit's checkpoint, which may still be on their way, none for a method that uses none."""
        began = time.monotonic()
        if is_done(self.store, unit):
            return Recovered(0, 0.0)
        held, audit = self._basis(unit, weights), self._audit_set(unit)
        batch_size = min(unit.batch_size, self.fitting.get(unit.kind, unit.batch_size))
        table, fitted = halving(
            batch_size, lambda size: recover_unit(unit, self.experiment, audit, held, self.device, size)
        )
        if fitted < batch_size:
            self.fitting[unit.kind] = fitted
        self.store.write_table(unit.file, table)
        tags = {"model": unit.model, "method": unit.method}
        self.images.inc(len(unit), tags)
        self.units.inc(1, tags)
        return Recovered(len(unit), time.monotonic() - began)

    def _audit_set(self, unit: Unit) -> AuditSet:
        """The images of the unit's data set. Raises InputError for others than it was planned with: where the node that
        held them went away, they were read again."""
        if unit.data_set not in self.images_of:
            self.images_of[unit.data_set] = ray.get(self.audits[unit.data_set])
            kept = catalogues_of(self.store)[unit.data_set]
            check_same(self.store.uri, unit.data_set, kept.images, self.images_of[unit.data_set].catalogue.images)
        audit = self.images_of[unit.data_set]
        if audit.catalogue.digest(unit.start, unit.stop) != unit.images:
            raise InputError(
                f"the images of data set {unit.data_set} are not those that the plan was made with any more; restore "
                "them, on all nodes, or choose another --run"
            )
        return audit

    def _basis(self, unit: Unit, weights: list[ray.ObjectRef]) -> Held:
        """What the unit's method rests on, on the device."""
        method = self.experiment.method(unit.method)
        if method.rests_on is Basis.NETWORK:
            return self._network(unit, weights[0])
        if method.rests_on is Basis.PRIOR:
            return Held(self._prior(source_of(str(getattr(method, "prior", ""))), unit))
        return Held()

    def _network(self, unit: Unit, weights: ray.ObjectRef) -> Held:
        """The checkpoint's network; the last one stays."""
        if self.holds != unit.network:
            found: Weights = ray.get(weights)
            described = self.experiment.model(unit.model)
            network, metadata = described.restored(found.data.tobytes(), found.sidecar, found.name)
            self.held, self.holds = Held.of(described, network.to(self.device), metadata), unit.network
        return self.held

    def _prior(self, source: str, unit: Unit) -> DiffusionPrior:
        """Raises InputError for another one than the plan was made with."""
        if source not in self.priors:
            self.priors[source] = diffusion_prior.load(source).to(self.device)
        if self.priors[source].digest != unit.checkpoint:
            raise InputError(
                f"the diffusion prior {source} is not the one that the plan was made with; restore it, or choose "
                "another --run"
            )
        return self.priors[source]


def device() -> str:
    """The device of this worker, of which it takes no more memory than its share. An actor without a GPU sees those of
    its node all the same."""
    if not ray.get_gpu_ids() or not torch.cuda.is_available():
        return "cpu"
    share = ray.get_runtime_context().get_assigned_resources().get("GPU", 1.0)
    if share < 1:
        torch.cuda.set_per_process_memory_fraction(share)
    return "cuda"


def read_weights(run: Run, unit: Unit) -> tuple[None, Weights]:
    """Nothing, which tells the driver that the unit's checkpoint is sound, and its files for the nodes' shared memory.
    Raises CheckpointError where the files are damaged, and InputError where they are another checkpoint's by now."""
    try:
        data, sidecar, name = read_checkpoint(run.store, unit.model, unit.target_loss)
        _, metadata = run.experiment.model(unit.model).restored(data, sidecar, name)
    except InputError as error:
        raise CheckpointError(str(error), unit.model, unit.target_loss) from error
    if metadata["digest"] != unit.checkpoint:
        raise InputError(
            f"the checkpoint {unit.model} {loss_label(unit.target_loss)} was replaced; give the command again"
        )
    return None, Weights(np.frombuffer(data, dtype=np.uint8), sidecar, name)


def halving(batch_size: int, work: Callable[[int], Result]) -> tuple[Result, int]:
    """The result of `work(batch_size)`, and the batch that fitted: one that does not fit the device's memory is halved
    and tried again. Raises the device's error where a batch of one does not fit."""
    while True:
        try:
            return work(batch_size), batch_size
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or batch_size == 1:
                raise
        torch.cuda.empty_cache()  # only now, without the error and its frames, is the batch's memory free
        batch_size //= 2
