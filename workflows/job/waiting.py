"""The units that wait for an actor, in the order in which they are to be started."""

from collections import deque
from dataclasses import dataclass, field
from itertools import count

from sortedcontainers import SortedList

from workflows.job.paces import Paces
from workflows.run.unit import Kind, Network, Unit


@dataclass(slots=True, eq=False)
class _Alike:
    """Units of a stretch that take equally long, since their kind, first image and length are the same; each with its
    number, in their order. `entry` is where the stretch has sorted them in."""

    stretch: "_Stretch"
    kind: Kind
    length: int
    units: deque[tuple[int, Unit]] = field(default_factory=deque)
    entry: tuple[SortedList, tuple] | None = None


class _Stretch:
    """Units that wait one after the other and have one checkpoint. The longest goes first, of equals the first to come;
    what nothing is known of comes after what is."""

    def __init__(self, network: Network, paces: Paces) -> None:
        self.network, self.paces = network, paces
        self.alike: dict[tuple[Kind, int, int], _Alike] = {}
        self.timed = SortedList()
        """Of images whose pace is known: by their seconds, from the most down, and then by their number."""
        self.untimed: dict[tuple[Kind, int], SortedList] = {}
        """Of others, by their number: of one kind and length, they are taken to be equally long."""

    def add(self, number: int, unit: Unit) -> _Alike:
        what = unit.kind, unit.start, len(unit)
        alike = self.alike.get(what) or self.alike.setdefault(what, _Alike(self, unit.kind, len(unit)))
        alike.units.append((number, unit))
        if alike.entry is None:
            self.sort_in(alike)
        return alike

    def sort_in(self, alike: _Alike) -> None:
        """Put it where its first unit and its pace, as they are now, belong."""
        self._sort_out(alike)
        number, unit = alike.units[0]
        pace = self.paces.of_images.get((unit.kind, unit.start))
        if pace is None:
            place, entry = self.untimed.setdefault((alike.kind, alike.length), SortedList()), (number, alike)
        else:
            place, entry = self.timed, (-alike.length * pace, number, alike)
        place.add(entry)
        alike.entry = place, entry

    def next(self) -> _Alike:
        found = [self.timed[0]] if self.timed else []
        for (kind, length), some in self.untimed.items():
            found.append((-length * self.paces.usual.get(kind, 0.0), *some[0]))
        return min(found)[2]

    def take(self, alike: _Alike) -> Unit:
        _, unit = alike.units.popleft()
        if alike.units:
            self.sort_in(alike)
        else:
            self._sort_out(alike)
            del self.alike[unit.kind, unit.start, alike.length]
        return unit

    def _sort_out(self, alike: _Alike) -> None:
        if alike.entry is None:
            return
        place, entry = alike.entry
        place.remove(entry)
        alike.entry = None
        if not place and place is not self.timed:
            del self.untimed[alike.kind, alike.length]


class Waiting:
    """A queue of stretches. To add, to take or to learn a pace takes time logarithmic in the number of units, and at
    most linear in that of checkpoints, kinds and lengths, which are few."""

    def __init__(self, paces: Paces) -> None:
        self.paces = paces
        self.stretches: deque[_Stretch] = deque()
        self.by_images: dict[tuple[Kind, int], list[_Alike]] = {}
        self.numbers, self.length = count(), 0

    def __len__(self) -> int:
        return self.length

    def add(self, unit: Unit) -> None:
        """The unit comes last."""
        if not self.stretches or self.stretches[-1].network != unit.network:
            self.stretches.append(_Stretch(unit.network, self.paces))
        alike = self.stretches[-1].add(next(self.numbers), unit)
        if len(alike.units) == 1:
            self.by_images.setdefault((unit.kind, unit.start), []).append(alike)
        self.length += 1

    def peek(self) -> Unit:
        """The unit that is taken next; there must be one."""
        return self.stretches[0].next().units[0][1]

    def take(self) -> Unit:
        """The longest unit of the first one's checkpoint, so that the actors end at about the same time."""
        stretch = self.stretches[0]
        alike = stretch.next()
        unit = stretch.take(alike)
        if not alike.units:
            self._forget(alike, unit)
        if not stretch.alike:
            self.stretches.popleft()
        self.length -= 1
        return unit

    def sort_again(self, unit: Unit) -> None:
        """The pace of the unit's images was learnt: those of others that wait have their place by it."""
        for alike in self.by_images.get((unit.kind, unit.start), ()):
            alike.stretch.sort_in(alike)

    def _forget(self, alike: _Alike, unit: Unit) -> None:
        images = unit.kind, unit.start
        self.by_images[images].remove(alike)
        if not self.by_images[images]:
            del self.by_images[images]
