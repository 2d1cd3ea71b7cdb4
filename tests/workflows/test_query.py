"""memrec query: SQL over a run's tables, in three formats; nothing else can be read, and nothing written."""

import csv
import io
import json
import os
import shutil
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memrec_core.errors import InputError
from tests.conftest import make_run
from workflows.experiment import loading as experiments
from workflows.querying.asking import ask
from workflows.querying.formats import writer_of
from workflows.querying.tables import TABLES
from workflows.run.opened import open_run
from workflows.run.planning import Size
from workflows.run.rates import aggregate
from workflows.terminal import console

EXPERIMENT = """
name: queried
data: {name: photos, count: 5, control_count: 3, size: 8}
models: [{architecture: fc10, width: 16}]
training: {targets: [0.05, 0.04]}
degradations: [{mask: center}, {mask: random_80}]
methods: [known_mask, autoencoder_iterations]
recovery: {max_autoencoder_iterations: 5}
pictures: 1
"""
ROWS = 2 * 2 * 2 * 8  # checkpoints, degradations, methods, images of both splits


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("queried") / "run"
    make_run(experiments.parse(EXPERIMENT, "queried"), folder, lambda kind: Size(3, 8))
    aggregate(open_run(folder))
    return folder


def answer(run: Path, sql: str) -> list[tuple]:
    return ask(open_run(run), sql, lambda database: database.fetchall())


