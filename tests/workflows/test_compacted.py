"""results/: all rows of a run in one file a checkpoint, each once, and never those of other units than are there."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memrec_core import __version__
from memrec_core.errors import InputError
from tests.conftest import make_run, results
from workflows.errors import ResultsError, StoreError
from workflows.experiment import loading as experiments
from workflows.report import write_report
from workflows.run.compacted import keep_compacted
from workflows.run.opened import OpenRun, open_run
from workflows.run.plan import planned_units
from workflows.run.planning import Size
from workflows.run.rates import aggregate, makers_of, mixed, thresholds_of
from workflows.run.rates import rates_of as current_rates
from workflows.run.rates_file import forget_others
from workflows.run.retired import bring_back, retire
from workflows.run.run import Run
from workflows.run.schema import SCHEMA
from workflows.run.store import Store

EXPERIMENT = """
name: compacted
data: {name: photos, count: 5, control_count: 3, size: 8}
models: [{architecture: fc10, width: 16}]
training: {targets: [0.05, 0.04]}
degradations: [{mask: center}, {mask: random_80}]
methods: [known_mask, autoencoder_iterations, biharmonic]
recovery: {max_autoencoder_iterations: 5}
pictures: 1
"""
FILES = ["results/fc10-leaky_relu/0.04.parquet", "results/fc10-leaky_relu/0.05.parquet", "results/generic.parquet"]
KEY = ["target_loss", "degradation", "method", "split", "image_id"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    make_run(experiments.parse(EXPERIMENT, "compacted"), folder, lambda kind: Size(3, 8))
    aggregate(open_run(str(folder)))
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> OpenRun:
    return open_run(str(shutil.copytree(whole, tmp_path / "run")))


def there(run: OpenRun) -> list[str]:
    return run.store.names("results", "")


def rates_of(run: OpenRun) -> pd.DataFrame:
    return aggregate(run).drop(columns="seconds")


def spoil(path: Path) -> None:
    """Damage the rows of a file, within a sound footer."""
    data = path.read_bytes()
    footer = int.from_bytes(data[-8:-4], "little") + 8
    path.write_bytes(data[:4] + b"\xa5" * (len(data) - 4 - footer) + data[-footer:])


def test_each_row_is_there_once_whoever_reads(run):
    assert there(run) == FILES
    folder = Path(run.store.uri)
    expected = results(folder)
    pd.testing.assert_frame_equal(results(folder, "results"), expected)
    glob = f"{folder}/results/**/*.parquet"
    counted = [(len(expected), pytest.approx(expected["mse"].sum()))]
    assert duckdb.execute(f"SELECT count(*), sum(mse) FROM '{glob}'").fetchall() == counted
    assert len(polars.read_parquet(glob)) == len(expected)
    assert pq.read_schema(folder / FILES[0]).equals(SCHEMA)
    assert pd.read_parquet(folder / "results")["original"].notna().sum() == expected["original"].notna().sum() > 0


def test_rows_stand_in_the_plans_order_and_the_file_names_its_units(run):
    units = [unit for unit in planned_units(run)[0] if unit.target_loss == 0.05]
    file = Path(run.store.uri) / FILES[1]
    assert list(json.loads(pq.read_schema(file).metadata[b"memrec_units"])) == [unit.name for unit in units]
    rows = pd.concat([pd.read_parquet(run.store.path(unit.file)) for unit in units], ignore_index=True)
    pd.testing.assert_frame_equal(pd.read_parquet(file), rows)


def test_rates_results_and_page_are_the_same_before_and_after(whole: Path, run):
    shutil.rmtree(Path(run.store.uri) / "results")
    before, table, pictures = run.rates(), run.results(), len(run.pictures())
    assert there(run) == []
    rates = rates_of(run)
    compacted = open_run(str(whole))
    pd.testing.assert_frame_equal(rates_of(compacted), rates)
    pd.testing.assert_frame_equal(before.drop(columns="seconds"), rates)
    ordered = [frame.drop(columns="seconds").sort_values(KEY, ignore_index=True) for frame in (run.results(), table)]
    pd.testing.assert_frame_equal(*ordered)
    assert len(compacted.pictures()) == pictures


def test_aggregation_never_reads_pictures_that_are_compacted(run):
    rates, file = rates_of(run), Path(run.store.uri) / FILES[0]
    data = bytearray(file.read_bytes())
    groups = pq.read_metadata(file)
    for column in (groups.row_group(0).column(place) for place in range(groups.num_columns)):
        if column.path_in_schema.endswith(".bytes"):
            start = column.dictionary_page_offset or column.data_page_offset
            data[start : start + column.total_compressed_size] = b"\xa5" * column.total_compressed_size
    file.write_bytes(data)
    pd.testing.assert_frame_equal(rates_of(run), rates)
    assert file.read_bytes() == data
    assert len(run.pictures(target_loss=0.04)) == 2 * 2 * 2  # from the units' own files
    assert file.read_bytes() == data
    write_report(run)
    assert FILES[0] not in there(run)


def test_aggregation_opens_no_unit_whose_rows_are_compacted(run):
    before = run.results(method="known_mask")
    rates = rates_of(run)
    for unit in planned_units(run)[0]:
        path = Path(run.store.path(unit.file))
        times = path.stat().st_atime_ns, path.stat().st_mtime_ns
        path.write_bytes(b"x" * path.stat().st_size)
        os.utime(path, ns=times)
    pd.testing.assert_frame_equal(rates_of(run), rates)
    pd.testing.assert_frame_equal(run.results(method="known_mask"), before)
    write_report(run)


HARMS = ["damaged", "truncated", "another checkpoint's"]
MORE_HARMS = [pytest.param(harm, marks=pytest.mark.long) for harm in ("text", "empty", "of one row again")]


@pytest.mark.parametrize("harm", [*HARMS, *MORE_HARMS])
def test_wrong_compacted_file_is_passed_over_and_written_anew(run, harm: str):
    rates, folder = rates_of(run), Path(run.store.uri)
    file, whole = folder / FILES[0], (folder / FILES[0]).read_bytes()
    if harm == "damaged":
        spoil(file)
    elif harm == "truncated":
        file.write_bytes(whole[:-20])
    elif harm == "another checkpoint's":
        table = pq.read_table(folder / FILES[1])
        pq.write_table(table.replace_schema_metadata(pq.read_schema(file).metadata), file)
    elif harm == "of one row again":
        table = pq.read_table(file)
        pq.write_table(table.take([0] * len(table)), file)
    else:
        file.write_bytes(b"mine" if harm == "text" else b"")
    assert run.results(target_loss=0.04).shape[0] == 8 * 2 * 2
    pd.testing.assert_frame_equal(rates_of(run), rates)
    pd.testing.assert_frame_equal(results(folder, "results"), results(folder))
    assert not (folder / "set_aside").exists()


def test_units_file_that_is_written_anew_is_read_in_place_of_what_was_compacted(run):
    first, second = planned_units(run)[0][:2]
    shutil.copy(run.store.path(second.file), run.store.path(first.file))
    with pytest.raises(ResultsError, match="rows of other images than its unit's"):
        aggregate(run)
    assert there(run) == [name for name in FILES if first.folder.removeprefix("recovery") not in name]
    aggregate(run)
    assert there(run) == FILES
    pd.testing.assert_frame_equal(results(Path(run.store.uri), "results"), results(Path(run.store.uri)))


def test_all_wrong_files_are_found_at_once_and_named_by_what_is_wrong(run):
    units = planned_units(run)[0]
    paths = [Path(run.store.path(unit.file)) for unit in units]
    whole = rates_of(run)
    paths[0].write_bytes(paths[0].read_bytes()[:-5])
    paths[3].write_bytes(b"")
    paths[5].write_text("mine")
    shutil.copy(paths[7], paths[8])
    table = pq.read_table(paths[10])
    pq.write_table(table.take([0] * len(table)), paths[10])
    spoil(paths[12])
    with pytest.raises(
        ResultsError, match=r"and 3 more had damaged rows, .* and 1 more had rows of other images"
    ) as told:
        aggregate(run)
    assert "\n" not in str(told.value)
    assert len(list((Path(run.store.uri) / "set_aside").iterdir())) == 6
    assert rates_of(run)["images"].sum() == whole["images"].sum() - sum(len(units[i]) for i in (0, 3, 5, 8, 10, 12))


@pytest.mark.parametrize("ask", [OpenRun.results, OpenRun.rates, OpenRun.pictures])
def test_who_only_reads_a_run_changes_no_file_of_it(run, ask):
    folder = Path(run.store.uri)
    spoil(folder / FILES[0])
    spoil(Path(run.store.path(planned_units(run)[0][0].file)))
    (folder / "rates.parquet").unlink()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ResultsError, match="had damaged rows; memrec run sets aside what is wrong"):
        ask(run)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_rows_are_chosen_by_values_and_by_where_there_are_none(run):
    rows = run.results()
    some = run.results(["mse"], target_loss=[0.05, None], split=("train", "control"))
    assert len(some) == (rows["target_loss"].isna() | (rows["target_loss"] == 0.05)).sum() < len(rows)
    assert list(some) == ["mse"]
    assert len(run.results(method=[])) == 0
    assert len(run.results(multiplicity=1)) == (rows["multiplicity"] == 1).sum()


@pytest.mark.parametrize(
    ("columns", "where", "sentence"),
    [
        (["msee"], {}, "unknown column of the results 'msee' .did you mean 'mse'"),
        (None, {"msee": 1}, "unknown column of the results 'msee'"),
        ([["mse"]], {}, "unknown column of the results"),
        ([], {}, "must be a list such as"),
        ("mse", {}, "must be a list such as .*, not 'mse'"),
        (3, {}, "must be a list such as .*, not 3"),
        (None, {"original": None}, "can't be chosen by their pictures .original"),
        (None, {"mse": {"below": 1}}, "mse of the results is of type double, and no row has .*below"),
        (None, {"mse": "small"}, "mse of the results is of type double"),
        (None, {"method": ["known_mask", 3]}, "method of the results is of type string"),
        (None, {"multiplicity": 2**70}, "multiplicity of the results is of type int32"),
        (None, {"multiplicity": 1.5}, "multiplicity of the results is of type int32"),
    ],
)
def test_what_no_row_can_have_is_refused_in_a_sentence(run, columns, where, sentence: str):
    with pytest.raises(InputError, match=sentence) as told:
        run.results(columns, **where)
    assert "\n" not in str(told.value)


def test_what_was_compacted_goes_as_soon_as_its_units_change(run):
    units = planned_units(run)[0]
    gone = [unit for unit in units if unit.method == "known_mask" and unit.target_loss == 0.05]
    retire(run.store, [unit.file for unit in gone])
    assert there(run) == [FILES[0], FILES[2]]
    aggregate(run)
    assert len(pd.read_parquet(Path(run.store.uri) / FILES[1])) == 8 * 2
    bring_back(run.store, units, run.store.names("recovery", ".parquet"))
    assert there(run) == [FILES[0], FILES[2]]
    keep_compacted(run.store, units, [unit for unit in units if unit.target_loss == 0.04][:1])
    assert there(run) == [FILES[2]]


def test_what_was_compacted_of_some_units_goes_once_the_others_are_there(run, tmp_path: Path):
    """A job that is killed before its end leaves it to the next one, for which nothing is to do."""
    units = planned_units(run)[0]
    late = next(unit for unit in units if unit.target_loss == 0.05)
    place = Path(run.store.uri) / late.file
    place.rename(tmp_path / "late")
    aggregate(run)
    (tmp_path / "late").rename(place)
    assert there(run) == FILES
    keep_compacted(run.store, units, [])
    assert there(run) == [FILES[0], FILES[2]]


def test_what_a_killed_aggregation_left_goes_and_what_another_one_writes_stays(run):
    """The one is killed, and the other stopped, as it shows the rates: its files are written, and not yet in place."""
    folder = Path(run.store.uri)
    shutil.rmtree(folder / "results")
    hold = (
        "import sys, time; from workflows.run.opened import open_run; from workflows.run.rates import aggregate\n"
        "aggregate(open_run(sys.argv[1]), lambda *tables: (print(flush=True), time.sleep(600)))"
    )
    command = [sys.executable, "-c", hold, str(folder)]
    found = []
    with ExitStack() as stack:
        processes = [stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE)) for _ in range(2)]
        for process in processes:
            stack.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()
        found.append(len(list(folder.glob(".compacted-*"))))
        processes[0].kill()
        processes[0].wait()
        aggregate(run)
        found.append(len(list(folder.glob(".compacted-*"))))
    assert found == [2, 1]
    aggregate(run)
    assert list(folder.glob(".compacted-*")) == []


def test_what_an_aggregation_left_on_a_machine_that_is_gone_goes_after_a_day(run):
    folder = Path(run.store.uri) / ".compacted-x"
    folder.mkdir()
    aggregate(run)
    assert folder.exists()
    yesterday = time.time() - 90_000
    os.utime(folder, (yesterday, yesterday))
    aggregate(run)
    assert not folder.exists()


def test_file_of_a_checkpoint_that_is_not_the_plans_goes(run):
    stray = Path(run.store.uri) / "results" / "old" / "0.1.parquet"
    stray.parent.mkdir()
    shutil.copy(stray.parents[1] / "generic.parquet", stray)
    aggregate(run)
    assert there(run) == FILES


def test_rates_of_units_that_are_recovered_anew_are_not_those_of_before(run):
    """Their names are the same, whatever machine and version the rows are from."""
    named = planned_units(run)[0]
    aggregate(run)
    kept = run.store.marks("rates.parquet")
    forget_others(run.store, named)
    assert run.store.marks("rates.parquet") == kept
    again, rest = named[:1], named[1:]
    Path(run.store.uri, again[0].file).rename(Path(run.store.uri) / "elsewhere")
    forget_others(run.store, rest)  # as a job does before it recovers what is missing
    Path(run.store.uri, "elsewhere").rename(Path(run.store.uri, again[0].file))
    assert not run.store.exists("rates.parquet")
    assert not run.status().has_rates


def test_thresholds_are_never_beside_rates_of_other_units(run, monkeypatch: pytest.MonkeyPatch):
    """The disk is full as the rates of a run that has grown are written, and then it has shrunk again."""
    shrunk = Run(experiments.parse(EXPERIMENT.replace("known_mask, ", ""), "compacted"), run.store)
    units = planned_units(run)[0]
    gone = [unit.file for unit in units if unit.method == "known_mask"]
    retire(run.store, gone)
    aggregate(shrunk)
    bring_back(run.store, units, run.store.names("recovery", ".parquet"))
    write_table = Store.write_table

    def full_disk(store: Store, name: str, table: pa.Table) -> None:
        if name == "rates.parquet":
            raise StoreError("no space left")
        write_table(store, name, table)

    monkeypatch.setattr(Store, "write_table", full_disk)
    with pytest.raises(StoreError, match="no space"):
        aggregate(run)
    retire(run.store, gone)
    assert set(current_rates(shrunk)["method"]) == {"autoencoder_iterations", "biharmonic"}
    assert set(thresholds_of(shrunk)["method"]) == {"autoencoder_iterations", "biharmonic"}


def test_verdict_on_other_results_does_not_stay(run, capsys: pytest.CaptureFixture[str]):
    run.store.write("audit.json", b"{}")
    aggregate(run)
    assert run.store.exists("audit.json")
    gone = [unit.file for unit in planned_units(run)[0] if unit.method == "known_mask"]
    retire(run.store, gone)
    aggregate(run)
    assert not run.store.exists("audit.json")
    assert "memrec audit makes it anew" in capsys.readouterr().out


def test_all_versions_and_devices_that_made_the_results_are_named(run):
    """Also where the rows are read from what was compacted, and few of them are by another version."""
    name = planned_units(run)[0][1].file
    rows = run.store.read_table(name)
    other = {**rows.schema.metadata, b"memrec_version": b"0.0.9", b"memrec_device": b"cuda (NVIDIA H100)"}
    run.store.write_table(name, rows.replace_schema_metadata(other))
    for _ in range(2):
        rates = aggregate(run)
        assert [(one.memrec, one.device) for one in makers_of(rates)] == [
            ("0.0.9", "cuda (NVIDIA H100)"),
            (__version__, "cpu"),
        ]
        assert "several versions or devices" in mixed(rates)
    assert there(run) == FILES
    write_report(run)
    page = Path(run.store.uri, "report", "index.html").read_text()
    assert "memrec 0.0.9" in page
    assert page.count("several versions or devices") == 1
    run.store.remove(name)
    assert [one.device for one in makers_of(run.rates())] == ["cpu"]
    assert mixed(run.rates()) == ""
