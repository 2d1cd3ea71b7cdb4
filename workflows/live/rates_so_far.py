"""The rates of a run that goes on: each file is read once, when it is new, however often one looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from memrec_core.metrics import ACCURATE
from workflows.database import connected
from workflows.errors import ResultsError
from workflows.run.catalogue import Catalogue
from workflows.run.compacted import Source, read_from
from workflows.run.images import kept_catalogues
from workflows.run.rows import CHECKSUM, FILE, Part, Pieces, count_parts
from workflows.run.store import Store
from workflows.run.unit import Unit

_COLUMNS = [*Part._fields, "image_id", "multiplicity", "mse"]
_PARTS = f"""
    SELECT {FILE}, {", ".join(Part._fields)}, count(*) AS images, {CHECKSUM} AS checksum,
           count(*) FILTER (mse < {ACCURATE}) AS accurate
    FROM results GROUP BY ALL
"""


@dataclass(frozen=True)
class Counted:
    """How many images a row of the rates is of, and how many of them are back accurately."""

    images: int = 0
    accurate: int = 0

    def with_more(self, images: int, accurate: int) -> "Counted":
        return Counted(self.images + images, self.accurate + accurate)


class Row(NamedTuple):
    """What rates are told apart by, the checkpoint aside."""

    data_set: str
    model: str
    target_loss: float | None
    method: str
    degradation: str
    split: str


class RatesSoFar:
    """Counts the rows of units as these come."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.counted: set[Unit] = set()
        self.rows: dict[Row, Counted] = {}
        self.wrong = ""
        """What is wrong with files that came last, as a sentence; they are not counted, and looked at again."""

    def update(self, done: Sequence[Unit]) -> dict[Row, Counted]:
        """The rows of the units that are done by now."""
        if self.counted - set(done):  # some are gone: they were set aside, or are not asked for any more
            self.counted, self.rows = set(), {}
        new = [unit for unit in done if unit not in self.counted]
        self.wrong = ""
        if new:
            try:
                found = read_from(
                    self.store, new, lambda sources: _count(self.store, sources, kept_catalogues(self.store, []))
                )
            except ResultsError as error:
                self.wrong = str(error)
                return self.rows
            for row, images, accurate in found:
                self.rows[row] = self.rows.get(row, Counted()).with_more(images, accurate)
            self.counted |= set(new)
        return self.rows


def _count(store: Store, sources: list[Source], known: dict[str, Catalogue]) -> list[tuple[Row, int, int]]:
    with connected() as database:
        count_parts(database, _PARTS, Pieces(store, sources, _COLUMNS), known)
        rows = database.execute(
            f"SELECT {', '.join(Row._fields)}, sum(images)::BIGINT, sum(accurate)::BIGINT FROM parts GROUP BY ALL"
        ).fetchall()
    return [(Row(*row[:-2]), row[-2], row[-1]) for row in rows]
