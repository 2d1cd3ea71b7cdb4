"""The actors of a job: as many as the cluster has room for, replaced when they die."""

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayError

from memrec_core.errors import InputError
from workflows.errors import ActorsError, StoreError, first_line
from workflows.job.cluster import Audits, Cluster, is_alive
from workflows.job.ray_errors import End, Mishap, mishap_of
from workflows.job.worker import Recovered, Recoverer
from workflows.run.run import Run
from workflows.run.unit import Unit

STARTS = 5
"""How many times in a row actors may die before they have started, until the job is given up."""


@dataclass
class _Actor:
    handle: Any
    created: float
    node: str = ""


class Attempt(NamedTuple):
    """How an attempt at a unit ended: with its images recovered, or with a `reason`, which is charged to the unit
    unless its node went away."""

    unit: Unit
    recovered: Recovered | None = None
    reason: str = ""
    charged: bool = True


class Pool:
    """The actors, each of which is starting, idle, or at work on one unit."""

    def __init__(self, run: Run, audits: Audits, cluster: Cluster) -> None:
        self.actor_class = ray.remote(Recoverer).options(**cluster.actor_resources())
        self.arguments = (run, audits, cluster.threads)
        self.starting: dict[ray.ObjectRef, _Actor] = {}
        self.idle: list[_Actor] = []
        self.at_work: dict[ray.ObjectRef, tuple[_Actor, Unit]] = {}
        self.wanted = 0
        self.failed_starts, self.last_failed_start = 0, 0.0

    def __len__(self) -> int:
        return len(self.starting) + self.ready

    @property
    def ready(self) -> int:
        """How many have started."""
        return len(self.idle) + len(self.at_work)

    def refs(self) -> list[ray.ObjectRef]:
        return [*self.starting, *self.at_work]

    def resize(self, wanted: int) -> None:
        """Start actors up to `wanted`, or let some go: those that still start, those that are idle, and then each that
        ends its unit, until there are no more than that."""
        self.wanted = wanted
        while len(self) < wanted:
            actor = _Actor(self.actor_class.remote(*self.arguments), time.monotonic())
            self.starting[actor.handle.node.remote()] = actor
        while len(self) > wanted and (self.starting or self.idle):
            actor = self.starting.popitem()[1] if self.starting else self.idle.pop()
            ray.kill(actor.handle)

    def close(self) -> None:
        """End all actors, whatever they are at."""
        for actor in (*self.starting.values(), *self.idle, *(actor for actor, _ in self.at_work.values())):
            ray.kill(actor.handle)
        self.starting, self.idle, self.at_work = {}, [], {}

    def assign(self, unit: Unit, weights: list[ray.ObjectRef]) -> None:
        """Give the unit to an idle actor; there must be one."""
        actor = self.idle.pop(0)
        self.at_work[actor.handle.recover.remote(unit, weights)] = (actor, unit)

    def abandon(self, unit: Unit) -> None:
        """End the actors that are still at work on a unit that another has finished."""
        for ref, (actor, other) in list(self.at_work.items()):
            if other == unit:
                del self.at_work[ref]
                ray.kill(actor.handle)

    def settle(self, ref: ray.ObjectRef) -> Attempt | None:
        """Take note of an actor that has started, or of the end of a unit, which is returned.

        Raises what ends the whole job: StoreError, or ActorsError where no actor starts.
        """
        if ref in self.starting:
            self._started(ref)
            return None
        if ref not in self.at_work:  # abandoned
            return None
        actor, unit = self.at_work.pop(ref)
        try:
            recovered = ray.get(ref)
        except RayError as error:
            return self._failed(actor, unit, mishap_of(error))
        self._release(actor)
        return Attempt(unit, recovered)

    def _failed(self, actor: _Actor, unit: Unit, mishap: Mishap) -> Attempt:
        """An actor that failed for another reason than the input is not used again: its device may be out of order, and
        would fail whatever comes next; or it is out of reach, and alive."""
        if isinstance(mishap.error, StoreError):
            raise mishap.error from None
        if isinstance(mishap.error, InputError):
            self._release(actor)
            return Attempt(unit, None, first_line(mishap.error))
        ray.kill(actor.handle)
        if mishap.end is End.RAISED:
            return Attempt(unit, None, mishap.reason)
        return Attempt(unit, None, f"its actor died: {mishap.reason}", charged=_is_the_units_fault(mishap, actor))

    def _release(self, actor: _Actor) -> None:
        """An actor has ended its unit."""
        if len(self) < self.wanted:
            self.idle.append(actor)
        else:
            ray.kill(actor.handle)

    def _started(self, ref: ray.ObjectRef) -> None:
        actor = self.starting.pop(ref)
        try:
            actor.node = ray.get(ref)
        except RayError as error:
            mishap = mishap_of(error)
            if isinstance(mishap.error, InputError | StoreError):
                raise mishap.error from None
            self._note_failed_start(actor, mishap)
        else:
            self.failed_starts = 0
            self.idle.append(actor)

    def _note_failed_start(self, actor: _Actor, mishap: Mishap) -> None:
        """Those that were started together, on a node that went away say, count once."""
        if actor.created <= self.last_failed_start:
            return
        self.failed_starts, self.last_failed_start = self.failed_starts + 1, time.monotonic()
        if self.failed_starts >= STARTS:
            raise ActorsError(
                f"no actor can be started: {mishap.reason}; look at the cluster's logs, and give the same command again"
            )


def _is_the_units_fault(mishap: Mishap, actor: _Actor) -> bool:
    """Whether an actor died of its work, as far as one can tell, and not with its node."""
    return mishap.end is End.OUT_OF_MEMORY or (mishap.end is End.DIED and is_alive(actor.node))
