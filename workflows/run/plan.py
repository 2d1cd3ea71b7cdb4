"""The plan of a run: all its units, kept in its folder, so that a resumed run has the same."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from memrec_core.errors import InputError
from workflows.run.checkpoint_files import Checkpoint, checkpoints_there
from workflows.run.planning import asked_for, wanted
from workflows.run.run import Run
from workflows.run.store import PLAN, Store
from workflows.run.unit import Unit

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = pa.schema(
    [
        pa.field("data_set", pa.string()),
        pa.field("model", pa.string()),
        pa.field("target_loss", pa.float64()),
        pa.field("method", pa.string()),
        pa.field("degradations", pa.list_(pa.string())),
        pa.field("start", pa.int64()),
        pa.field("stop", pa.int64()),
        pa.field("images", pa.string()),
        pa.field("settings", pa.string()),
        pa.field("batch_size", pa.int64()),
        pa.field("checkpoint", pa.string()),
        pa.field("pictures", pa.int64()),
        pa.field("raised", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class Plan:
    """The units that a run's experiment asks for, and those that it asked for once: these stay in the plan, since
    their results come back by their names when they are asked for again."""

    units: tuple[Unit, ...]
    retired: tuple[Unit, ...] = ()

    def __len__(self) -> int:
        return len(self.units)

    @property
    def recoveries(self) -> int:
        return sum(map(len, self.units))

    def frame(self) -> "pd.DataFrame":
        """The units that are asked for, a row each."""
        return _table(self.units).to_pandas()


def save_plan(run: Run, plan: Plan) -> Plan:
    """Keep a first plan, unless another driver has kept one; returns the one that is kept."""
    run.store.write_new_table(PLAN, _table((*plan.units, *plan.retired)))
    return load_plan(run)


def replace_plan(run: Run, plan: Plan) -> None:
    """Keep a plan that has grown in place of the one before."""
    run.store.write_table(PLAN, _table((*plan.units, *plan.retired)))


def load_plan(run: Run) -> Plan:
    """The plan in the run's folder. Raises InputError where there is none yet, or it is not the experiment's."""
    if not run.store.exists(PLAN):
        raise InputError(f"{run.store.uri} has no plan yet; memrec run or memrec recover makes it")
    asked, others = asked_for(run.experiment, planned_once(run.store))
    _check_whole(run, asked)
    return Plan(tuple(asked), tuple(others))


def planned_once(store: Store) -> list[Unit]:
    """All units that the run has ever had; none where nothing is planned yet."""
    if not store.exists(PLAN):
        return []
    try:
        rows = store.read_table(PLAN).to_pylist()
    except InputError as error:
        raise InputError(f"{store.show(PLAN)} is damaged; restore it, or choose another --run") from error
    try:
        return [Unit(**{**row, "degradations": tuple(row["degradations"])}) for row in rows]
    except (TypeError, KeyError) as error:
        raise InputError(
            f"{store.show(PLAN)} is the plan of another revision of memrec ({error}); choose another --run, or read "
            "the run with the revision that made it"
        ) from error


def planned_units(run: Run) -> tuple[list[Unit], list[Unit]]:
    """The units of the run's plan whose checkpoint is there, and the others; raises as `load_plan` does."""
    return with_checkpoints(load_plan(run).units, checkpoints_there(run))


def _check_whole(run: Run, units: Sequence[Unit]) -> None:
    """Raises InputError unless the units are the experiment's, each of its images once."""
    expected = {
        (place, entry.label, degradation.label)
        for place, entry in wanted(run.experiment)
        for degradation in run.experiment.under(entry.label)
    }
    covered: dict[Any, list[tuple[int, int]]] = defaultdict(list)
    for unit in units:
        for label in unit.degradations:
            covered[unit.place, unit.method, label].append((unit.start, unit.stop))
    ends = {what: _end(sorted(parts)) for what, parts in covered.items()}
    of_data_sets = {(place.data_set, end) for (place, *_), end in ends.items()}
    if ends.keys() != expected or len(of_data_sets) > len(run.experiment.data) or -1 in ends.values():
        raise InputError(
            f"{run.store.show(PLAN)} is not the whole plan of its experiment; memrec run or memrec recover completes "
            "it, where it has lost nothing; else restore it, or choose another --run"
        )


def _end(parts: list[tuple[int, int]]) -> int:
    """Where parts end that follow one another from 0 on; -1 for others."""
    starts, stops = zip(*parts, strict=True)
    return stops[-1] if starts == (0, *stops[:-1]) else -1


def with_checkpoints(units: Sequence[Unit], digests: Mapping[Checkpoint, str]) -> tuple[list[Unit], list[Unit]]:
    """The units whose checkpoint is among `digests`, by (model, target loss), or that need none; and the others."""
    named, waiting = [], []
    for unit in units:
        digest = digests.get((unit.model, unit.target_loss), unit.checkpoint)
        (waiting if digest is None else named).append(replace(unit, checkpoint=digest))
    return named, waiting


def _table(units: Sequence[Unit]) -> pa.Table:
    return pa.Table.from_pylist([asdict(unit) for unit in units], COLUMNS)
