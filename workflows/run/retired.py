"""Results that are no longer asked for: they wait in set_aside/recovery/, and come back from there by their names."""

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
from pyarrow.dataset import field

from workflows.run.compacted import drop_compacted
from workflows.run.schema import IMAGES, UNIT
from workflows.run.store import RECOVERY, SET_ASIDE, Store
from workflows.run.survey import is_done, is_of
from workflows.run.unit import Unit


def waiting_place(file: str) -> str:
    """Where a unit's file waits."""
    return f"{SET_ASIDE}/{file}"


def retire(store: Store, files: Iterable[str]) -> None:
    """Move units' files out of the way of readers."""
    files = list(files)
    drop_compacted(store, files)
    store.move({file: waiting_place(file) for file in files})


def bring_back(store: Store, units: Iterable[Unit]) -> list[Unit]:
    """The units whose file waited; it is where it belongs now."""
    waiting = set(store.names(f"{SET_ASIDE}/{RECOVERY}", ".parquet"))
    found = [unit for unit in units if waiting_place(unit.file) in waiting]
    footers = store.footers([waiting_place(unit.file) for unit in found])
    found = [unit for unit, footer in zip(found, footers, strict=True) if is_of(unit, footer)]
    found = [unit for unit in found if not is_done(store, unit)]
    drop_compacted(store, [unit.file for unit in found])
    store.move({waiting_place(unit.file): unit.file for unit in found})
    return found


def split(store: Store, parts: Mapping[Unit, Sequence[Unit]], asked: set[Unit]) -> None:
    """Write the rows of units under several degradations as files of their `parts`, one for each degradation: among the
    results where it is `asked` for, and where it waits else."""
    for whole, singles in parts.items():
        for place in (whole.file, waiting_place(whole.file)):
            if store.is_file(place) and is_of(whole, store.footer(place)):
                table = store.read_table(place)
                for single in singles:
                    name = single.file if single in asked else waiting_place(single.file)
                    store.write_table(name, _part(table, single))
                break


def _part(table: pa.Table, unit: Unit) -> pa.Table:
    [label] = unit.degradations
    rows = table.filter(field("degradation") == label)
    metadata = {**(table.schema.metadata or {}), UNIT: unit.name.encode(), IMAGES: unit.images.encode()}
    return rows.replace_schema_metadata(metadata)
