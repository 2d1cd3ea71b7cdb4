import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memrec_core.errors import InputError
from tests.conftest import SMALL
from workflows.experiment import loading as experiment
from workflows.experiment.resolved import Experiment
from workflows.run.audit_set import load_audit_set
from workflows.run.catalogue import Catalogue, Image
from workflows.run.plan import Plan, load_plan, save_plan, with_checkpoints
from workflows.run.planning import Size, make_plan, shards
from workflows.run.run import Run
from workflows.run.schema import SCHEMA, schema_of
from workflows.run.store import Store
from workflows.run.survey import survey
from workflows.run.unit import Kind, Unit

DIGESTS = {("fc10-leaky_relu", 1e-2): "d1", ("fc10-leaky_relu", 1e-3): "d2"}


def four(kind: Kind) -> Size:
    return Size(4, 512)


@pytest.fixture
def catalogues(small: Experiment) -> dict[str, Catalogue]:
    return {"photos": load_audit_set(small.data[0], small.seed).catalogue}


@pytest.fixture
def units(small: Experiment, catalogues: dict[str, Catalogue]) -> list[Unit]:
    """The units of the small experiment, with the digests of their checkpoints."""
    return with_checkpoints(make_plan(small, catalogues, four), DIGESTS)[0]


def test_every_image_is_in_exactly_one_unit_of_each_checkpoint_degradation_and_method(units):
    covered = Counter(
        (unit.checkpoint, degradation, unit.method, image)
        for unit in units
        for degradation in unit.degradations
        for image in range(unit.start, unit.stop)
    )
    assert len(covered) == 2 * 2 * 3 * 12
    assert set(covered.values()) == {1}


def test_small_data_set_shares_its_units_among_degradations():
    labels = ["a", "b", "c", "d", "e"]
    assert shards(labels, 50, 1000) == [(("a", "b", "c", "d", "e"), 0, 50)]
    assert shards(labels, 50, 149) == [(("a", "b"), 0, 50), (("c", "d"), 0, 50), (("e",), 0, 50)]
    assert shards(labels, 50, 99) == [((label,), 0, 50) for label in labels]
    assert shards(["a"], 50, 20) == [(("a",), 0, 20), (("a",), 20, 40), (("a",), 40, 50)]


def test_plan_is_the_same_each_time_and_its_files_are_distinct(small, catalogues, units):
    assert make_plan(small, catalogues, four) == make_plan(small, catalogues, four)
    assert len({unit.file for unit in units}) == len({unit.name for unit in units}) == len(units)


def test_unit_of_another_checkpoint_has_another_name(small, catalogues, units):
    changed, _ = with_checkpoints(make_plan(small, catalogues, four), {key: d + "x" for key, d in DIGESTS.items()})
    assert {unit.name for unit in units}.isdisjoint(unit.name for unit in changed)


def test_targets_that_were_reached_at_the_same_step_have_units_of_their_own(small, catalogues):
    units, _ = with_checkpoints(make_plan(small, catalogues, four), dict.fromkeys(DIGESTS, "same"))
    assert len({unit.name for unit in units}) == len({unit.file for unit in units}) == len(units)


def test_units_wait_for_their_own_checkpoint_alone(small, catalogues):
    plan = make_plan(small, catalogues, four)
    ready, waiting = with_checkpoints(plan, {("fc10-leaky_relu", 1e-2): "d1"})
    assert {unit.target_loss for unit in ready} == {1e-2}
    assert {unit.target_loss for unit in waiting} == {1e-3}
    assert len(ready) + len(waiting) == len(plan)


def test_audit_set_is_train_then_control_without_a_shared_image(catalogues):
    catalogue = catalogues["photos"]
    assert [image.split for image in catalogue.audited] == ["train"] * 6 + ["control"] * 6
    assert len({image.id for image in catalogue.audited}) == 12


def test_first_plan_is_kept_and_loaded_as_it_was(small, catalogues, tmp_path: Path):
    store, plan = Store(str(tmp_path)), make_plan(small, catalogues, four)
    assert save_plan(Run(small, store), Plan(tuple(plan))).units == tuple(plan)
    assert save_plan(
        Run(small, store), Plan(tuple(make_plan(small, catalogues, lambda kind: Size(12, 512))))
    ).units == tuple(plan)
    assert load_plan(Run(small, store)).units == tuple(plan)


def test_millions_of_recoveries_are_planned_in_seconds(small):
    """25,000 images and 1,000 control ones, 6 masks, 4 methods, 5 checkpoints."""
    masks = [{"mask": number} for number in range(1, 7)]
    methods = ["unknown_mask", "known_mask", "autoencoder_iterations", "biharmonic"]
    training = {"targets": [1e-4, 1e-5, 1e-6, 1e-7, 1e-8]}
    tree = small.tree() | {"degradations": masks, "methods": methods, "training": training}
    splits = ("train",) * 25_000 + ("control",) * 1_000
    catalogue = Catalogue(tuple(Image(split, f"n{i:08}", None, f"{i:016}") for i, split in enumerate(splits)))
    began = time.perf_counter()
    plan = make_plan(experiment.experiment_from(tree), {"photos": catalogue}, lambda kind: Size(100, 512))
    ready, _ = with_checkpoints(plan, {("fc10-leaky_relu", target): f"d{target}" for target in training["targets"]})
    assert len({unit.name for unit in ready}) == 260 * 6 * (3 * 5 + 1)
    assert time.perf_counter() - began < 20  # it takes less than one: a bound that a busy machine keeps too


