"""Results that are no longer asked for: they wait in set_aside/recovery/, and come back from there by their names."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow as pa
from pyarrow.dataset import field

from workflows.run.compacted import drop_compacted
from workflows.run.schema import IMAGES, UNIT
from workflows.run.store import CONNECTIONS, RECOVERY, SET_ASIDE, Store
from workflows.run.survey import is_of
from workflows.run.unit import Unit


def waiting_place(file: str) -> str:
    """Where a unit's file waits."""
    return f"{SET_ASIDE}/{file}"


def retire(store: Store, files: Iterable[str]) -> None:
    """Move units' files out of the way of readers."""
    places = {file: waiting_place(file) for file in files}
    drop_compacted(store, places)
    store.move(places)


def bring_back(store: Store, units: Iterable[Unit], present: Collection[str]) -> list[Unit]:
    """The units whose file waited, and is not `present` among the results; it is where it belongs now."""
    waiting = set(store.names(f"{SET_ASIDE}/{RECOVERY}", ".parquet"))
    found = [unit for unit in units if waiting_place(unit.file) in waiting and unit.file not in present]
    footers = store.footers([waiting_place(unit.file) for unit in found])
    found = [unit for unit, footer in zip(found, footers, strict=True) if is_of(unit, footer)]
    drop_compacted(store, [unit.file for unit in found])
    store.move({waiting_place(unit.file): unit.file for unit in found})
    return found


def split(store: Store, parts: Mapping[Unit, Sequence[Unit]], asked: Collection[Unit]) -> None:
    """Write the rows of units under several degradations as files of their `parts`, one for each degradation: among the
    results where it is `asked` for, and where it waits else."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(partial(_split, store, asked), parts.items()))


def _split(store: Store, asked: Collection[Unit], parts: tuple[Unit, Sequence[Unit]]) -> None:
    whole, singles = parts
    for place in (whole.file, waiting_place(whole.file)):
        if not is_of(whole, store.footer(place)):
            continue
        table = store.read_table(place)
        for single in singles:
            store.write_table(single.file if single in asked else waiting_place(single.file), _part(table, single))
        return


def _part(table: pa.Table, unit: Unit) -> pa.Table:
    [label] = unit.degradations
    rows = table.filter(field("degradation") == label)
    metadata = {**(table.schema.metadata or {}), UNIT: unit.name.encode(), IMAGES: unit.images.encode()}
    return rows.replace_schema_metadata(metadata)
