"""Which units of a run are done: what lies among its results, compared with what the plan's units must have there."""

from collections.abc import Sequence
from typing import NamedTuple

from workflows.run.plan import Unit
from workflows.run.schema import IMAGES, UNIT, VERSION, VERSION_KEY, check_columns
from workflows.run.store import RECOVERY, Footer, Store


class Survey(NamedTuple):
    """Of some units, those that have a valid file and those that have none; and what lies among the results that is
    damaged, or no unit's: files, and folders where a unit's file should be."""

    done: list[Unit]
    left: list[Unit]
    stray: list[str]


def survey(store: Store, units: Sequence[Unit], others: Sequence[Unit] | None = None) -> Survey:
    """Which of the units have a valid file: one that is there, whole, with the columns of the
    schema that are required, and says that it is the unit's.

    With the plan's `others` all that lies below recovery/ is looked at: what belongs neither to them nor to the units
    is stray. Those without a checkpoint have no names yet, so their folders are left alone. Without, the units are all
    of their checkpoints', and their folders are looked at alone.
    """
    if others is None:
        present = {name for folder in {unit.folder for unit in units} for name in store.names(folder, "")}
    else:
        present = set(store.names(RECOVERY, ""))
    found = [unit for unit in units if unit.file in present]
    valid = dict(zip(found, map(_is_of, found, store.footers([unit.file for unit in found])), strict=True))
    left = [unit for unit in units if not valid.get(unit)]
    known = {unit.file for unit, fits in valid.items() if fits}
    known |= {unit.file for unit in others or () if unit.checkpoint is not None}
    folders = tuple({f"{unit.folder}/" for unit in others or () if unit.checkpoint is None})
    stray = {name for name in present - known if not (name.startswith(folders) or _is_hidden(name))}
    blocking = {unit.file for unit in left if store.is_folder(unit.file)}
    stray = {name for name in stray if not any(name.startswith(f"{folder}/") for folder in blocking)}
    return Survey([unit for unit in units if valid.get(unit)], left, sorted(stray | blocking))


def _is_hidden(name: str) -> bool:
    """Whether readers of Parquet pass a file over."""
    return name.rpartition("/")[2].startswith("_")


def is_done(store: Store, unit: Unit) -> bool:
    """Whether the unit has a valid file."""
    return not store.is_folder(unit.file) and _is_of(unit, store.footer(unit.file))


def fault_of(store: Store, name: str) -> str:
    """What is wrong with a file that is stray, as the end of a sentence."""
    footer = None if store.is_folder(name) else store.footer(name)
    lacks = check_columns(footer.schema) if footer else ""
    return lacks or "is damaged, or not of this run's plan"


def _is_of(unit: Unit, footer: Footer | None) -> bool:
    """Whether a file, by its footer, is whole and the unit's. That its rows are is seen where they are read: see
    `rows`."""
    if footer is None:
        return False
    said = {key: (footer.schema.metadata or {}).get(key, b"").decode() for key in (VERSION_KEY, UNIT, IMAGES)}
    expected = {VERSION_KEY: VERSION, UNIT: unit.name, IMAGES: unit.images}
    return footer.rows == len(unit) and said == expected and not check_columns(footer.schema)
