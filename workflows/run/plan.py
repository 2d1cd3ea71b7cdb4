"""From an experiment to work units: deterministic, small, and kept in the run's folder."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import product
from typing import Any, NamedTuple

import pyarrow as pa

from memrec_core.errors import InputError
from workflows.experiment.methods import MethodEntry
from workflows.experiment.models import GENERIC
from workflows.experiment.plain import plain_settings
from workflows.experiment.resolved import Experiment, written_degradation
from workflows.run.catalogue import Catalogue
from workflows.run.checkpoint_files import Checkpoint, checkpoints_there, loss_label
from workflows.run.store import PLAN, RECOVERY, Store

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
    one checkpoint, one method, by its label. A method that uses no network has the model `generic`; it has no training
    loss, nor has a network that was not trained here.

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
        network = f"{self.model}/{loss_label(self.target_loss)}" if self.uses_network else GENERIC
        return f"{RECOVERY}/{network}"

    @property
    def uses_network(self) -> bool:
        return self.model != GENERIC

    def __len__(self) -> int:
        """How many recoveries it is: an image under one degradation is one."""
        return (self.stop - self.start) * len(self.degradations)


def make_plan(
    experiment: Experiment, catalogues: dict[str, Catalogue], sizes: Sizes, priors: Mapping[str, str] | None = None
) -> list[Unit]:
    """All units, those of one checkpoint side by side, the slow methods of each first.

    `catalogues` has that of each data set by its label, `priors` the digest of each generic prior by its source.
    """
    units = []
    networked, generic = (sorted(some, key=_slow_first) for some in (experiment.networked, experiment.generic))
    for data in experiment.data:
        for entry in generic:
            checkpoint = (priors or {}).get(entry.prior) if entry.prior else ""
            units += _units(experiment, catalogues, sizes, (data.label, GENERIC, None), entry, checkpoint)
    for model in experiment.models:
        for target in model.ladder(experiment.training.targets):
            for entry in networked:
                units += _units(experiment, catalogues, sizes, (model.data, model.label, target), entry)
    return units


def _slow_first(entry: MethodEntry) -> int:
    return -entry.method.evaluations()


def _units(
    experiment: Experiment,
    catalogues: dict[str, Catalogue],
    sizes: Sizes,
    basis: tuple[str, str, float | None],
    entry: MethodEntry,
    checkpoint: str | None = None,
) -> list[Unit]:
    """The units of one method on one `basis`: the data set, the model and its training loss."""
    data_set, model, target = basis
    catalogue, size = catalogues[data_set], sizes((data_set, model, entry.label))
    digest, settings = cache(catalogue.digest), cache(partial(settings_digest, experiment, model, entry))
    labels = [degradation.label for degradation in experiment.under(entry.label)]
    return [
        Unit(
            data_set,
            model,
            target,
            entry.label,
            together,
            start,
            stop,
            digest(start, stop),
            settings(together),
            size.batch_size,
            checkpoint,
        )
        for together, start, stop in shards(labels, len(catalogue), size.recoveries)
    ]


def settings_digest(experiment: Experiment, model: str, entry: MethodEntry, degradations: tuple[str, ...]) -> str:
    """Changes with whatever of the experiment, beside what a unit names, gives its rows other values."""
    content: dict[str, Any] = {
        "seed": experiment.seed,
        "method": [entry.method.name, plain_settings(entry.method)],
        "degradations": [written_degradation(experiment.degradation(label)) for label in degradations],
    }
    if model != GENERIC:
        own = experiment.model(model)
        content["network"] = [own.gamma, own.first_mask]
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
    return with_checkpoints(load_plan(experiment, store), checkpoints_there(experiment, store))


def _check_whole(experiment: Experiment, store: Store, units: list[Unit]) -> None:
    """Raises InputError unless the units are the experiment's, each of its images once."""
    wanted = set()
    for entry in experiment.methods:
        labels = [degradation.label for degradation in experiment.under(entry.label)]
        if entry in experiment.networked:
            for model in experiment.models:
                place = (model.data, model.label)
                wanted |= {*product([place], model.ladder(experiment.training.targets), [entry.label], labels)}
        else:
            wanted |= {*product([(data.label, GENERIC) for data in experiment.data], [None], [entry.label], labels)}
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


def with_checkpoints(units: list[Unit], digests: Mapping[Checkpoint, str]) -> tuple[list[Unit], list[Unit]]:
    """The units whose checkpoint is among `digests`, by (model, target loss), or that need none; and the others."""
    named, waiting = [], []
    for unit in units:
        digest = digests.get((unit.model, unit.target_loss), unit.checkpoint)
        (waiting if digest is None else named).append(replace(unit, checkpoint=digest))
    return named, waiting
