"""The units that actors are at, and which of them is far slower than its peers."""

from dataclasses import dataclass
from itertools import count

from sortedcontainers import SortedList

from workflows.job.paces import Paces
from workflows.run.unit import Kind, Unit

SLOW_FACTOR, SLOW_SECONDS = 4.0, 30.0
"""A unit is slow once it takes SLOW_FACTOR times as long an image as its peers did, and SLOW_SECONDS in any case."""


@dataclass(slots=True)
class _Copies:
    """How many actors are at a unit. Units are numbered as the first of these began, at the time `since`."""

    number: int
    since: float
    count: int = 1


class AtWork:
    """Each unit with its copies; those with one alone are sorted by their beginning, for each kind and length."""

    def __init__(self, paces: Paces) -> None:
        self.paces, self.numbers = paces, count()
        self.copies: dict[Unit, _Copies] = {}
        self.alone: dict[tuple[Kind, int], SortedList] = {}

    def __len__(self) -> int:
        return len(self.copies)

    def __contains__(self, unit: object) -> bool:
        return unit in self.copies

    def begin(self, unit: Unit, now: float) -> None:
        """An actor begins the unit, the first or another one."""
        if (copies := self.copies.get(unit)) is None:
            copies = self.copies[unit] = _Copies(next(self.numbers), now)
            self._sort_in(unit, copies)
        else:
            self._sort_out(unit, copies)
            copies.count += 1

    def leave(self, unit: Unit, may_be_copied: bool = True) -> bool:
        """An actor is no longer at the unit; returns whether another still is, which then may have a copy again."""
        copies = self.copies.get(unit)
        if copies is None or copies.count == 1:
            self.end(unit)
            return False
        copies.count -= 1
        if copies.count == 1 and may_be_copied:
            self._sort_in(unit, copies)
        return True

    def end(self, unit: Unit) -> None:
        """None of the actors' copies counts any more."""
        if (copies := self.copies.pop(unit, None)) is not None:
            self._sort_out(unit, copies)

    def straggler(self, now: float) -> Unit | None:
        """Of the units that are slow at the time `now` and have no copy, the one that began first."""
        slow = []
        for (kind, length), units in self.alone.items():
            since, number, unit = units[0]
            pace = self.paces.of_peers(kind)
            if pace and now - since > max(SLOW_FACTOR * pace * length, SLOW_SECONDS):
                slow.append((number, unit))
        return min(slow)[1] if slow else None

    def _sort_in(self, unit: Unit, copies: _Copies) -> None:
        self.alone.setdefault((unit.kind, len(unit)), SortedList()).add((copies.since, copies.number, unit))

    def _sort_out(self, unit: Unit, copies: _Copies) -> None:
        if (units := self.alone.get((unit.kind, len(unit)))) is None:
            return
        units.discard((copies.since, copies.number, unit))
        if not units:
            del self.alone[unit.kind, len(unit)]
