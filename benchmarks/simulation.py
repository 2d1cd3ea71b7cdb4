"""A job of a million units on 2,000 workers that come, die and straggle at random: by a seed, on a clock of its own.

    python -m benchmarks simulation

What decides is the job's own state; the cluster alone is made up. It raises AssertionError unless each unit ends once.
"""

import heapq
import random
import time
from array import array
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count, islice, product
from typing import Any

import numpy as np

from benchmarks.rows import Row
from workflows.job.state import JobState
from workflows.run.checkpoint_files import Checkpoint
from workflows.run.unit import Unit

UNITS, WORKERS, SEED = 1_000_000, 2_000, 0
MODELS, TARGETS = ("fc10", "fc20", "unet", "tied"), (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
METHODS = {"unknown_mask": 0.6, "known_mask": 0.1, "autoencoder_iterations": 0.3}
"""By method, the seconds of a recovery."""
MASKS, IMAGES_PER_UNIT = 6, 100
ARRIVAL_S, LIFE_S, REPLACED_S, RESTARTED_S = 600.0, 4 * 3600.0, 300.0, 10.0
"""Within how long the first workers come; how long one lives, on average; and when another comes in its place, where
its node went away and where only its process was ended."""
STRAGGLES, SLOWDOWN, FAILS, HOPELESS, AT_FAULT, OUT_OF_REACH = 0.01, (10, 50), 0.002, 0.0005, 0.1, 0.1
"""How many attempts straggle, and how much slower they are; how many fail; how many units fail each time; how many
deaths are the unit's fault; and how many of the dead are only out of reach, and go on."""
LOOK_S = 5.0
TIMED = 10
"""Each so many-th decision is timed: a thread's own clock takes longer than a decision on some machines."""


def rows() -> list[Row]:
    course = Simulation(UNITS, WORKERS, SEED, time.thread_time).run()
    slowest, median = (1e3 * float(np.quantile(course.decisions, share)) for share in (0.9999, 0.5))
    note = f"of {course.decided:,} every {TIMED}th was timed; the slowest {1e3 * max(course.decisions):.1f} ms"
    what = f"{UNITS:,} units on {WORKERS:,} workers"
    work = (
        f"rival: what is allowed; {course.copies:,} copies, {course.twice} units computed twice, {course.given_up} "
        f"given up; {course.deaths:,} workers died, and with them {course.lost_share:.2%} of the work"
    )
    return [
        Row(f"{what}: double work", course.double_share, 0.02, course.double_share / 0.02, 1, True, "", work),
        Row(f"{what}: a decision, median", median, 1.0, median, 1, True, "ms", "rival: what is allowed"),
        Row(f"{what}: a decision, 99.99 %", slowest, 1.0, slowest, 1, True, "ms", note),
    ]


def planned(units: int) -> list[Unit]:
    """So many units, checkpoint by checkpoint."""
    parts = -(-units // (len(MODELS) * len(TARGETS) * len(METHODS) * MASKS))
    masks = [(f"mask {number}",) for number in range(1, MASKS + 1)]
    starts = range(0, parts * IMAGES_PER_UNIT, IMAGES_PER_UNIT)
    found = product(MODELS, TARGETS, METHODS, masks, starts)
    return [
        Unit("photos", model, target, method, mask, start, start + IMAGES_PER_UNIT, f"from {start}", "settings", 64)
        for model, target, method, mask, start in islice(found, units)
    ]


@dataclass(eq=False, slots=True)
class Worker:
    """A process that recovers units, as long as it is `alive`; one that is a `ghost` does so out of the job's reach."""

    unit: Unit | None = None
    began: float = 0.0
    alive: bool = True
    ghost: bool = False


@dataclass
class Course:
    """What came of it: seconds are the workers', `decisions` the real seconds of those that were timed."""

    done: int = 0
    given_up: int = 0
    copies: int = 0
    """How many units were begun a second time while a worker was at them."""
    twice: int = 0
    """How many were computed to their end a second time."""
    deaths: int = 0
    busy: float = 0.0
    double: float = 0.0
    lost: float = 0.0
    virtual: float = 0.0
    decided: int = 0
    decisions: array = field(default_factory=partial(array, "d"))

    @property
    def double_share(self) -> float:
        """The share of the work that was on units which another worker finished, or had finished."""
        return self.double / self.busy

    @property
    def lost_share(self) -> float:
        """The share of the work that was on attempts which died."""
        return self.lost / self.busy


class Simulation:
    """The cluster, as a heap of events: each is called with the time at which it happens."""

    def __init__(self, units: int, workers: int, seed: int, clock: Callable[[], float] = time.perf_counter) -> None:
        """`clock` is what decisions are timed with: of the thread alone, where others use the machine too."""
        self.chance, self.course, self.clock = random.Random(seed), Course(), clock
        self.planned = planned(units)
        keys = dict.fromkeys((unit.model, unit.target_loss) for unit in self.planned)
        ladders: dict[str, list[Checkpoint]] = defaultdict(list)
        for model, target in keys:
            ladders[model].append((model, target))
        self.state = JobState(self.planned, ladders=ladders)
        self.events: list[tuple[float, int, Callable[[float], None]]] = []
        self.numbers, self.now = count(), 0.0
        self.idle: deque[Worker] = deque()
        self.at: dict[str, list[Worker]] = defaultdict(list)
        self.files: set[str] = set()
        self.ends: dict[str, int] = defaultdict(int)
        mean = sum(METHODS.values()) / len(METHODS) * IMAGES_PER_UNIT
        self.expected_s = units * mean / workers
        self._plan_events(workers, list(keys))

    def _plan_events(self, workers: int, checkpoints: list[Checkpoint]) -> None:
        """Workers come at the beginning; checkpoints too, but for the last, which comes when all else is done."""
        self.state.start_trainings()
        for _ in range(workers):
            self._later(self.chance.uniform(0, ARRIVAL_S), self._arrive)
        times = np.linspace(0, 0.5 * self.expected_s, len(checkpoints))
        times[-1] = 1.3 * self.expected_s + ARRIVAL_S
        for end, when in enumerate(times, 1):
            self._later(float(when), partial(self._train, checkpoints[:end]))
        self._later(LOOK_S, self._look)

    def run(self) -> Course:
        while not self.state.is_over:
            self.now, _, event = heapq.heappop(self.events)
            event(self.now)
            self._assign()
        self._check()
        return self.course

    def _check(self) -> None:
        """Every unit ended once, done or given up, and nothing is left."""
        state, course = self.state, self.course
        done, given_up = state.ledger.done, state.failures.keys()
        assert len(done) + len(given_up) == len(self.planned) == len(self.ends), "a unit has no end"
        assert set(self.ends.values()) == {1}, "a unit has several ends"
        assert not done & given_up, "a unit is done and given up"
        assert done <= self.files, "a unit is done without its file"
        assert not any(state.ledger.left.values()), "something is left"
        course.done, course.given_up, course.virtual = len(done), len(given_up), self.now

    def _later(self, seconds: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self.events, (self.now + seconds, next(self.numbers), event))

    def _decide(self, decision: Callable[..., Any], *arguments: Any) -> Any:
        self.course.decided += 1
        if self.course.decided % TIMED:
            return decision(*arguments)
        began = self.clock()
        result = decision(*arguments)
        self.course.decisions.append(self.clock() - began)
        return result

    def _look(self, now: float) -> None:
        """As the driver does, where nothing else happens."""
        self._later(LOOK_S, self._look)

    def _train(self, checkpoints: list[Checkpoint], now: float) -> None:
        units = self.state.unblock({checkpoint: f"{checkpoint}" for checkpoint in checkpoints})
        self.state.take_up([], units)
        for model in [model for model, ladder in self.state.ladders.items() if ladder[-1] == checkpoints[-1]]:
            self.state.end_training(model)

    def _arrive(self, now: float) -> None:
        worker = Worker()
        self.idle.append(worker)
        self._later(self.chance.expovariate(1 / LIFE_S), partial(self._die, worker))

    def _assign(self) -> None:
        while self.idle:
            if not (worker := self.idle[0]).alive:
                self.idle.popleft()
                continue
            if (unit := self._decide(self.state.next, self.now)) is None:
                return
            self.idle.popleft()
            self._begin(worker, unit)

    def _begin(self, worker: Worker, unit: Unit) -> None:
        worker.unit, worker.began = unit, self.now
        self.course.copies += bool(self.at[unit.name])
        self.at[unit.name].append(worker)
        if unit.name in self.files:
            self._later(0.1, partial(self._end, worker, unit, 0, ""))
            return
        seconds = len(unit) * METHODS[unit.method] * (0.7 + unit.start / IMAGES_PER_UNIT * 0.618 % 0.6)
        seconds *= self.chance.uniform(0.8, 1.25)
        if self.chance.random() < STRAGGLES:
            seconds *= self.chance.uniform(*SLOWDOWN)
        hopeless = int(unit.name[:8], 16) < HOPELESS * 2**32
        failure = "it is odd" if hopeless or self.chance.random() < FAILS else ""
        self._later(seconds, partial(self._end, worker, unit, len(unit), failure))

    def _end(self, worker: Worker, unit: Unit, images: int, failure: str, now: float) -> None:
        seconds = now - worker.began
        if worker.ghost or worker.alive:
            self.course.busy += seconds
            if images and not failure:
                self._write(unit, seconds)
        if not worker.alive:
            return
        self._leave(worker)
        self.idle.append(worker)
        if failure:
            self._fail(unit, failure, True)
            return
        before = len(self.state.ledger.done)
        self._decide(self.state.finish, unit, images, seconds if images else 0.0)
        self.ends[unit.name] += len(self.state.ledger.done) - before
        for other in list(self.at.get(unit.name, ())):
            self._abandon(other, now)

    def _abandon(self, worker: Worker, now: float) -> None:
        """End a worker that is still at a unit which another has finished, as the driver does."""
        self._leave(worker)
        worker.alive = False
        self.course.busy += now - worker.began
        self.course.double += now - worker.began
        self._later(RESTARTED_S, self._arrive)

    def _write(self, unit: Unit, seconds: float) -> None:
        if unit.name in self.files:
            self.course.twice += 1
            self.course.double += seconds
        self.files.add(unit.name)

    def _fail(self, unit: Unit, reason: str, charged: bool) -> None:
        before = len(self.state.failures)
        self._decide(self.state.fail, unit, reason, charged)
        if len(self.state.failures) > before:
            self.ends[unit.name] += 1

    def _leave(self, worker: Worker) -> None:
        assert worker.unit is not None
        self.at[worker.unit.name].remove(worker)
        if not self.at[worker.unit.name]:
            del self.at[worker.unit.name]
        worker.unit = None

    def _die(self, worker: Worker, now: float) -> None:
        if not worker.alive:
            return
        worker.alive = False
        self.course.deaths += 1
        self._later(self.chance.expovariate(1 / REPLACED_S), self._arrive)
        if (unit := worker.unit) is None:
            return
        self._leave(worker)
        worker.ghost = self.chance.random() < OUT_OF_REACH
        if not worker.ghost:
            self.course.busy += now - worker.began
            self.course.lost += now - worker.began
        self._fail(unit, "its actor died", self.chance.random() < AT_FAULT)
