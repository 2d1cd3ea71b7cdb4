"""From an experiment and its checkpoints to work units: deterministic, small, and kept in the run's folder."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from memrec_core.errors import InputError
from workflows.audit_set import AuditSet
from workflows.experiment import GENERIC, GENERIC_METHODS, Degradation, Experiment, Model
from workflows.schema import SCHEMA, VERSION
from workflows.store import PLAN, RECOVERY, Store


@dataclass(frozen=True)
class Unit:
    """What one task recovers, and one Parquet file holds: images start to stop of the audit set, one checkpoint,
    one degradation, one method. A method that uses no network has the model `generic`, no training loss, and for a
    checkpoint the digest of its prior, or nothing."""

    name: str
    model: str
    target_loss: float | None
    checkpoint: str
    degradation: str
    method: str
    start: int
    stop: int

    @property
    def file(self) -> str:
        network = GENERIC if self.target_loss is None else f"{self.model}/{loss_label(self.target_loss)}"
        return f"{RECOVERY}/{network}/{self.degradation}/{self.method}/{self.name}.parquet"


def loss_label(loss: float) -> str:
    """A training loss as the name of a file or folder: 1e-08."""
    return f"{loss:g}"


def model_of(experiment: Experiment, unit: Unit) -> Model:
    return next(model for model in experiment.models if model.label == unit.model)


def degradation_of(experiment: Experiment, unit: Unit) -> Degradation:
    return next(entry for entry in experiment.degradations if entry.label == unit.degradation)


def make_plan(
    experiment: Experiment, audit: AuditSet, checkpoints: list[dict[str, Any]], prior: str = ""
) -> list[Unit]:
    """All units, those of one checkpoint side by side, the slow methods of each first.

    `checkpoints` are the metadata of the experiment's checkpoints, `prior` the digest of ddnm's. A unit's name follows
    from what it computes, so that the same work has the same file.
    """
    units = []
    for method in experiment.methods:
        if method in GENERIC_METHODS:
            digest = prior if method == "ddnm" else ""
            units += _units(experiment, audit, method, GENERIC, None, digest)
    networked = [method for method in experiment.methods if method not in GENERIC_METHODS]
    for checkpoint in checkpoints:
        model, target, digest = (checkpoint[key] for key in ("model", "target", "digest"))
        for method in sorted(networked, key=lambda method: method == "known_mask"):
            units += _units(experiment, audit, method, model, target, digest)
    return units


def _units(
    experiment: Experiment, audit: AuditSet, method: str, model: str, target_loss: float | None, checkpoint: str
) -> list[Unit]:
    """One unit for each degradation and each slice of the images."""
    size, units = experiment.images_per_unit, []
    for degradation in experiment.degradations:
        for start in range(0, len(audit), size):
            stop = min(start + size, len(audit))
            images = (*audit.splits[start:stop], *audit.ids[start:stop])
            content = (model, checkpoint, degradation.label, method, *images)
            name = hashlib.sha256("\x1f".join(content).encode()).hexdigest()[:16]
            units.append(Unit(name, model, target_loss, checkpoint, degradation.label, method, start, stop))
    return units


def save_plan(store: Store, units: list[Unit]) -> None:
    store.write_table(PLAN, pa.Table.from_pylist([asdict(unit) for unit in units]))


def load_plan(store: Store) -> list[Unit]:
    """The plan in the run's folder. Raises InputError where there is none yet."""
    if not store.exists(PLAN):
        raise InputError(
            f"{store.uri} has no plan yet: its networks are not trained; memrec run or memrec recover makes it"
        )
    try:
        return [Unit(**row) for row in store.read_table(PLAN).to_pylist()]
    except TypeError as error:
        raise InputError(
            f"{store.show(PLAN)} is not a plan of this version of memrec ({error}); remove it and run again"
        ) from error


def remaining(store: Store, units: list[Unit]) -> list[Unit]:
    """The units without a valid file: one that is there, whole, of this schema, and with a row an image."""
    present = set(store.names(RECOVERY, ".parquet"))
    return [unit for unit in units if unit.file not in present or not _is_valid(store, unit)]


def _is_valid(store: Store, unit: Unit) -> bool:
    found = store.rows(unit.file)
    if found is None:
        return False
    rows, schema = found
    version = (schema.metadata or {}).get(b"memrec_schema_version", b"").decode()
    return rows == unit.stop - unit.start and schema.names == SCHEMA.names and version == VERSION