def test_results_are_the_runs_rows(run: Path, memrec):
    called = memrec(
        "query", run, "select method, count(*) n, avg(mse) m from results group by all order by 1", "--format", "csv"
    )
    found = pd.read_csv(io.StringIO(called.out))
    expected = open_run(run).results().groupby("method")["mse"].agg(["size", "mean"])
    assert found["method"].tolist() == expected.index.tolist()
    assert found["n"].tolist() == expected["size"].tolist() == [ROWS // 2] * 2
    assert found["m"].tolist() == pytest.approx(expected["mean"].tolist())


def test_results_of_a_run_that_is_not_aggregated_are_there_and_its_rates(run: Path, tmp_path: Path):
    copy = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(copy / "results")
    for name in ("rates.parquet", "thresholds.parquet"):
        (copy / name).unlink()
    sql = "select sum(images), (select count(*) from results), (select count(*) from thresholds) from rates"
    assert answer(copy, sql) == answer(run, sql) == [(ROWS, ROWS, 16 * 16)]


def test_answer_of_a_part_of_the_run_says_so_beside_it(run: Path, tmp_path: Path, memrec):
    sql = "select count(*) n from rates"
    assert memrec("query", run, sql, "--format", "csv").err == ""
    copy = shutil.copytree(run, tmp_path / "run")
    next(copy.glob("recovery/**/*.parquet")).unlink()
    called = memrec("query", copy, sql, "--format", "csv")
    units = len([*run.glob("recovery/**/*.parquet")])
    assert called.err == f"Incomplete: {units - 1} of {units} work units are there.\n"
    assert called.out.splitlines() == ["n", "16"]


def test_what_made_the_rows_and_what_its_images_are_is_said_as_after_the_run(run: Path, tmp_path: Path, memrec):
    copy = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(copy / "results")
    store = open_run(copy).store
    file = next(copy.glob("recovery/**/*.parquet")).relative_to(copy).as_posix()
    rows = store.read_table(file)
    store.write_table(file, rows.replace_schema_metadata({**rows.schema.metadata, b"memrec_version": b"0.0.9"}))
    images = store.read_table("images.parquet")
    known = images.to_pylist()
    first, crossed = (next(image for image in known if image["split"] == split) for split in ("train", "control"))
    crossed["copy_of"] = f"train/{first['id']}"
    store.write_table("images.parquet", pa.Table.from_pylist(known, images.schema))
    shown = memrec("aggregate", copy).out
    several, near = memrec("query", copy, "select count(*) n from rates").err.splitlines()
    assert several.startswith("The results are by several versions or devices")
    assert "memrec 0.0.9" in several
    assert "1 of 3 control images are near-duplicates of training images, and count as control all the same" in near
    assert f"\n{several}\n{near}\n" in shown
    shutil.rmtree(copy / "results")
    (copy / file).unlink()
    missing, again = memrec("query", copy, "select count(*) n from rates").err.splitlines()
    assert (missing.startswith("Incomplete: "), again) == (True, near)


def test_each_table_has_the_columns_that_it_is_said_to_have(run: Path):
    for name, table in TABLES.items():
        described = answer(run, f"describe {name}")
        assert [row[0] for row in described] == table.schema.names


def test_pictures_are_a_table_of_their_own(run: Path, memrec):
    assert answer(run, "select count(*) from pictures") == [(2 * 2 * 2 * 2,)]
    called = memrec("query", run, "select image_id, original from pictures limit 1", "--format", "json")
    [row] = json.loads(called.out)
    assert row["original"].startswith("iVBORw0KGgo")  # PNG in base64
    assert "<" in memrec("query", run, "select image_id, original from pictures limit 1").out
    assert not {"original", "degraded", "recovered"} & {row[0] for row in answer(run, "describe results")}


def test_formats_hold_the_same_values(run: Path, memrec):
    sql = "select method, accurate_rate, mean_mask_error, 'a, \"b\"' as quoted, true as yes from rates order by all"
    as_csv = list(csv.DictReader(io.StringIO(memrec("query", run, sql, "--format", "csv").out)))
    as_json = json.loads(memrec("query", run, sql, "--format", "json").out)
    assert len(as_csv) == len(as_json) == 2 * 2 * 2 * 2
    for one, other in zip(as_csv, as_json, strict=True):
        assert (one["method"], float(one["accurate_rate"])) == (other["method"], other["accurate_rate"])
        assert (one["mean_mask_error"], other["mean_mask_error"]) == ("", None)
        assert (one["quoted"], other["quoted"]) == ('a, "b"', 'a, "b"')
        assert (one["yes"], other["yes"]) == ("true", True)


def test_psnr_of_two_images_that_are_the_same_is_infinite_and_not_missing(run: Path, memrec):
    sql = "select 'infinity'::double as psnr, '-infinity'::double as worst, 'nan'::double as none, null as missing"
    [row] = csv.DictReader(io.StringIO(memrec("query", run, sql, "--format", "csv").out))
    assert row == {"psnr": "inf", "worst": "-inf", "none": "nan", "missing": ""}
    [row] = json.loads(memrec("query", run, sql, "--format", "json").out)
    assert row == {"psnr": None, "worst": None, "none": None, "missing": None}


def test_table_says_how_many_rows_it_leaves_out(run: Path, memrec):
    assert memrec("query", run, "select 1 from range(500)").out.count("\n") == 501
    assert "and 1,234 more rows" in memrec("query", run, "select 1 from range(1734)").out
    assert memrec("query", run, "select mse from results where mse < 0").out == "no rows (mse)\n"


def test_wide_table_is_not_folded_where_it_is_piped(run: Path, memrec):
    header, *lines = memrec("query", run, "select * from rates").out.splitlines()
    assert header.split() == TABLES["rates"].schema.names
    assert len(lines) == 2 * 2 * 2 * 2
    assert all("autoencoder_iterations" in line or "known_mask" in line for line in lines)


@pytest.mark.parametrize("width", [80, 2000])
def test_table_that_is_too_wide_for_a_terminal_has_a_line_a_column(
    run: Path, monkeypatch: pytest.MonkeyPatch, width: int
):
    reader, screen = os.openpty()
    columns = TABLES["rates"].schema.names
    with os.fdopen(screen, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(console, "width", width)
        ask(open_run(run), "select * from rates limit 2", writer_of("table"))
        out.flush()
        shown = os.read(reader, 65536).decode().splitlines()
    os.close(reader)
    if width == 80:
        assert [line.partition(": ")[0] for line in shown] == [*columns, "", *columns]
        assert "data_set: photos" in shown
    else:
        assert len(shown) == 3


def test_what_steers_a_terminal_is_shown(run: Path, memrec):
    assert "\x1b" not in memrec("query", run, "select chr(27) || '[31m' as red").out


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1) to '{folder}/new.csv'",
        "copy results to '{folder}/new.parquet'",
        "select * from read_text('/etc/passwd')",
        "select * from read_blob('/proc/self/environ')",
        "from read_csv('/etc/passwd')",
        "from read_parquet('{run}/rates.parquet')",
        "from '{run}/rates.parquet'",
        "from glob('{run}/*')",
        "from sniff_csv('/etc/passwd')",
        "from parquet_metadata('{run}/rates.parquet')",
        "from 'https://example.org/data.csv'",
        "from read_json('http://127.0.0.1:1/x.json')",
        "attach '{folder}/new.db'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "reset enable_external_access",
        "pragma enable_external_access",
        "pragma database_list",
        "call enable_logging()",
        "from enable_logging('QueryLog', storage = 'file', storage_path = '{folder}/new')",
        "create table new as select 1",
        "drop view results",
        "insert into results select * from results",
        "delete from results",
        "update results set mse = 0",
        "export database '{folder}/new'",
        "explain analyze copy (select 1) to '{folder}/new.csv'",
        "prepare new as select 1",
        "begin",
        "checkpoint",
        "select 1; copy (select 1) to '{folder}/new.csv'",
        "select 1; select 2",
        "from a_frame",
        "from duckdb_secrets()",
        "",
        "/* nothing */",
    ],
)
def test_nothing_but_the_tables_is_reached(run: Path, tmp_path: Path, memrec, sql: str):
    a_frame = pd.DataFrame({"secret": [1]})
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    asked = sql.format(folder=tmp_path, run=run)
    with pytest.raises(InputError):
        answer(run, asked)
    called = memrec("query", run, asked)
    assert (called.status, called.out, called.err.count("\n")) == (2, "", 1)
    assert called.err.startswith("error: the query ")
    assert "root:" not in called.err
    assert [*tmp_path.iterdir()] == []
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert len(a_frame) == 1


