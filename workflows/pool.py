"""The actors of a job: as many as the cluster has room for, replaced when they die."""

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayActorError, RayTaskError

from memrec_core.errors import InputError
from workflows.audit_set import AuditSet
from workflows.cluster import Cluster, is_alive
from workflows.errors import ActorsError, StoreError
from workflows.experiment import Experiment
from workflows.plan import Unit
from workflows.worker import Recovered, Recoverer

STARTS = 5
"""How many actors in a row may die before they have started, until the job is given up."""


@dataclass
class _Actor:
    handle: Any
    node: str | None = None
    """None until the actor has answered."""


class End(NamedTuple):
    """How an attempt at a unit ended: with its images recovered, or with a `reason`, which is charged to the unit
    unless its node went away."""

    unit: Unit
    recovered: Recovered | None = None
    reason: str = ""
    charged: bool = True


class Pool:
    """The actors, each of which is starting, idle, or at work on one unit."""

    def __init__(self, experiment: Experiment, run: str, audit: ray.ObjectRef[AuditSet], cluster: Cluster) -> None:
        self.cluster = cluster
        self.actor_class = ray.remote(Recoverer).options(**cluster.actor_resources())
        self.arguments = (experiment, run, audit, cluster.threads)
        self.starting: dict[ray.ObjectRef, _Actor] = {}
        self.idle: list[_Actor] = []
        self.at_work: dict[ray.ObjectRef, tuple[_Actor, Unit, float]] = {}
        self.failed_starts = 0

    def __len__(self) -> int:
        return len(self.starting) + len(self.idle) + len(self.at_work)

    def refs(self) -> list[ray.ObjectRef]:
        return [*self.starting, *self.at_work]

    def resize(self, wanted: int) -> None:
        """Start actors up to `wanted`, or let those go that have nothing to do."""
        while len(self) < wanted:
            actor = _Actor(self.actor_class.remote(*self.arguments))
            self.starting[actor.handle.node.remote()] = actor
        while len(self) > wanted and (self.idle or self.starting):
            if self.idle:
                ray.kill(self.idle.pop().handle)
            else:
                ray.kill(self.starting.pop(next(iter(self.starting))).handle)

    def assign(self, unit: Unit, weights: list[ray.ObjectRef]) -> None:
        """Give the unit to an idle actor; there must be one."""
        actor = self.idle.pop(0)
        self.at_work[actor.handle.recover.remote(unit, weights)] = (actor, unit, time.monotonic())

    def settle(self, ref: ray.ObjectRef) -> End | None:
        """Take note of an actor that has started, or of the end of a unit, which is returned.

        Raises what ends the whole job: StoreError, or ActorsError where no actor starts.
        """
        if ref in self.starting:
            self._started(ref)
            return None
        actor, unit, _ = self.at_work.pop(ref)
        try:
            recovered = ray.get(ref)
        except RayActorError as error:
            lost = error.preempted or not is_alive(actor.node)
            return End(unit, None, f"its actor died: {first_line(error)}", charged=not lost)
        except RayTaskError as error:
            self.idle.append(actor)
            if isinstance(error.cause, StoreError):
                raise error.cause from None
            kind = "" if isinstance(error.cause, InputError) else f"{type(error.cause).__name__}: "
            return End(unit, None, f"{kind}{first_line(error.cause)}")
        self.idle.append(actor)
        return End(unit, recovered)

    def _started(self, ref: ray.ObjectRef) -> None:
        actor = self.starting.pop(ref)
        try:
            actor.node = ray.get(ref)
        except (RayActorError, RayTaskError) as error:
            self.failed_starts += 1
            if self.failed_starts >= STARTS:
                raise ActorsError(
                    f"no actor can be started: {first_line(error)}; look at the cluster's logs, and give the same "
                    "command again"
                ) from error
            return
        self.failed_starts = 0
        self.idle.append(actor)


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:300]
