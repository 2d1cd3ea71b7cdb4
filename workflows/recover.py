"""Recovery on Ray: actors that each hold a checkpoint, take units, and write their own Parquet."""

import os
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import ray
import torch
from ray.exceptions import RayActorError, RayTaskError

from memrec_core import diffusion_prior
from memrec_core.errors import InputError
from workflows.audit_set import AuditSet, load_audit_set
from workflows.experiment import Experiment
from workflows.plan import Unit, load_plan, make_plan, remaining, save_plan
from workflows.progress import Bar, console, progress_bar
from workflows.store import FAILURES, PLAN, Store
from workflows.train import load_checkpoint, trained_checkpoints
from workflows.unit import Held, recover_unit

ATTEMPTS = 3
"""How often a unit is tried before it is given up and recorded as failed."""
IN_FLIGHT = 2
"""Units an actor has at a time: one at work and one waiting, so that it never idles."""
OBJECT_STORE_SPARE = 128 * 2**20


@dataclass(frozen=True)
class Outcome:
    """Units recovered now, found done from before, and given up, with the reason of each."""

    recovered: int
    found: int
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        """Whether there is no result at all."""
        return self.recovered + self.found == 0


class Recoverer:
    """Recovers units, one after the other, and keeps the last checkpoint that it needed on its device."""

    def __init__(self, experiment: Experiment, run: str, audit: AuditSet, threads: int) -> None:
        torch.set_num_threads(threads)  # Ray sets OMP_NUM_THREADS from num_cpus, which is 1 for an actor with a GPU
        self.device = "cuda" if ray.get_gpu_ids() and torch.cuda.is_available() else "cpu"
        self.experiment, self.store, self.audit = experiment, Store(run), audit
        self.held = Held()

    def recover(self, unit: Unit) -> int:
        """Write the unit's Parquet file; returns its number of images."""
        if unit.method == "ddnm":
            self.held.prior = self.held.prior or diffusion_prior.load(self.experiment.ddnm.source).to(self.device)
        elif unit.target_loss is not None and unit.checkpoint != self.held.checkpoint.get("digest"):
            self.held.model, self.held.checkpoint = load_checkpoint(self.store, unit.model, unit.target_loss)
            self.held.model.to(self.device)
        table = recover_unit(unit, self.experiment, self.audit, self.held, self.device)
        self.store.write_table(unit.file, table)
        return table.num_rows


def recover(experiment: Experiment, store: Store, address: str | None = None, actors: int | None = None) -> Outcome:
    """Recover every unit of the run that has no valid file yet.

    `address` is that of a running Ray cluster; without it a local one is started and stopped. `actors` is one for each
    GPU of the cluster, or each CPU where it has none. A unit that fails ATTEMPTS times is recorded with its reason
    and does not stop the others.
    """
    audit = None
    if store.exists(PLAN):
        units = load_plan(store)
    else:
        checkpoints = trained_checkpoints(experiment, store)
        audit = load_audit_set(experiment)
        prior = diffusion_prior.load(experiment.ddnm.source).digest if "ddnm" in experiment.methods else ""
        units = make_plan(experiment, audit, checkpoints, prior)
        save_plan(store, units)
    todo = remaining(store, units)
    found = len(units) - len(todo)
    if not todo:
        console.print(f"recovery: all {len(units)} units are done", highlight=False)
        return Outcome(0, found)
    if found:
        console.print(f"recovery: {found} of {len(units)} units are done already", highlight=False)
    audit = load_audit_set(experiment) if audit is None else audit
    _check_audit_set(audit, units, store)
    with _Cluster(address, audit) as cluster:
        pool = _Pool(experiment, store, audit, cluster, actors)
        failed = pool.run(todo, len(units))
    return Outcome(len(todo) - len(failed), found, failed)


def _check_audit_set(audit: AuditSet, units: list[Unit], store: Store) -> None:
    if max(unit.stop for unit in units) != len(audit):
        raise InputError(
            f"the data set has {len(audit)} images now, not as many as when the plan of {store.uri} was made; "
            "restore the data, or choose another --run"
        )


