from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflows.audit_set import AuditSet, load_audit_set
from workflows.experiment import Experiment
from workflows.plan import Unit, load_plan, make_plan, remaining, save_plan
from workflows.schema import SCHEMA
from workflows.store import Store

CHECKPOINTS = [
    {"digest": "d1", "model": "fc10-leaky_relu", "target": 1e-2, "loss": 0.009},
    {"digest": "d2", "model": "fc10-leaky_relu", "target": 1e-3, "loss": 0.0009},
]


@pytest.fixture
def audit(small: Experiment) -> AuditSet:
    return load_audit_set(small)


def test_every_image_is_in_exactly_one_unit_of_each_checkpoint_degradation_and_method(small, audit):
    covered = Counter(
        (unit.checkpoint, unit.degradation, unit.method, image)
        for unit in make_plan(small, audit, CHECKPOINTS)
        for image in range(unit.start, unit.stop)
    )
    assert len(covered) == 2 * 2 * 3 * 12
    assert set(covered.values()) == {1}


def test_plan_is_the_same_each_time_and_its_files_are_distinct(small, audit):
    plan = make_plan(small, audit, CHECKPOINTS)
    assert make_plan(small, audit, CHECKPOINTS) == plan
    assert len({unit.file for unit in plan}) == len({unit.name for unit in plan}) == len(plan)


def test_unit_of_another_checkpoint_has_another_name(small, audit):
    names = {unit.name for unit in make_plan(small, audit, CHECKPOINTS)}
    changed = [{**checkpoint, "digest": checkpoint["digest"] + "x"} for checkpoint in CHECKPOINTS]
    assert names.isdisjoint(unit.name for unit in make_plan(small, audit, changed))


def test_audit_set_is_train_then_control_without_a_shared_image(small, audit):
    assert audit.splits == ("train",) * 6 + ("control",) * 6
    assert len(set(audit.ids)) == 12


def test_saved_plan_is_loaded_as_it_was(small, audit, tmp_path: Path):
    store, plan = Store(str(tmp_path)), make_plan(small, audit, CHECKPOINTS)
    save_plan(store, plan)
    assert load_plan(store) == plan


def write_rows(store: Store, unit: Unit, rows: int, schema=SCHEMA) -> None:
    columns = [[None] * rows for _ in schema]
    store.write_table(unit.file, pa.table(columns, schema=schema))


def test_remaining_are_the_units_without_a_valid_file(small, audit, tmp_path: Path):
    store, plan = Store(str(tmp_path)), make_plan(small, audit, CHECKPOINTS)
    whole, short, truncated, old = plan[:4]
    write_rows(store, whole, 4)
    write_rows(store, short, 3)
    write_rows(store, truncated, 4)
    write_rows(store, old, 4, SCHEMA.with_metadata({"memrec_schema_version": "0"}))
    damaged = tmp_path / truncated.file
    damaged.write_bytes(damaged.read_bytes()[:-5])
    assert remaining(store, plan) == plan[1:]
    assert pq.read_schema(tmp_path / whole.file).equals(SCHEMA)
