"""The book of a job's units: which wait, which are at work, how long they take, and which were given up."""

from collections import defaultdict, deque
from collections.abc import Iterable
from itertools import takewhile
from statistics import median

from workflows.run.unit import Kind, Unit

ATTEMPTS = 3
"""How often a unit is tried before it is given up and recorded as failed."""
LOSSES = 30
"""How often its node may go away under a unit, until the unit is taken to be the reason."""
REMEMBERED = 100
"""Of how many units of a kind the pace is remembered."""
SLOW_FACTOR, SLOW_SECONDS, PEERS = 4.0, 30.0, 3
"""A unit is started a second time once it takes SLOW_FACTOR times as long an image as its peers did, at least PEERS of
them, and SLOW_SECONDS in any case."""


class Ledger:
    """Every unit is waiting, at work, done, or given up; one that is done stays so, whatever becomes of its copies."""

    def __init__(self) -> None:
        self.waiting: deque[Unit] = deque()
        self.at_work: dict[Unit, list[float]] = {}
        self.done: set[str] = set()
        self.attempts: dict[str, int] = defaultdict(int)
        self.losses: dict[str, int] = defaultdict(int)
        self.paces: dict[Kind, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        self.paces_of_images: dict[tuple[Kind, int], float] = {}
        """The last pace by the kind and the first image: some images take longer under any degradation."""
        self.images = 0
        self.busy_seconds = 0.0

    def add(self, units: Iterable[Unit]) -> None:
        self.waiting.extend(units)

    def next(self, now: float) -> Unit | None:
        """A unit to start at the time `now`: one that waits, or else one that is far slower than its peers.

        Of those that wait, the longest of the first one's checkpoint, so that the actors end at about the same time.
        """
        unit = self._longest() if self.waiting else self._straggler(now)
        if unit is not None:
            self.at_work.setdefault(unit, []).append(now)
        return unit

    def finish(self, unit: Unit, images: int, seconds: float) -> None:
        """The unit is done, by this attempt or by an earlier one."""
        self.at_work.pop(unit, None)
        if unit.name in self.done:
            return
        self.done.add(unit.name)
        self.images += images
        self.busy_seconds += seconds
        if seconds:
            self.paces[unit.kind].append(seconds / len(unit))
            self.paces_of_images[unit.kind, unit.start] = seconds / len(unit)

    def fail(self, unit: Unit, reason: str, charged: bool = True) -> str | None:
        """The unit has failed, or lost its actor, which is not its fault where it is not `charged`; it waits again.
        Returns why, where it is given up."""
        starts = self.at_work.get(unit, [])
        if unit.name in self.done:
            return None
        if len(starts) > 1:
            starts.pop()
            return None
        self.at_work.pop(unit, None)
        counts, limit = (self.attempts, ATTEMPTS) if charged else (self.losses, LOSSES)
        counts[unit.name] += 1
        if counts[unit.name] < limit:
            self.waiting.append(unit)
            return None
        return f"{reason} ({limit} attempts)"

    def seconds_left(self, planned: Iterable[Unit]) -> float | None:
        """The work in the waiting units and in those `planned` beside, in seconds of one actor; None while nothing is
        known of it."""
        if not self.images:
            return None
        overall = self.busy_seconds / self.images
        usual = self._usual_paces()
        return sum(len(u) * usual.get(u.kind, overall) for u in (*self.waiting, *self.at_work, *planned))

    def _longest(self) -> Unit:
        """Takes it out of those that wait. Of equals the first; what nothing is known of comes after what is."""
        checkpoint, usual = self.waiting[0].checkpoint, self._usual_paces()

        def seconds(unit: Unit) -> float:
            return len(unit) * self.paces_of_images.get((unit.kind, unit.start), usual.get(unit.kind, 0.0))

        unit = max(takewhile(lambda unit: unit.checkpoint == checkpoint, self.waiting), key=seconds)
        self.waiting.remove(unit)
        return unit

    def _usual_paces(self, least: int = 1) -> dict[Kind, float]:
        """The seconds that an image of each kind takes, of which so many units were seen."""
        return {kind: median(paces) for kind, paces in self.paces.items() if len(paces) >= least}

    def _straggler(self, now: float) -> Unit | None:
        usual = self._usual_paces(PEERS)
        for unit, starts in self.at_work.items():
            pace = usual.get(unit.kind)
            if len(starts) == 1 and pace and now - starts[0] > max(SLOW_FACTOR * pace * len(unit), SLOW_SECONDS):
                return unit
        return None
