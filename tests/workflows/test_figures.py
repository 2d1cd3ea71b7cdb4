"""memrec figures: the paper's figures of what a run has, the same bytes each time, and its tables."""

import io
import re
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from memrec_core.metrics import clopper_pearson
from tests.conftest import make_run
from tests.full_disk import files_of_at_most
from workflows.errors import StoreError
from workflows.experiment import loading as experiments
from workflows.figures.source import Source
from workflows.figures.style import COLOURS, looks_of
from workflows.figures.tables import Rates, as_csv, as_latex, as_markdown, tables_of
from workflows.figures.writing import FIGURES, write_figures
from workflows.run.opened import open_run
from workflows.run.planning import Size
from workflows.run.rates import aggregate
from workflows.words import percent

EXPERIMENT = """
name: drawn
data: {name: photos, count: 6, control_count: 2, size: 8}
models: [{architecture: fc10, width: 48}]
training: {targets: [1e-2, 1e-4]}
degradations: [{mask: center}, {mask: random_80}, {mask: center, noise_std: 0.02}]
methods: [unknown_mask, known_mask, autoencoder_iterations, biharmonic]
recovery: {max_iterations: 3, max_autoencoder_iterations: 50}
pictures: 6
"""
MODEL = "fc10-leaky_relu"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "run"
    make_run(experiments.parse(EXPERIMENT, "drawn"), folder, lambda kind: Size(100, 8))
    aggregate(open_run(folder))
    return folder


