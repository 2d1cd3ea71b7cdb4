"""A schema that grows: which columns a unit's file needs for its rows to count, and what else it says."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import memrec_core
import workflows
from workflows.errors import ResultsError
from workflows.run.audit_set import load_audit_set
from workflows.run.checkpoint_files import load_checkpoint
from workflows.run.plan import planned_units
from workflows.run.rates import aggregate
from workflows.run.rates_schema import RATES_SCHEMA, THRESHOLDS_SCHEMA
from workflows.run.schema import REQUIRED, SCHEMA, check_columns
from workflows.work.recover import Held, recover_unit

WHOLE = Path(__file__).parent / "run_of_fixed_schema"
NEWER = ["cycling"]
"""Columns of the rates that a run of an earlier revision has not."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WHOLE, tmp_path / "run"))


def change(run: Path, changed: Callable[[pa.Table], pa.Table]) -> Path:
    """Write one unit's file anew, with the same metadata; returns which."""
    path = sorted(run.glob("recovery/**/*.parquet"))[0]
    table = pq.read_table(path)
    pq.write_table(changed(table).replace_schema_metadata(table.schema.metadata), path)
    return path


def rates_of(run: Path) -> pd.DataFrame:
    return aggregate(workflows.open_run(str(run)))


def as_type(name: str, kind: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    def changed(table: pa.Table) -> pa.Table:
        return table.set_column(table.column_names.index(name), name, table[name].cast(kind))

    return changed


@pytest.fixture(scope="module")
def whole_rates(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The rates of the run as it is."""
    return rates_of(Path(shutil.copytree(WHOLE, tmp_path_factory.mktemp("whole") / "run")))


LONG = pytest.mark.long
COUNT: dict[str, Callable[[pa.Table], pa.Table]] = {
    "further columns": lambda table: table.append_column("ssim", [[0.5] * len(table)]),
    "a further column of a name that a reader uses": lambda table: table.append_column("file", [[7] * len(table)]),
    "no column that nobody needs": lambda table: table.drop_columns(["label", "seed", "outer_iterations"]),
    "another order": lambda table: table.select(table.column_names[::-1]),
    "text laid out as polars does": as_type("status", pa.large_string()),
    "text as a dictionary": as_type("method", pa.dictionary(pa.int32(), pa.string())),
    "wider numbers": as_type("multiplicity", pa.int64()),
}


SELDOM = ["a further column of a name that a reader uses", "another order", "text as a dictionary"]


@pytest.mark.parametrize("what", [pytest.param(what, marks=LONG) if what in SELDOM else what for what in COUNT])
def test_file_that_has_what_the_rates_need_counts(run: Path, whole_rates: pd.DataFrame, what: str):
    change(run, COUNT[what])
    after = rates_of(run)
    pd.testing.assert_frame_equal(after, whole_rates)
    assert after.attrs == whole_rates.attrs


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (lambda table: table.drop_columns(["mse"]), "has no column mse"),
        pytest.param(lambda table: table.drop_columns(["recovered"]), "has no column recovered", marks=LONG),
        (as_type("mse", pa.string()), "has a column mse of type string, not double"),
        pytest.param(as_type("label", pa.binary()), "has a column label of type binary, not string", marks=LONG),
        (lambda table: table.append_column("mse", table["mse"]), "has 2 columns mse"),
    ],
)
def test_file_that_lacks_what_they_need_does_not_count_and_it_is_said_why(run: Path, changed, sentence: str):
    path = change(run, changed)
    assert check_columns(pq.read_schema(path)) == sentence
    with pytest.raises(ResultsError, match=f"{path.name} {sentence.replace('has', 'had')}, and lies in"):
        rates_of(run)
    assert not path.exists()
    assert rates_of(run).attrs["units_done"] == 5


def test_file_whose_numbers_do_not_fit_their_column_is_set_aside(run: Path):
    path = change(run, lambda table: table.drop_columns("multiplicity").append_column("multiplicity", [[2**40] * 24]))
    with pytest.raises(ResultsError, match=f"{path.name} had damaged rows"):
        rates_of(run)
    assert not path.exists()


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_each_column_that_is_needed_is_asked_for(name: str):
    assert check_columns(SCHEMA.remove(SCHEMA.get_field_index(name))) == f"has no column {name}"


def test_columns_that_the_rates_and_the_page_read_are_all_required(run: Path, memrec):
    for path in run.glob("recovery/**/*.parquet"):
        pq.write_table(pq.read_table(path, columns=sorted(REQUIRED)), path)
    assert memrec("aggregate", run).status == memrec("report", run).status == 0
    now, then = (pd.read_parquet(folder / "rates.parquet") for folder in (run, WHOLE))
    pd.testing.assert_frame_equal(now.drop(columns=NEWER), then)
    assert "--sheet:url(data:image/webp" in (run / "report/index.html").read_text()


@pytest.mark.parametrize(("name", "schema"), [("rates", RATES_SCHEMA), ("thresholds", THRESHOLDS_SCHEMA)])
def test_rates_are_typed_as_documented(run: Path, name: str, schema: pa.Schema):
    rates_of(run)
    written = pq.read_schema(run / f"{name}.parquet")
    assert written.equals(schema)
    then = pd.read_parquet(WHOLE / f"{name}.parquet").columns.tolist()
    assert [column for column in written.names if column not in NEWER] == then
    assert all(written.field(column).metadata[b"description"] for column in written.names)


def test_file_of_a_unit_says_what_made_it(run: Path):
    opened = workflows.open_run(str(run))
    experiment, store = opened.experiment, opened.store
    unit = next(unit for unit in planned_units(opened)[0] if unit.method == "unknown_mask")
    model = experiment.model(unit.model)
    held = Held.of(model, *load_checkpoint(store, model, unit.target_loss))
    said = recover_unit(unit, experiment, load_audit_set(experiment.data[0], 42), held).schema.metadata
    assert said[b"memrec_version"].decode() == memrec_core.__version__
    assert said[b"torch_version"].decode() == torch.__version__
    assert said[b"memrec_device"] == b"cpu"
    settings = {"inner_iterations": 40, "max_iterations": 5, "tolerance": 1e-9, "patience": 3}
    assert json.loads(said[b"memrec_method"]) == {"name": "unknown_mask", **settings}
    assert said[b"memrec_unit"].decode() == unit.name
