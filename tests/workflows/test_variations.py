"""A run with the same mask under several noises and fills: what its page has of that."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memrec_core.degradations import Blur, Colour, Degradation, Erasure, Noise
from tests.conftest import SMALL, make_run
from workflows.experiment import loading as experiments
from workflows.report import write_report
from workflows.report.facts import facts_of
from workflows.report.sections.fills import fill_tables
from workflows.report.sections.noise import noise_charts
from workflows.report.variations import variations
from workflows.run.planning import Size
from workflows.run.rates import aggregate
from workflows.run.run import Run
from workflows.words import percent

VARIED = """[{mask: center}, {mask: center, noise_std: 0.05}, {mask: center, noise_std: 0.02}, {blur: 1.0},
  {mask: bottom}, {mask: bottom, fill: noise}, {mask: bottom, fill: {colour: [0.8, 0.3, 0.1]}},
  {mask: disc, fill: noise}, {mask: disc, fill: patch}]"""
TRAIN = "training images"
METHODS = ("known_mask", "autoencoder_iterations", "biharmonic")


def with_errors(run: Path) -> None:
    """Write the units' files anew with errors around both thresholds: rates between none and all."""
    source = np.random.default_rng(7)
    for path in sorted(run.glob("recovery/**/*.parquet")):
        table = pq.read_table(path)
        errors = pa.array(source.choice([1e-9, 1e-6, 1e-2], len(table)))
        changed = table.set_column(table.column_names.index("mse"), "mse", errors)
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)


def page_of(folder: Path, degradations: str, methods: str) -> tuple[str, Run]:
    text = re.sub("degradations: .*", f"degradations: {degradations}", SMALL) + f"methods: [{methods}]\n"
    varied = experiments.parse(text, "varied")
    run = Run(varied, make_run(varied, folder / "run", lambda kind: Size(12, 512)))
    with_errors(folder / "run")
    aggregate(run)
    write_report(run)
    return (folder / "run" / "report" / "index.html").read_text(), run


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Run]:
    return page_of(tmp_path_factory.mktemp("varied"), VARIED, ", ".join(METHODS))


def shares(run: Run, method: str) -> dict[str, tuple[float, float]]:
    """By degradation, the accurate and approximate rate of training images at the lowest training loss."""
    rates = run.store.read_table("rates.parquet").to_pandas()
    rates = rates[(rates["method"] == method) & (rates["split"] == "train") & (rates["target_loss"] != 1e-2)]
    return {row.degradation: (row.accurate_rate, row.approximate_rate) for row in rates.itertuples()}


def test_rate_is_plotted_against_the_noise_where_a_mask_has_several(varied: tuple[str, Run]):
    page, run = varied
    assert "Rates against the noise" in page
    [(model, charts)] = noise_charts(facts_of(run))
    assert model == "fc10-leaky_relu"
    assert [chart.measure for chart in charts] == ["accurate", "approximate"]
    for place, chart in enumerate(charts):
        assert all(str(drawing) in page for _, drawing in chart.panels)
        assert len(chart.table.rows) == 6  # methods and splits; one panel
        assert chart.table.columns[3:] == ["0", "0.02", "0.05"]
        for method in METHODS:
            [row] = [row for row in chart.table.rows if row[:3] == ["center", run.experiment.titles[method], TRAIN]]
            labels = ("center", "center-noise_0.02", "center-noise_0.05")
            expected = [f"{percent(shares(run, method)[label][place])}\u00a0% (" for label in labels]
            assert all(str(cell).startswith(words) for cell, words in zip(row[3:], expected, strict=True))


def test_what_erased_pixels_hold_is_a_table_of_masks_fills_and_methods(varied: tuple[str, Run]):
    page, run = varied
    assert "What the erased pixels hold" in page
    [table] = fill_tables(facts_of(run))
    assert table.columns == ["mask", "method", "zeros", "noise", "colour_0.8_0.3_0.1", "patch"]
    assert [row[0] for row in (table.rows[0], table.rows[3])] == ["bottom", "disc"]
    assert len(table.rows) == 2 * 3
    known = {label: f"{percent(rate[0])}\u00a0%" for label, rate in shares(run, "known_mask").items()}
    labels = ["bottom", "bottom-fill_noise", "bottom-fill_colour_0.8_0.3_0.1"]
    assert [str(cell).partition(" (")[0] for cell in table.rows[0]] == [
        *("bottom", "known mask"),
        *(known[label] for label in labels),
        "–",
    ]
    assert [str(cell).partition(" (")[0] for cell in table.rows[3]] == [
        *("disc", "known mask", "–", known["disc-fill_noise"], "–", known["disc-fill_patch"])
    ]


def test_page_has_neither_where_no_mask_has_several(tmp_path: Path):
    page, _ = page_of(tmp_path, "[{mask: center}, {mask: bottom, fill: noise, noise_std: 0.02}]", "known_mask")
    assert "Rates against the noise" not in page
    assert "What the erased pixels hold" not in page


def test_variations_differ_in_the_one_setting_alone():
    degradations: list[Degradation] = [
        Erasure("center"),
        Erasure("center", fill=Noise()),
        Erasure("center", fill=Colour(0.5), noise_std=0.1),
        Erasure("center", noise_std=0.1),
        Erasure("bottom", fill=Noise()),
        Blur(1.0),
        Blur(1.0, noise_std=0.1),
    ]
    assert {label: varied.base for label, varied in variations(degradations, "fill").items()} == {
        "center": "center",
        "center-fill_noise": "center",
        "center-fill_colour_0.5-noise_0.1": "center-noise_0.1",
        "center-noise_0.1": "center-noise_0.1",
    }
    blurs = [degradation.label for degradation in degradations[-2:]]
    assert {label: varied.value for label, varied in variations(degradations, "noise_std").items()} == {
        "center": 0.0,
        "center-noise_0.1": 0.1,
        blurs[0]: 0.0,
        blurs[1]: 0.1,
    }
