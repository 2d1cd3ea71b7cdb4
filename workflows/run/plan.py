"""From an experiment to work units: deterministic, small, and kept in the run's folder."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import pyarrow as pa

from memrec_core.errors import InputError
from workflows.experiment.written import Degradation, Experiment, Model
from workflows.methods import GENERIC, METHODS
from workflows.run.catalogue import Catalogue
from workflows.run.checkpoint_files import loss_label, trained_checkpoints
from workflows.run.schema import IMAGES, SCHEMA, UNIT, VERSION, VERSION_KEY
from workflows.run.store import PLAN, RECOVERY, Footer, Store

Kind = tuple[str, str, str]
"""Data set, model and method."""


class Size(NamedTuple):
    """How many recoveries a unit holds, about, and how many of them are side by side on the device."""

    recoveries: int
    batch_size: int


Sizes = Callable[[Kind], Size]
SEVERAL = "several"
"""What stands for the degradation in the path of a unit that has several."""


@dataclass(frozen=True)
class Unit:
    """What one task recovers, and one Parquet file holds: images start to stop of a data set under some degradations,
    one checkpoint, one method. A method that uses no network has the model `generic` and no training loss.

    `batch_size` is how many recoveries are side by side on the device, `images` a digest of the images' names and
    pixels, `settings` one of what else the values follow from. `checkpoint` is the digest of the weights (of the prior,
    or nothing, for a method that uses no network): None until the network is trained.
    """

    data_set: str
    model: str
    target_loss: float | None
    method: str
    degradations: tuple[str, ...]
    start: int
    stop: int
    images: str
    settings: str
    batch_size: int
    checkpoint: str | None = None

    @property
    def name(self) -> str:
        """Follows from what the unit computes, so that the same work has the same file."""
        if self.checkpoint is None:
            raise ValueError(f"the unit {self} has no name before its network is trained")
        trained = f"{self.target_loss} {self.checkpoint}"  # two targets may have been reached at the same step
        content = (self.data_set, self.model, trained, *self.degradations, self.method, self.images, self.settings)
        return hashlib.sha256("\x1f".join(content).encode()).hexdigest()[:16]

    @property
    def kind(self) -> Kind:
        """Units of one kind take equally long an image."""
        return self.data_set, self.model, self.method

    @property
    def file(self) -> str:
        degradation = self.degradations[0] if len(self.degradations) == 1 else SEVERAL
        return f"{self.folder}/{degradation}/{self.method}/{self.name}.parquet"

    @property
    def folder(self) -> str:
        """The folder of all units with this checkpoint."""
        network = GENERIC if self.target_loss is None else f"{self.model}/{loss_label(self.target_loss)}"
        return f"{RECOVERY}/{network}"

    def __len__(self) -> int:
        """How many recoveries it is: an image under one degradation is one."""
        return (self.stop - self.start) * len(self.degradations)


class Survey(NamedTuple):
    """Of some units, those that have a valid file and those that have none; and what lies among the results that is
    damaged, or no unit's: files, and folders where a unit's file should be."""

    done: list[Unit]
    left: list[Unit]
    stray: list[str]


def model_of(experiment: Experiment, unit: Unit) -> Model:
    return next(model for model in experiment.models if model.label == unit.model)


def degradations_of(experiment: Experiment, unit: Unit) -> list[Degradation]:
    labelled = {entry.label: entry for entry in experiment.degradations}
    return [labelled[label] for label in unit.degradations]


def make_plan(
    experiment: Experiment, catalogues: dict[str, Catalogue], sizes: Sizes, prior: str | None = None
) -> list[Unit]:
    """All units, those of one checkpoint side by side, the slow methods of each first.

    `catalogues` has that of each data set by its label, `prior` is the digest of ddnm's diffusion model.
    """

    def of(data_set: str, model: str, target: float | None, method: str, checkpoint: str | None = None) -> list[Unit]:
        labels = [entry.label for entry in experiment.degradations]
        catalogue, size = catalogues[data_set], sizes((data_set, model, method))
        digest, settings = cache(catalogue.digest), settings_digest(experiment, model, method)
        what = (data_set, model, target, method)
        return [
            Unit(*what, together, *bounds, digest(*bounds), settings, size.batch_size, checkpoint)
            for together, *bounds in shards(labels, len(catalogue), size.recoveries)
        ]

    units = []
    for method in experiment.methods:
        if METHODS[method].generic:
            for data in experiment.data:
                units += of(data.label, GENERIC, None, method, prior if method == "ddnm" else "")
    networked = [method for method in experiment.methods if not METHODS[method].generic]
    for model in experiment.models:
        for target in sorted(experiment.training.targets, reverse=True):
            for method in sorted(networked, key=lambda method: method == "known_mask"):
                units += of(model.data, model.label, target, method)
    return units


def settings_digest(experiment: Experiment, model: str, method: str) -> str:
    """Changes with whatever of the experiment, beside what a unit names, gives its rows other values."""
    content: dict[str, Any] = {"seed": experiment.seed}
    if not METHODS[method].generic:
        own = next(entry for entry in experiment.models if entry.label == model)
        first_mask = experiment.recovery.first_mask or own.first_mask
        content |= {"recovery": experiment.recovery.model_dump(), "gamma": own.gamma, "first_mask": first_mask}
    elif method == "ddnm" and experiment.ddnm is not None:
        content |= {"steps": experiment.ddnm.steps, "eta": experiment.ddnm.eta}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def shards(degradations: list[str], images: int, size: int) -> list[tuple[tuple[str, ...], int, int]]:
    """Some degradations, start and stop, for each unit of about `size` recoveries: a part of the images under one
    degradation, or all of them under several."""
    if size < 2 * images:
        bounds = [(start, min(start + size, images)) for start in range(0, images, size)]
        return [((label,), *pair) for label in degradations for pair in bounds]
    together = size // images
    groups = [tuple(degradations[i : i + together]) for i in range(0, len(degradations), together)]
    return [(group, 0, images) for group in groups]


def save_plan(experiment: Experiment, store: Store, units: list[Unit]) -> list[Unit]:
    """Keep the plan, unless another driver has kept one; returns the one that is kept."""
    table = pa.Table.from_pylist([asdict(unit) for unit in units])
    store.write_new_table(PLAN, table)
    return load_plan(experiment, store)


def load_plan(experiment: Experiment, store: Store) -> list[Unit]:
    """The plan in the run's folder. Raises InputError where there is none yet, or it is not the experiment's."""
    if not store.exists(PLAN):
        raise InputError(f"{store.uri} has no plan yet; memrec run or memrec recover makes it")
    try:
        rows = store.read_table(PLAN).to_pylist()
        units = [Unit(**{**row, "degradations": tuple(row["degradations"])}) for row in rows]
    except (TypeError, KeyError) as error:
        raise InputError(
            f"{store.show(PLAN)} is the plan of another revision of memrec ({error}); choose another --run, or read "
            "the run with the revision that made it"
        ) from error
    _check_whole(experiment, store, units)
    return units


def planned_units(experiment: Experiment, store: Store) -> tuple[list[Unit], list[Unit]]:
    """The units of the run's plan whose checkpoint is there, and the others; raises as `load_plan` does."""
    return with_checkpoints(load_plan(experiment, store), trained_checkpoints(experiment, store))


