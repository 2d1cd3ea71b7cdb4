"""Whatever lies in the place of a unit's file: its rows are the unit's, or they count in no rate."""

import resource
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memrec_core.recovery.result import STATUSES
from tests.conftest import make_run
from workflows.errors import ResultsError, StoreError
from workflows.experiment import loading as experiments
from workflows.run.compacted import Source, read_from
from workflows.run.plan import planned_units
from workflows.run.planning import Size
from workflows.run.rates import aggregate
from workflows.run.retired import retire
from workflows.run.rows import Pieces
from workflows.run.run import Run
from workflows.run.store import Store

EXPERIMENT = """
name: rows
data: {name: photos, count: 5, control_count: 3, size: 8}
models: [{architecture: fc10, width: 16}]
training: {targets: [0.05, 0.04]}
degradations: [{mask: center}, {mask: random_80}, {mask: bottom}]
methods: [known_mask, autoencoder_iterations]
recovery: {max_autoencoder_iterations: 5}
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder, made without Ray: units of three images under one degradation, and of all under several."""
    folder = tmp_path_factory.mktemp("whole")
    sizes = {"known_mask": Size(3, 8), "autoencoder_iterations": Size(16, 8)}
    make_run(experiments.parse(EXPERIMENT, "rows"), folder, lambda kind: sizes[kind[2]])
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("recovery/**/*.parquet"))


def rates_of(folder: Path) -> pd.DataFrame:
    store = Store(str(folder))
    return aggregate(Run(experiments.parse(EXPERIMENT, "rows"), store)).drop(columns="seconds")


def test_whole_run_is_aggregated_as_pandas_would(whole: Path):
    rates = rates_of(whole)
    rows = pd.concat(map(pd.read_parquet, files(whole)))
    grouped = rows.groupby(["target_loss", "degradation", "method", "split"])
    expected = grouped.agg(images=("mse", "size"), mean_psnr=("psnr", "mean"), mean_evaluations=("evaluations", "mean"))
    found = rates.set_index(["target_loss", "degradation", "method", "split"])[list(expected)]
    pd.testing.assert_frame_equal(found.sort_index(), expected.sort_index(), check_dtype=False)
    assert rates["copies"].tolist() == rates["images"].tolist()
    assert set(rates["left_out"]) == set(rates["seen"]) == {0}


def test_images_without_any_error_leave_the_mean_psnr_to_the_others(whole: Path, tmp_path: Path):
    """All images under one mask, and the first of each file under another, come back to the bit."""
    folder = shutil.copytree(whole, tmp_path / "run")
    for path in files(folder):
        table = pq.read_table(path)
        places = {"center": range(len(table)), "bottom": [0]}
        perfect = [row in places.get(label.as_py(), ()) for row, label in enumerate(table["degradation"])]
        for name, best in (("mse", 0.0), ("psnr", np.inf)):
            values = np.where(perfect, best, table[name].to_numpy())
            table = table.set_column(table.column_names.index(name), name, pa.array(values))
        pq.write_table(table, path)
    rates, rows = rates_of(folder), pd.concat(map(pd.read_parquet, files(folder)))
    keys = ["target_loss", "degradation", "method", "split"]
    expected = rows[rows["mse"] > 0].groupby(keys)["psnr"].mean()
    found = rates.set_index(keys)["mean_psnr"]
    assert found.xs("center", level="degradation").isna().all()
    pd.testing.assert_series_equal(found.dropna().sort_index(), expected.sort_index(), check_names=False)
    assert rates.groupby("degradation")["accurate_count"].sum()["center"] == (rows["degradation"] == "center").sum()


def test_images_that_diverged_take_no_hundreds_of_decibels_from_the_mean_psnr(whole: Path, tmp_path: Path):
    folder = shutil.copytree(whole, tmp_path / "run")
    for path in files(folder):
        table = pq.read_table(path)
        for name, worst in (("mse", 1e74), ("psnr", -740.0)):
            values = np.where(np.arange(len(table)) == 0, worst, table[name].to_numpy())
            table = table.set_column(table.column_names.index(name), name, pa.array(values))
        pq.write_table(table, path)
    rows = pd.concat(map(pd.read_parquet, files(folder)))
    keys = ["target_loss", "degradation", "method", "split"]
    expected = rows.assign(psnr=rows["psnr"].clip(lower=0)).groupby(keys)["psnr"].mean()
    found = rates_of(folder).set_index(keys)["mean_psnr"]
    pd.testing.assert_series_equal(found.sort_index(), expected.sort_index(), check_names=False)


def test_each_image_counts_by_its_status(whole: Path, tmp_path: Path):
    """Whatever ways there are for a recovery to end."""
    folder = shutil.copytree(whole, tmp_path / "run")
    for path in files(folder):
        table = pq.read_table(path)
        statuses = pa.array([STATUSES[row % len(STATUSES)] for row in range(len(table))])
        table = table.set_column(table.column_names.index("status"), "status", statuses)
        pq.write_table(table, path)
    rates, rows = rates_of(folder), pd.concat(map(pd.read_parquet, files(folder)))
    assert (rates[list(STATUSES)].sum(axis=1) == rates["images"]).all()
    assert rates[list(STATUSES)].sum().to_dict() == rows["status"].value_counts().to_dict()