class _Cluster:
    """A connection to Ray for the length of a block: to a running cluster, or to a local one of this machine."""

    def __init__(self, address: str | None, audit: AuditSet) -> None:
        self.address, self.images_size = address, audit.images.nbytes

    def __enter__(self) -> "_Cluster":
        # An actor without GPUs still sees those of its node, and picks the CPU by itself; Ray need not warn of it.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        options: dict[str, Any] = {"logging_level": "error", "configure_logging": True}
        if self.address is None:
            self.address = "local"
            options["include_dashboard"] = False
            options["object_store_memory"] = self.images_size + OBJECT_STORE_SPARE
        try:
            ray.init(self.address, **options)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(
                f"no Ray cluster answers at {self.address} ({' '.join(str(error).split())[:200]}); "
                "start one with ray start --head, or leave --address out"
            ) from error
        resources = ray.cluster_resources()
        self.gpus, self.cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
        return self

    def __exit__(self, *exception: object) -> None:
        ray.shutdown()


class _Pool:
    """Actors and the units that they are at. Replaces actors that die and retries their units."""

    def __init__(
        self, experiment: Experiment, store: Store, audit: AuditSet, cluster: _Cluster, actors: int | None
    ) -> None:
        self.store, self.count = store, actors or cluster.gpus or cluster.cpus
        self.threads = max(cluster.cpus // self.count, 1)
        self.actor_class = ray.remote(Recoverer).options(
            num_gpus=1 if cluster.gpus else 0, num_cpus=min(self.threads, cluster.cpus / self.count)
        )
        self.arguments = (experiment, store.uri, ray.put(audit), self.threads)
        self.in_flight: dict[ray.ObjectRef, tuple[Any, Unit]] = {}
        self.attempts: dict[str, int] = {}
        self.failed: dict[str, str] = {}

    def run(self, units: list[Unit], total: int) -> dict[str, str]:
        """Recover the units; returns the reason of each that was given up."""
        began, waiting, done, images = time.monotonic(), deque(units), total - len(units), 0
        count = min(self.count, len(units))
        idle = [self._start_actor() for _ in range(count)] * IN_FLIGHT
        with progress_bar("recovery", total=total) as bar:
            bar.update(done, f"starting {count} actors")
            while waiting or self.in_flight:
                while waiting and idle:
                    self._assign(idle.pop(0), waiting.popleft())
                ready, _ = ray.wait(list(self.in_flight), num_returns=1)
                actor, unit = self.in_flight.pop(ready[0])
                try:
                    images += ray.get(ready[0])
                    done += 1
                    self.store.remove(f"{FAILURES}/{unit.name}.json")
                except RayActorError as error:
                    actor = self._replace(actor, idle)
                    self._retry(unit, f"its actor died: {_first_line(error)}", waiting)
                except RayTaskError as error:
                    if isinstance(error.cause, InputError):
                        raise error.cause from None
                    self._retry(unit, f"{type(error.cause).__name__}: {_first_line(error.cause)}", waiting)
                idle.append(actor)
                self._show(bar, done, images, time.monotonic() - began)
        seconds = time.monotonic() - began
        console.print(
            f"recovery: {len(units) - len(self.failed)} units, {images} recoveries in {seconds:.0f} s on "
            f"{count} actors",
            highlight=False,
        )
        return self.failed

    def _start_actor(self) -> Any:
        return self.actor_class.remote(*self.arguments)

    def _assign(self, actor: Any, unit: Unit) -> None:
        self.in_flight[actor.recover.remote(unit)] = (actor, unit)

    def _replace(self, dead: Any, idle: list[Any]) -> Any:
        """A new actor in the place of a dead one, for its other unit too."""
        new = self._start_actor()
        idle[:] = [new if actor is dead else actor for actor in idle]
        for ref, (actor, unit) in list(self.in_flight.items()):
            if actor is dead:
                del self.in_flight[ref]
                self._assign(new, unit)
        return new

    def _retry(self, unit: Unit, reason: str, waiting: deque[Unit]) -> None:
        self.attempts[unit.name] = self.attempts.get(unit.name, 0) + 1
        if self.attempts[unit.name] < ATTEMPTS:
            waiting.append(unit)
            return
        self.failed[unit.name] = reason
        self.store.record_failure(unit.name, f"{reason} ({ATTEMPTS} attempts)")

    def _show(self, bar: Bar, done: int, images: int, seconds: float) -> None:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        bar.update(done + len(self.failed), f"{images} recoveries, {images / seconds:.0f} a second{failed}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:300]
