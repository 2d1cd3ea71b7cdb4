"""The book of a job's units: which wait, which are at work, how long they take, and which were given up."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from workflows.job.at_work import AtWork
from workflows.job.paces import Paces
from workflows.job.waiting import Waiting
from workflows.run.unit import Kind, Unit

ATTEMPTS = 3
"""How often a unit is tried before it is given up and recorded as failed."""
LOSSES = 30
"""How often its node may go away under a unit, until the unit is taken to be the reason."""


class Ledger:
    """Every unit is waiting, at work, done, or given up; one that is done stays so, whatever becomes of its copies."""

    def __init__(self) -> None:
        self.paces = Paces()
        self.waiting, self.at_work = Waiting(self.paces), AtWork(self.paces)
        self.done: set[str] = set()
        self.attempts: dict[str, int] = defaultdict(int)
        self.losses: dict[str, int] = defaultdict(int)
        self.left: Counter[Kind] = Counter()
        """The recoveries in the units that wait or are at work."""
        self.images = 0
        self.busy_seconds = 0.0

    def add(self, units: Iterable[Unit]) -> None:
        for unit in units:
            self.waiting.add(unit)
            self.left[unit.kind] += len(unit)

    def next(self, now: float) -> Unit | None:
        """A unit to start at the time `now`: one that waits, or else one that is far slower than its peers."""
        unit = self.waiting.take() if self.waiting else self.at_work.straggler(now)
        if unit is not None:
            self.at_work.begin(unit, now)
        return unit

    def finish(self, unit: Unit, images: int, seconds: float) -> None:
        """The unit is done, by this attempt or by an earlier one."""
        self.at_work.end(unit)
        if unit.name in self.done:
            return
        self.done.add(unit.name)
        self.left[unit.kind] -= len(unit)
        self.images += images
        self.busy_seconds += seconds
        if seconds:
            self.paces.note(unit, seconds)
            self.waiting.sort_again(unit)

    def fail(self, unit: Unit, reason: str, charged: bool = True) -> str | None:
        """An attempt at the unit failed, which is not its fault where it is not `charged`. It waits again, unless a
        copy of it is at work. Returns why, where it is given up.

        Attempts beside a copy count too, and after enough of them there is no other copy. Else a unit that always
        fails would be tried for ever, since one of its two copies is always at work.
        """
        if unit.name in self.done:
            return None
        counts, limit = (self.attempts, ATTEMPTS) if charged else (self.losses, LOSSES)
        counts[unit.name] += 1
        may_go_on = counts[unit.name] < limit
        if self.at_work.leave(unit, may_go_on):
            return None
        if may_go_on:
            self.waiting.add(unit)
            return None
        self.left[unit.kind] -= len(unit)
        return f"{reason} ({counts[unit.name]} attempts)"

    def seconds_left(self, blocked: Mapping[Kind, int]) -> float | None:
        """The work in the units that wait or are at work, and in so many recoveries that are `blocked`, in seconds of
        one actor; None while nothing is known of it."""
        if not self.images:
            return None
        overall = self.busy_seconds / self.images
        kinds = self.left.keys() | blocked.keys()
        return sum((self.left[k] + blocked.get(k, 0)) * self.paces.usual.get(k, overall) for k in kinds)
