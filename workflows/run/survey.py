"""Which units of a run are done: what lies among its results, compared with what the plan's units must have there."""

from collections.abc import Sequence
from typing import NamedTuple

from workflows.run.schema import IMAGES, UNIT, VERSION, VERSION_KEY, check_columns
from workflows.run.store import RECOVERY, Footer, Store
from workflows.run.unit import Unit


class Survey(NamedTuple):
    """Of some units, those that have a file and those that have none; and what lies among the results that is damaged,
    or no unit's: files, and folders where a unit's file should be."""

    done: list[Unit]
    left: list[Unit]
    stray: list[str]


def survey(store: Store, units: Sequence[Unit], others: Sequence[Unit] | None = None, verify: bool = False) -> Survey:
    """Which of the units have a file: a name under its final path is a whole upload, so that a listing tells.

    What a file says of itself is seen where it is read, in `rows`; or here, to `verify`, from each one's footer.

    With the plan's `others` all that lies below recovery/ is looked at: what belongs neither to them nor to the units
    is stray. Those without a checkpoint have no names yet, so their folders are left alone. Without, the units are all
    of their checkpoints', and their folders are looked at alone.
    """
    if others is None:
        present = {name for folder in {unit.folder for unit in units} for name in store.names(folder, "")}
    else:
        present = set(store.names(RECOVERY, ""))
    found = [unit for unit in units if unit.file in present]
    if verify:
        footers = store.footers([unit.file for unit in found])
        found = [unit for unit, footer in zip(found, footers, strict=True) if is_of(unit, footer)]
    done = set(found)
    left = [unit for unit in units if unit not in done]
    known = {unit.file for unit in found}
    known |= {unit.file for unit in others or () if unit.checkpoint is not None}
    folders = tuple({f"{unit.folder}/" for unit in others or () if unit.checkpoint is None})
    stray = {name for name in present - known if not (name.startswith(folders) or _is_hidden(name))}
    blocking = {unit.file for unit in left if store.is_folder(unit.file)}
    stray = {name for name in stray if not any(name.startswith(f"{folder}/") for folder in blocking)}
    return Survey([unit for unit in units if unit in done], left, sorted(stray | blocking))


def _is_hidden(name: str) -> bool:
    """Whether readers of Parquet pass a file over."""
    return name.rpartition("/")[2].startswith("_")


def is_done(store: Store, unit: Unit, verify: bool = False) -> bool:
    """Whether the unit has a file; to `verify`, one that is whole and its own by the footer."""
    return store.is_file(unit.file) and (not verify or is_of(unit, store.footer(unit.file)))


def fault_of(store: Store, name: str) -> str:
    """What is wrong with a file that is stray, as the end of a sentence."""
    footer = None if store.is_folder(name) else store.footer(name)
    lacks = check_columns(footer.schema) if footer else ""
    return lacks or "is damaged, or not of this run's plan"


def is_of(unit: Unit, footer: Footer | None) -> bool:
    """Whether a file, by its footer, is whole and the unit's. That its rows are is seen where they are read: see
    `rows`."""
    if footer is None:
        return False
    said = {key: (footer.schema.metadata or {}).get(key, b"").decode() for key in (VERSION_KEY, UNIT, IMAGES)}
    expected = {VERSION_KEY: VERSION, UNIT: unit.name, IMAGES: unit.images}
    return footer.rows == len(unit) and said == expected and not check_columns(footer.schema)


def outlook(done: Sequence[Unit], left: Sequence[Unit]) -> str:
    """What of a run's recoveries is there and what is to do, with what is new in it: `3,120 of 4,680 recoveries are
    there; 1,560 to do: method adaptive`."""
    there, to_do = sum(map(len, done)), sum(map(len, left))
    said = f"{there:,} of {there + to_do:,} recoveries are there"
    if not left:
        return f"{said}; nothing is to do"
    new = [what for what in _kinds_of(left) - _kinds_of(done)] if done else []
    named = ", ".join(f"{kind} {label}" for kind, label in sorted(new))
    rest = [unit for unit in left if not _kinds_of([unit]) & set(new)]
    return f"{said}; {to_do:,} to do" + (f": {named}{', and what else is missing' if rest else ''}" if named else "")


def _kinds_of(units: Sequence[Unit]) -> set[tuple[str, str]]:
    """What the units are of: by its kind, each label."""
    found = set()
    for unit in units:
        found |= {("data set", unit.data_set), ("method", unit.method)}
        found |= {("degradation", label) for label in unit.degradations}
        if unit.uses_network:
            found |= {("model", unit.model)}
            found |= set() if unit.target_loss is None else {("target", f"{unit.target_loss:g}")}
    return found
