"""The page's section on how well each image is fitted."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import SMALL, make_run
from workflows.experiment import loading as experiments
from workflows.report import write_report
from workflows.report.charts.panel import RIGHT, TOP, WIDTH
from workflows.report.facts import facts_of
from workflows.report.sections import fitted
from workflows.run.planning import Size
from workflows.run.rates import aggregate
from workflows.run.run import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    small = experiments.parse(SMALL + "methods: [known_mask, autoencoder_iterations, biharmonic]\n", "small")
    made = Run(small, make_run(small, tmp_path / "run", lambda kind: Size(12, 512)))
    aggregate(made)
    return made


def page_of(run: Run) -> str:
    write_report(run)
    return run.store.read("report/index.html").decode()


def test_each_image_is_a_point_in_each_panel(run: Run):
    [(model, chart)] = fitted.fitted_charts(facts_of(run))
    assert (model, [label for label, _ in chart.panels]) == ("fc10-leaky_relu", ["center", "random_80-noise_0.02"])
    for _, drawn in chart.panels:
        points = [len(re.findall("M", d)) for d in re.findall(r'class="(?:dots|crosses) c\d" d="([^"]*)"', drawn)]
        # Methods that use the network, for each split, of 6 images each; a cross is of two strokes.
        assert sorted(points) == [6, 6, 6, 6]
    assert page_of(run).count('id="fitted"') == 1


def change(run: Run, mse: dict[str, float], train_mse: dict[str, float]) -> None:
    """Give all recoveries by a network these errors, by their split."""
    for path in Path(run.store.path("recovery")).rglob("*.parquet"):
        table = pq.read_table(path)
        if table["train_mse"].null_count == 0:
            for name, errors in (("mse", mse), ("train_mse", train_mse)):
                column = pa.array([errors[split] for split in table["split"].to_pylist()])
                table = table.set_column(table.column_names.index(name), name, column)
            pq.write_table(table, path)
    aggregate(run)


def test_images_without_any_error_are_drawn_at_the_axes_ends_and_in_the_table(run: Run):
    change(run, {"train": 0.0, "control": 1e-2}, {"train": 0.0, "control": 3e-2})
    [(_, chart)] = fitted.fitted_charts(facts_of(run))
    assert [row[3:] for row in chart.table.rows] == [["0 (6)", "none"], ["none", "3·10⁻² (6)"]] * 4
    for _, drawn in chart.panels:
        [place] = set(re.findall(r"M([\d.]+ [\d.]+)h0", drawn))
        assert place == f"{WIDTH - RIGHT:.1f} {TOP:.1f}"
        assert drawn.count("h0") == 2 * 6
    assert "6 of 6 training images that are drawn came back exactly" in page_of(run)


def test_table_says_how_well_those_are_fitted_that_came_back(run: Run):
    change(run, {"train": 1e-9, "control": 1e-2}, {"train": 2e-5, "control": 3e-2})
    [(_, chart)] = fitted.fitted_charts(facts_of(run))
    assert [row[3:] for row in chart.table.rows] == [["2·10⁻⁵ (6)", "none"], ["none", "3·10⁻² (6)"]] * 4


def test_large_sets_are_sampled_evenly_and_it_is_said(run: Run, monkeypatch: pytest.MonkeyPatch):
    assert "are drawn in a panel, evenly" not in page_of(run)
    monkeypatch.setattr(fitted, "MOST", 2)
    assert "At most 2 of each method and kind of images are drawn in a panel, evenly" in page_of(run)
    [(_, chart)] = fitted.fitted_charts(facts_of(run))
    assert chart.panels[0][1].count("h0") == 2 * 2  # of each method


def test_run_of_an_earlier_revision_has_no_such_section(run: Run):
    for path in Path(run.store.path("recovery")).rglob("*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns(["train_mse", "recipe"]), path)
    assert 'id="fitted"' not in page_of(run)