@pytest.fixture(scope="module")
def drawn(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    out = tmp_path_factory.mktemp("figures")
    return out, [*write_figures(open_run(run), str(out), 85)]


def test_every_figure_is_there_in_three_formats_or_a_line_says_why_not(drawn):
    out, lines = drawn
    for number in FIGURES:
        [line] = [line for line in lines if line.startswith(f"figure {number}")]
        if " is not drawn: " in line:
            assert number == "F.1", line
            continue
        stem = line.partition(": ")[2].removesuffix(".{pdf,svg,png}")
        assert Path(f"{stem}.pdf").read_bytes().startswith(b"%PDF")
        assert ET.parse(f"{stem}.svg").getroot().tag.endswith("svg")
        assert Image.open(f"{stem}.png").size[0] == pytest.approx(85 / 25.4 * 300, abs=2)
    assert sorted(path.name for path in out.glob("figure3*.svg")) == [f"figure3-{MODEL}.svg"]
    assert [path.name for path in out.glob("figureG1*.svg")] == [f"figureG1-{MODEL}-center-noise_0.02.svg"]


def test_same_run_gives_the_same_bytes_and_no_date(run: Path, drawn, tmp_path: Path):
    [*write_figures(open_run(run), str(tmp_path), 85)]
    names = {path.name for path in drawn[0].iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == names
    for name in names:
        assert (tmp_path / name).read_bytes() == (drawn[0] / name).read_bytes(), name
        assert not re.search(rb"CreationDate|<dc:date>|Matplotlib v", (tmp_path / name).read_bytes()), name


def test_drawing_leaves_matplotlib_as_it_was(run: Path, tmp_path: Path):
    before = dict(matplotlib.rcParams)
    lines = write_figures(open_run(run), str(tmp_path), 120)
    while not next(lines).startswith("figure 3"):
        pass
    assert dict(matplotlib.rcParams) == before
    assert Image.open(tmp_path / f"figure3-{MODEL}.png").size[0] == pytest.approx(120 / 25.4 * 300, abs=2)


def test_lines_are_the_rates_of_training_images(run: Path):
    source = Source.of(open_run(run))
    [drawing] = FIGURES["3"](source)
    rates = source.rates[source.rates["split"] == "train"]
    panels = {axes.get_title(): axes for axes in drawing.figure.axes if axes.get_title()}
    assert set(panels) == {"center", "random_80"}  # what has noise is in figure G.1
    titles = source.run.experiment.titles
    for label, axes in panels.items():
        lines = {line.get_color(): line for line in axes.lines if len(line.get_xdata())}
        assert len(lines) == len(titles)
        for method in titles:
            line = lines[source.looks[method].colour]
            own = rates[(rates["degradation"] == label) & (rates["method"] == method)].sort_values("target_loss")
            expected = np.broadcast_to(
                100 * own["accurate_rate"].to_numpy(), 2
            )  # of methods without a network one rate
            np.testing.assert_allclose(line.get_ydata(), expected)
            np.testing.assert_allclose(line.get_xdata(), [1e-4, 1e-2])


def test_methods_of_the_paper_have_its_colours_and_no_two_share_one():
    written = EXPERIMENT.replace(
        "[unknown_mask, known", "[adaptive, {name: unknown_mask, label: long}, unknown_mask, known"
    )
    looks = looks_of(experiments.parse(written, "drawn").methods)
    assert looks["long"].colour == COLOURS[0]
    assert looks["known_mask"].colour == COLOURS[1]
    assert len({look.colour for look in looks.values()}) == len({look.marker for look in looks.values()}) == len(looks)


def test_tables_hold_the_rates_at_the_lowest_loss(run: Path):
    source = Source.of(open_run(run))
    accurate, approximate = tables_of(source)
    rates = source.rates[(source.rates["split"] == "train")]
    for table, kind in ((accurate, "accurate"), (approximate, "approximate")):
        found = pd.read_csv(io.StringIO(as_csv(table)))
        assert set(found["target_loss"]) == {1e-4}
        for row in found.to_dict("records"):
            fits = rates[(rates["method"] == row["method"]) & (rates["degradation"] == row["degradation"])]
            fits = fits[fits["target_loss"].isna() | (fits["target_loss"] == 1e-4)]
            assert fits[f"{kind}_rate"].tolist() == [row[f"{kind}_rate"]]
            assert f"{percent(row[f'{kind}_rate'])} (" in as_latex(table)
            assert f"{percent(row[f'{kind}_rate'])} (" in as_markdown(table)


@pytest.mark.parametrize(("count", "words"), [(3, "0.012 (0.0025--0.035)"), (24_999, "99.996 (99.98--99.9999)")])
def test_tables_tell_few_from_none_and_nearly_all_from_all(run: Path, count: int, words: str):
    source = Source.of(open_run(run))
    low, high = map(float, clopper_pearson(count, 25_000))
    rates = source.rates.assign(accurate_rate=count / 25_000, accurate_low=low, accurate_high=high)
    accurate, _ = tables_of(replace(source, rates=rates))
    assert as_latex(accurate).count(words) == 4 * 3  # methods and degradations


def test_tables_and_lines_say_that_the_rates_are_of_a_sample(tmp_path: Path):
    written = EXPERIMENT.replace("control_count: 2", "control_count: 2, recover_count: 4")
    written = written.replace("pictures: 6", "pictures: 0").replace(
        ", {mask: random_80}, {mask: center, noise_std: 0.02}", ""
    )
    make_run(experiments.parse(written, "drawn"), tmp_path / "run", lambda kind: Size(100, 8))
    lines = [*write_figures(open_run(tmp_path / "run"), str(tmp_path / "figures"), 85)]
    said = "4 of 6 different training images are recovered, drawn at random (recover_count); the rates are of these"
    assert f"data set photos: {said}" in lines
    caption = (tmp_path / f"figures/table-accurate-{MODEL}.tex").read_text().replace("\\", "")
    assert f"95 % interval. Of photos, {said}." in caption


def test_tables_of_a_part_of_the_run_say_so_and_of_how_many_images_they_are(run: Path, tmp_path: Path):
    copy = shutil.copytree(run, tmp_path / "run")
    next(copy.glob("recovery/fc10*/0.0001/**/*.parquet")).unlink()
    table = next(tables_of(Source.of(open_run(copy))))
    assert "Incomplete: " in as_markdown(table)
    assert "Incomplete: " in as_latex(table)
    assert ": % of the 6 images, and its 95 % interval" in table.caption


def test_run_under_noise_alone_has_its_tables_and_says_what_is_not_drawn(tmp_path: Path):
    written = re.sub(
        "degradations:.*", "degradations: [{mask: center, noise_std: 0.02}, {blur: {std: 1.0}}]", EXPERIMENT
    )
    written = re.sub("methods:.*", "methods: [unknown_mask]", written).replace("[1e-2, 1e-4]", "[1e-2]")
    make_run(experiments.parse(written, "noisy"), tmp_path / "run", lambda kind: Size(100, 8))
    lines = [*write_figures(open_run(tmp_path / "run"), str(tmp_path / "out"), 85)]
    for number in ("3", "F.2", "F.3", "F.4"):
        assert f"figure {number} is not drawn: there are no rates of what it shows" in lines
    assert any(line.startswith("table: ") for line in lines)


def test_what_is_markup_is_text_in_latex_and_markdown():
    hostile = r"50% & \input{/etc/passwd} $x_1^2$ #~<b>|[a](b)`" + "\n"
    table = Rates("name", hostile, [["", hostile], [hostile, "1"]], pd.DataFrame())
    latex, markdown = as_latex(table), as_markdown(table)
    assert r"\input" not in latex
    assert not re.search(r"(?<!\\)[%&$#_^~]", re.sub(r"^%.*\n| & | \\\\$", "", latex, flags=re.M))
    assert len(latex.splitlines()) == 11
    assert len(markdown.splitlines()) == 5
    assert not re.search(r"(?<!\\)[<\[`$_]", markdown)
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in markdown.splitlines()[2:])


def test_run_that_has_lost_its_pictures_has_all_figures_but_the_courses(run: Path, tmp_path: Path):
    copy = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("0.0001.safetensors"))
    lines = write_figures(open_run(copy), str(tmp_path / "out"), 85)
    first = next(line for line in lines if line.startswith("figure "))
    assert first.startswith("figure 1 is not drawn: ")
    assert "0.0001" in first
    assert any(line.startswith("figure 3: ") for line in lines)