def _check_whole(experiment: Experiment, store: Store, units: list[Unit]) -> None:
    """Raises InputError unless the units are the experiment's, each of its images once."""
    methods = [method for method in experiment.methods if not METHODS[method].generic]
    labels = [degradation.label for degradation in experiment.degradations]
    wanted = {
        *product([(m.data, m.label) for m in experiment.models], experiment.training.targets, methods, labels),
        *product([(d.label, GENERIC) for d in experiment.data], [None], set(experiment.methods) - {*methods}, labels),
    }
    covered: dict[Any, list[tuple[int, int]]] = defaultdict(list)
    for unit in units:
        for label in unit.degradations:
            covered[(unit.data_set, unit.model), unit.target_loss, unit.method, label].append((unit.start, unit.stop))
    ends = {what: _end(sorted(parts)) for what, parts in covered.items()}
    of_data_sets = {(what[0][0], end) for what, end in ends.items()}
    if ends.keys() != wanted or len(of_data_sets) > len(experiment.data) or -1 in ends.values():
        raise InputError(
            f"{store.show(PLAN)} is not the whole plan of its experiment; restore it, or choose another --run"
        )


def _end(parts: list[tuple[int, int]]) -> int:
    """Where parts end that follow one another from 0 on; -1 for others."""
    starts, stops = zip(*parts, strict=True)
    return stops[-1] if starts == (0, *stops[:-1]) else -1


def with_checkpoints(units: list[Unit], digests: dict[tuple[str, float], str]) -> tuple[list[Unit], list[Unit]]:
    """The units whose checkpoint is among `digests`, by (model, target loss), or that need none; and the others."""
    named, waiting = [], []
    for unit in units:
        digest = digests.get((unit.model, unit.target_loss), unit.checkpoint)
        (waiting if digest is None else named).append(replace(unit, checkpoint=digest))
    return named, waiting


def survey(store: Store, units: Sequence[Unit], others: Sequence[Unit] | None = None) -> Survey:
    """Which of the units have a valid file: one that is there, whole, of this schema, and says that it is the unit's.

    With the plan's `others` all that lies below recovery/ is looked at: what belongs neither to them nor to the units
    is stray. Those without a checkpoint have no names yet, so their folders are left alone. Without, the units are all
    of their checkpoints', and their folders are looked at alone.
    """
    if others is None:
        present = {name for folder in {unit.folder for unit in units} for name in store.names(folder, "")}
    else:
        present = set(store.names(RECOVERY, ""))
    found = [unit for unit in units if unit.file in present]
    valid = dict(zip(found, map(_fits, found, store.footers([unit.file for unit in found])), strict=True))
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
    return not store.is_folder(unit.file) and _fits(unit, store.footer(unit.file))


def _fits(unit: Unit, footer: Footer | None) -> bool:
    """Whether a file, by its footer, is whole and the unit's. That its rows are is seen where they are read: see
    `aggregate`."""
    if footer is None:
        return False
    said = {key: (footer.schema.metadata or {}).get(key, b"").decode() for key in (VERSION_KEY, UNIT, IMAGES)}
    expected = {VERSION_KEY: VERSION, UNIT: unit.name, IMAGES: unit.images}
    return footer.rows == len(unit) and footer.schema.names == SCHEMA.names and said == expected