Change = Callable[[pa.Table, pa.Table, int], pa.Table]
IMPOSTORS: dict[str, Change] = {
    "sibling": lambda own, other, row: other,
    "sibling that says it is the unit": lambda own, other, row: other.replace_schema_metadata(own.schema.metadata),
    "one row again and again": lambda own, other, row: own.take([row % len(own)] * len(own)),
    "one row twice": lambda own, other, row: (
        own.take([row % len(own), *range(1, len(own))]) if row % len(own) else own.take([1, *range(1, len(own))])
    ),
    "a row too few": lambda own, other, row: own.slice(1),
    "a row too many": lambda own, other, row: pa.concat_tables([own, own.slice(row % len(own), 1)]),
    "a foreign row": lambda own, other, row: pa.concat_tables([own.slice(1), other.slice(row % len(other), 1)]),
    "another column": lambda own, other, row: own.rename_columns([f"x{name}" for name in own.column_names]),
}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.integers(0, 1000), other=st.integers(1, 1000), row=st.integers(0, 1000), kind=st.sampled_from([*IMPOSTORS])
)
def test_any_file_in_any_units_place_counts_in_no_rate(whole, tmp_path_factory, place, other, row, kind):
    folder = tmp_path_factory.mktemp("impostor") / "run"
    shutil.copytree(whole, folder)
    there = files(folder)
    path = there[place % len(there)]
    sibling = there[(place + 1 + other % (len(there) - 1)) % len(there)]
    impostor = IMPOSTORS[kind](pq.read_table(path), pq.read_table(sibling), row)
    path.unlink()
    expected = rates_of(folder)
    pq.write_table(impostor, path)
    try:
        found = rates_of(folder)
    except ResultsError:
        assert not path.exists()
        assert len(list((folder / "set_aside").iterdir())) == 1
        found = rates_of(folder)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("key", ["memrec_unit", "memrec_images", "memrec_schema_version"])
def test_rows_of_the_same_images_that_another_unit_made_count_in_no_rate(whole: Path, tmp_path: Path, key: str):
    """Under other settings, say: nothing but the file's metadata tells them from the unit's."""
    shutil.copytree(whole, tmp_path / "run")
    path = files(tmp_path / "run")[0]
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, key.encode(): b"another"}), path)
    with pytest.raises(ResultsError, match=path.name):
        rates_of(tmp_path / "run")
    assert not path.exists()


def test_bit_that_flips_in_an_error_is_seen(whole: Path, tmp_path: Path):
    shutil.copytree(whole, tmp_path / "run")
    for path in files(tmp_path / "run"):
        data = bytearray(path.read_bytes())
        place = data.find(struct.pack("<d", pq.read_table(path)["mse"][0].as_py()))
        if place >= 0:  # small columns are stored as they are
            break
    data[place + 7] ^= 4
    path.write_bytes(data)
    with pytest.raises(ResultsError, match=f"{path.name} had damaged rows"):
        rates_of(tmp_path / "run")


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 1000), byte=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_any_bit_that_flips_in_a_units_file_changes_no_figure(whole, tmp_path_factory, place, byte, bit):
    folder = tmp_path_factory.mktemp("flipped") / "run"
    shutil.copytree(whole, folder)
    path = files(folder)[place % len(files(folder))]
    data = bytearray(path.read_bytes())
    data[byte % len(data)] ^= 1 << bit
    path.write_bytes(data)
    try:
        found = rates_of(folder)
    except ResultsError:
        found = rates_of(folder)
    if len(found) != len(rates_of(whole)) or found["images"].sum() != rates_of(whole)["images"].sum():
        path.unlink(missing_ok=True)
        pd.testing.assert_frame_equal(found, rates_of(folder))
    else:
        pd.testing.assert_frame_equal(found, rates_of(whole))


def test_file_that_the_machine_refuses_to_open_stays_where_it_is(whole: Path, tmp_path: Path):
    shutil.copytree(whole, tmp_path / "run")
    path = files(tmp_path / "run")[0]
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(StoreError, match=f"{path.name} can't be read .*symbolic links.*; give the same command again"):
        rates_of(tmp_path / "run")
    assert path.is_symlink()
    assert not (tmp_path / "run" / "set_aside").exists()


def test_process_that_may_open_no_more_files_blames_none(whole: Path, tmp_path: Path):
    shutil.copytree(whole, tmp_path / "run")
    run = Run(experiments.parse(EXPERIMENT, "rows"), Store(str(tmp_path / "run")))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def starved(sources: list[Source]) -> list[tuple[str, pa.Table]]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            return list(Pieces(run.store, sources, ["mse"]))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    with pytest.raises(StoreError, match=r"can't be read \(Too many open files\)"):
        read_from(run.store, planned_units(run)[0], starved)


def test_unit_that_another_driver_retires_meanwhile_is_said(whole: Path, tmp_path: Path):
    shutil.copytree(whole, tmp_path / "run", ignore=shutil.ignore_patterns("results"))
    run = Run(experiments.parse(EXPERIMENT, "rows"), Store(str(tmp_path / "run")))
    units = planned_units(run)[0]

    def read(sources: list[Source]) -> list[tuple[str, pa.Table]]:
        retire(run.store, [units[0].file])
        return list(Pieces(run.store, sources, ["mse"]))

    with pytest.raises(StoreError, match="changed meanwhile; give the same command again"):
        read_from(run.store, units, read)


def test_order_of_a_units_rows_does_not_matter(whole: Path, tmp_path: Path):
    shutil.copytree(whole, tmp_path / "run")
    for path in files(tmp_path / "run"):
        table = pq.read_table(path)
        pq.write_table(table.take(list(reversed(range(len(table))))), path)
    pd.testing.assert_frame_equal(rates_of(tmp_path / "run"), rates_of(whole))


def test_names_with_brackets_and_stars_are_just_names(whole: Path, tmp_path: Path):
    folder = tmp_path / "a[1]*?" / "run"
    shutil.copytree(whole, folder)
    pd.testing.assert_frame_equal(rates_of(folder), rates_of(whole))