def test_settings_stay_locked_within_a_select(run: Path):
    assert answer(run, "select current_setting('enable_external_access'), current_setting('lock_configuration')") == [
        (False, True)
    ]


def test_mistake_is_answered_with_the_columns_that_there_are(run: Path, memrec):
    called = memrec("query", run, "select acurate_rate from rates")
    assert called.status == 2
    assert "acurate_rate" in called.err
    assert "accurate_rate" in called.err
    assert "rates has the columns data_set, model, " in called.err
    assert f"the tables are {', '.join(TABLES)}" in memrec("query", run, "select * from rate").err
    assert "choose one of table, csv, json" in memrec("query", run, "select 1", "--format", "xml").err


def test_table_is_found_however_it_is_named(run: Path):
    for name in ('"Results"', "temp.main.results", "RESULTS", "query_table('res' || 'ults')", "(from results)"):
        assert answer(run, f"select count(*) from {name}") == [(ROWS,)]
    assert answer(run, "with results as (select 1 as x) select * from results") == [(1,)]
    assert answer(
        run, "select count(*) from results join images on image_id = id and images.split = results.split"
    ) == [(ROWS,)]


def test_rows_of_another_unit_are_not_answered(run: Path, tmp_path: Path, memrec):
    copy = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(copy / "results")
    first, second = sorted((copy / "recovery").rglob("*.parquet"))[:2]
    rows = pq.read_table(first)
    pq.write_table(pq.read_table(second).slice(0, len(rows)).replace_schema_metadata(rows.schema.metadata), first)
    called = memrec("query", copy, "select count(*) from results")
    assert called.status == 1
    assert "rows of other images than its unit's" in called.err


def test_run_without_results_says_so(run: Path, tmp_path: Path, memrec):
    copy = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("recovery", "results"))
    called = memrec("query", copy, "select count(*) from results")
    assert (called.status, "has no results yet" in called.err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ["query", "{}", "select 1"],
        ["export", "{}", "--pictures", "new"],
        ["picture", "{}"],
        ["figures", "{}", "--out", "new"],
        ["compare", "{}", "{}_2"],
        ["status", "{}"],
    ],
)
@pytest.mark.parametrize("folder", ["nowhere", ""])
def test_what_is_no_run_is_refused_without_naming_an_option_that_the_command_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memrec, words: list[str], folder: str
):
    monkeypatch.chdir(tmp_path)
    called = memrec(*(word.format(folder) for word in words))
    assert (called.status, called.out, called.err.count("\n")) == (2, "", 1)
    assert "such as runs/demo" in called.err
    assert "--run" not in called.err