def test_run_without_a_network_says_so_of_each_figure(tmp_path: Path):
    written = EXPERIMENT.replace("unknown_mask, known_mask, autoencoder_iterations, ", "").replace("1e-2, 1e-4", "0.1")
    make_run(experiments.parse(written, "generic"), tmp_path / "run", lambda kind: Size(100, 8))
    lines = [*write_figures(open_run(tmp_path / "run"), str(tmp_path / "out"), 85)]
    assert len(lines) == len(FIGURES)
    assert all(" is not drawn: " in line for line in lines)


def test_full_disk_leaves_no_part_of_a_figure(run: Path, tmp_path: Path):
    with (
        files_of_at_most(1000),
        pytest.raises(StoreError, match=r"too large\); .* another --out"),
    ):
        list(write_figures(open_run(run), str(tmp_path / "out"), 85))
    assert [*(tmp_path / "out").iterdir()] == []


def test_mistakes_are_answered_in_a_sentence(run: Path, tmp_path: Path, memrec):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "x", "s3://bucket/x", ""):
        called = memrec("figures", run, "--out", out)
        assert (called.status, called.err.count("\n")) == (2, 1)
    assert memrec("figures", tmp_path, "--out", tmp_path / "out").status == 2
    assert memrec("figures", run, "--out", tmp_path / "out", "--width", 5).status == 2


def test_image_that_the_run_does_not_have_is_refused_before_anything_is_drawn(run: Path, tmp_path: Path, memrec):
    for image in ("nope", "8", "-1"):
        called = memrec("figures", run, "--out", tmp_path / "out", "--image", image)
        assert (called.status, called.out, called.err.count("\n")) == (2, "", 1)
        assert image in called.err
    assert not (tmp_path / "out").exists()


def test_no_figure_is_written_into_a_runs_folder(run: Path, memrec):
    before = sorted(run.rglob("*"))
    called = memrec("figures", run, "--out", run)
    assert (called.status, called.out, called.err.count("\n")) == (2, "", 1)
    assert f"--out {run} is a run's folder" in called.err
    assert sorted(run.rglob("*")) == before
