"""How long an image of a unit takes, by what the units before it took."""

from collections import defaultdict, deque
from statistics import median

from workflows.run.unit import Kind, Unit

REMEMBERED = 100
"""Of how many units of a kind the pace is remembered."""
PEERS = 3
"""So many units of a kind must have been seen before its pace says that another one is slow."""


class Paces:
    """The seconds an image takes: what is usual for a kind, the median of its last units; and the last pace by the kind
    and the first image, since some images take longer under any degradation."""

    def __init__(self) -> None:
        self.usual: dict[Kind, float] = {}
        self.of_images: dict[tuple[Kind, int], float] = {}
        self._seen: dict[Kind, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def note(self, unit: Unit, seconds: float) -> None:
        """The unit took so long."""
        pace, kind = seconds / len(unit), unit.kind
        self._seen[kind].append(pace)
        self.usual[kind] = median(self._seen[kind])
        self.of_images[kind, unit.start] = pace

    def of_peers(self, kind: Kind) -> float | None:
        """What is usual for a kind of which enough units were seen."""
        return self.usual[kind] if len(self._seen.get(kind, ())) >= PEERS else None