def write_rows(store: Store, unit: Unit, rows: int, schema: pa.Schema | None = None) -> None:
    columns = [[None] * rows for _ in SCHEMA]
    store.write_table(unit.file, pa.table(columns, schema=schema or schema_of(unit.name, unit.images)))


def test_survey_tells_what_is_done_left_and_stray(units, tmp_path: Path):
    store = Store(str(tmp_path))
    whole, short, truncated, old, sibling = units[:5]
    write_rows(store, whole, 4)
    write_rows(store, short, 3)
    write_rows(store, truncated, 4)
    write_rows(store, old, 4, SCHEMA.with_metadata({"memrec_schema_version": "0"}))
    write_rows(store, sibling, 4, schema_of(whole.name, whole.images))
    store.write("recovery/stray.parquet", b"")
    damaged = tmp_path / truncated.file
    damaged.write_bytes(damaged.read_bytes()[:-5])
    store.write(f"{whole.folder}/notes.txt", b"mine")
    others = [f"{whole.folder}/notes.txt", "recovery/stray.parquet"]
    listed = survey(store, units, [])
    assert (listed.done, listed.left, listed.stray) == (units[:5], units[5:], sorted(others))
    seen = survey(store, units, [], verify=True)
    assert seen.done == [whole]
    assert seen.left == units[1:]
    assert seen.stray == sorted([short.file, truncated.file, old.file, sibling.file, *others])
    assert pq.read_schema(tmp_path / whole.file).equals(SCHEMA)


def test_survey_leaves_alone_what_belongs_to_the_rest_of_the_plan(units, small, catalogues, tmp_path: Path):
    store = Store(str(tmp_path))
    plan = make_plan(small, catalogues, four)
    _, waiting = with_checkpoints(plan, {("fc10-leaky_relu", 1e-2): "d1"})
    for unit in units:
        write_rows(store, unit, 4)
    of_first = [unit for unit in units if unit.target_loss == 1e-2]
    assert survey(store, of_first[:3], of_first[3:] + waiting).stray == []
    of_second = [unit.file for unit in units if unit.target_loss == 1e-3]
    assert survey(store, of_first, []).stray == sorted(of_second)
    assert survey(store, of_first).stray == []


def test_folder_in_a_units_place_is_stray_even_where_it_is_empty(units, tmp_path: Path):
    store = Store(str(tmp_path))
    for unit in units[:2]:
        (tmp_path / unit.file).mkdir(parents=True)
    (tmp_path / units[1].file / "x.parquet").touch()
    seen = survey(store, units)
    assert seen.left == units
    assert seen.stray == sorted(unit.file for unit in units[:2])
    for name in seen.stray:
        store.set_aside(name)
    write_rows(store, units[1], 4)
    assert survey(store, units).done == [units[1]]


def test_results_without_a_network_belong_to_the_plan(small, catalogues, tmp_path: Path):
    store, tree = Store(str(tmp_path)), small.tree() | {"methods": ["known_mask", "biharmonic"]}
    plan = make_plan(experiment.experiment_from(tree), catalogues, four)
    ready, waiting = with_checkpoints(plan, {})
    assert {unit.method for unit in ready} == {"biharmonic"}
    for unit in ready:
        write_rows(store, unit, 4)
    come, _ = with_checkpoints(waiting, DIGESTS)
    assert survey(store, come, ready).stray == survey(store, come).stray == survey(store, ready, waiting).stray == []


@pytest.mark.parametrize(
    ("override", "methods"),
    [
        ("seed=7", {"unknown_mask", "known_mask", "autoencoder_iterations"}),
        ("models.0.gamma=0.25", {"unknown_mask", "known_mask", "autoencoder_iterations"}),
        ("models.0.first_mask=zeros", {"unknown_mask", "known_mask", "autoencoder_iterations"}),
        ("recovery.max_iterations=6", {"unknown_mask"}),
        ("recovery.inner_iterations=3", {"unknown_mask", "known_mask"}),
        ("recovery.first_mask=zeros", {"unknown_mask"}),
        ("recovery.max_autoencoder_iterations=9", {"autoencoder_iterations"}),
    ],
)
def test_what_gives_rows_other_values_gives_their_units_other_names(catalogues, units, override, methods):
    changed = experiment.parse(SMALL, "small", [override])
    others = {unit.name for unit in with_checkpoints(make_plan(changed, catalogues, four), DIGESTS)[0]}
    assert {unit.method for unit in units if unit.name not in others} == methods
    assert all(unit.name not in others for unit in units if unit.method in methods)


def test_plan_of_which_units_are_missing_is_refused(small, catalogues, tmp_path: Path):
    store, plan = Store(str(tmp_path)), make_plan(small, catalogues, four)
    for wrong in (plan[1:], plan[:-1], [unit for unit in plan if unit.method != "known_mask"], plan * 2):
        store.write_table("plan.parquet", pa.Table.from_pylist([asdict(unit) for unit in wrong]))
        with pytest.raises(InputError, match="is not the whole plan of its experiment"):
            load_plan(Run(small, store))
