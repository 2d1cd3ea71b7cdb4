"""memrec compare: the rates of runs side by side are the runs' own, and their differences those of the same images."""

import io
import json
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from memrec_core import datasets
from memrec_core.errors import InputError
from memrec_core.metrics import paired_difference, rate_difference
from tests.browser import Browser, a_browser
from tests.conftest import make_run
from workflows.comparison.compared import Comparison, compare
from workflows.comparison.matching import KEY
from workflows.comparison.page import page_of
from workflows.comparison.printing import print_comparison
from workflows.comparison.words import groups_of, summary_of
from workflows.experiment import loading as experiments
from workflows.run.images import REMARKS
from workflows.run.opened import OpenRun, open_run
from workflows.run.planning import Size
from workflows.run.rates import aggregate, incomplete, makers_of
from workflows.run.rates_schema import MADE_BY, RATES_SCHEMA
from workflows.run.store import IMAGES, RATES, Store
from workflows.words import loss_words

EXPERIMENT = """
name: NAME
seed: SEED
data:
  {label: LABEL, name: image_folder, root: ROOT/train, control_root: ROOT/control, count: 6, control_count: 4, size: 8}
models: [{architecture: fc10, width: 48, activation: ACTIVATION, gamma: 0.5}]
training: {targets: [1e-2, 1e-5]}
degradations: [{mask: center}, {mask: MASK}]
methods: [known_mask, autoencoder_iterations, biharmonic]
recovery: {max_autoencoder_iterations: 200}
pictures: 0
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two activations on the same images, whose files have other names; and one on other images."""
    folder = tmp_path_factory.mktemp("compared")
    for name, seed in (("same", 1), ("renamed", 1), ("others", 2)):
        for split in ("train", "control"):
            images = datasets.load("photos", count=8, size=8, seed=seed, split=split)
            pixels = images.images.flip(-1) if name == "others" else images.images
            for place, image in enumerate(pixels):
                path = folder / name / split / f"{name}-{place}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image.mul(255).round().byte().permute(1, 2, 0).numpy()).save(path)
    for name, root, activation, mask in (
        ("a", "same", "leaky_relu", "random_80"),
        ("b", "renamed", "prelu", "bottom"),
        ("c", "others", "leaky_relu", "random_80"),
    ):
        written = EXPERIMENT.replace("ROOT", str(folder / root)).replace("ACTIVATION", activation).replace("MASK", mask)
        written = written.replace("NAME", name).replace("SEED", "42").replace("LABEL", root)
        if name == "c":
            written = written.replace("control_count: 4", "control_count: 4, recover_count: 4")
        make_run(experiments.parse(written, name), folder / name, lambda kind: Size(7, 8))
        aggregate(open_run(folder / name))
    return folder


@pytest.fixture(scope="module")
def runs(made: Path) -> dict[str, OpenRun]:
    return {name: open_run(made / name) for name in "abc"}


@pytest.fixture(scope="module")
def pair(runs) -> Comparison:
    return compare([runs["a"], runs["b"]])


def test_rates_are_those_of_the_runs(runs, pair: Comparison):
    assert set(pair.differences["degradation"]) == {"center"}
    assert set(pair.differences["method"]) == {"known_mask", "autoencoder_iterations", "biharmonic"}
    for run, ending in ((runs["a"], ""), (runs["b"], "_other")):
        rates = run.rates().assign(
            data_set="same", model=lambda rows: rows["model"].replace("fc10-prelu", "fc10-leaky_relu")
        )
        for row in pair.differences.to_dict("records"):
            fits = rates
            for column in KEY:
                fits = fits[fits[column].isna() if pd.isna(row[column]) else fits[column] == row[column]]
            [rate] = fits.to_dict("records")
            for what in ("count", "rate", "low", "high"):
                assert row[f"{what}{ending}"] == rate[f"{row['kind']}_{what}"]
            assert row[f"images{ending}"] == rate["images"]


def test_same_images_are_paired_by_their_pixels_and_those_that_changed_sides_are_named(runs, pair: Comparison):
    assert set(pair.differences["interval"]) == {"paired"}
    images = {name: pd.DataFrame(run.store.read_table("images.parquet").to_pylist()) for name, run in runs.items()}
    names = images["a"].merge(images["b"], on=["split", "digest"], suffixes=("", "_other"))
    names = names[["split", "id", "id_other"]].rename(columns={"id": "image_id", "id_other": "image_id_other"})
    of_a, of_b = (runs[name].results(degradation="center").fillna({"target_loss": 0.0}) for name in "ab")
    both = of_a.merge(names, on=["split", "image_id"]).merge(
        of_b.rename(columns={"image_id": "image_id_other"}),
        on=["target_loss", "method", "split", "image_id_other"],
        suffixes=("", "_of_b"),
    )
    moved = 0
    for row in pair.differences.fillna({"target_loss": 0.0}).to_dict("records"):
        limit = {"accurate": 1e-7, "approximate": 5e-4}[row["kind"]]
        rows = both[(both["target_loss"] == row["target_loss"]) & (both["method"] == row["method"])]
        rows = rows[rows["split"] == row["split"]]
        first, second = rows["mse"] < limit, rows["mse_of_b"] < limit
        assert len(rows) == row["common"] == row["images"]
        counts = [int(some.sum()) for some in (first & second, ~first & second, first & ~second, ~first & ~second)]
        found = [row["difference"], row["difference_low"], row["difference_high"]]
        np.testing.assert_allclose(found, paired_difference(*counts))
        assert row["difference"] == pytest.approx(row["rate_other"] - row["rate"])
        assert (row["came"], row["went"]) == tuple(counts[1:3])
        changed = pair.changed[(pair.changed["kind"] == row["kind"]) & (pair.changed["method"] == row["method"])]
        changed = changed[(changed["target_loss"].fillna(0) == row["target_loss"]) & (changed["split"] == row["split"])]
        expected = {*zip(rows["image_id"][first != second], rows["image_id_other"][first != second], strict=True)}
        assert {*zip(changed["image_id"], changed["image_id_other"], strict=True)} == expected
        assert changed["only_in_other"].sum() == counts[1]
        moved += len(expected)
    assert moved > 0  # else nothing of this was tried


def test_other_images_are_compared_as_independent(runs):
    found = compare([runs["a"], runs["c"]])
    assert set(found.differences["interval"]) == {"independent"}
    assert found.changed.empty
    for row in found.differences.to_dict("records"):
        bounds = rate_difference(row["count_other"], row["images_other"], row["count"], row["images"])
        assert [row["difference"], row["difference_low"], row["difference_high"]] == pytest.approx(
            [*map(float, bounds)]
        )


def test_what_does_not_match_is_listed(pair: Comparison):
    assert pair.missing == [
        "Only in A, not in B: degradation random_80.",
        "Only in B, not in A: degradation bottom.",
    ]
    assert set(pair.unmatched["degradation"]) == {"random_80", "bottom"}
    assert "The network fc10-prelu of B is compared with fc10-leaky_relu of A." in pair.remarks
    assert "models.fc10-leaky_relu.activation is 'leaky_relu' in A, and 'prelu' in B." in pair.remarks


def test_rates_of_a_sample_are_said_to_be_so_once(runs):
    for order, name in (("cab", "A"), ("abc", "C")):
        found = compare([runs[run] for run in order])
        [said] = [remark for remark in found.remarks if "recover_count" in remark and ": data set" in remark]
        assert said.startswith(f"{name}: data set others: 4 of 6 different training images are recovered")


def test_run_that_is_incomplete_and_what_its_images_are_is_said_once(made: Path, runs, tmp_path: Path, memrec):
    folder = shutil.copytree(made / "a", tmp_path / "a")
    next(folder.glob("recovery/**/random_80/**/*.parquet")).unlink()
    store = Store(str(folder))
    remark = {REMARKS: b'{"same": ["1 hidden file is passed over"]}'}
    store.write_table(IMAGES, store.read_table(IMAGES).replace_schema_metadata(remark))
    part = open_run(folder)
    sentences = [incomplete(part.rates()), "data set same: 1 hidden file is passed over"]
    assert sentences[0].startswith("Incomplete: ")
    for order, name in (([part, runs["b"], runs["c"]], "A"), ([runs["a"], runs["c"], part], "C")):
        remarks = compare(order).remarks
        assert [remarks.count(f"{name}: {sentence}") for sentence in sentences] == [1, 1]
        assert sum("Incomplete" in said for said in remarks) == 1
    printed, page = memrec("compare", folder, made / "b"), page_of(compare([part, runs["b"]]))
    assert all(f"A: {sentence}" in text for sentence in sentences for text in (printed.out, page))


def made_by(folder: Path, *makers: tuple[str, str, str]) -> OpenRun:
    """The run, whose rates say that others have made them."""
    run = open_run(folder)
    rates = run.rates()
    rates.attrs[MADE_BY] = [*map(list, makers)]
    run.store.write_table(RATES, pa.Table.from_pandas(rates, RATES_SCHEMA, preserve_index=False))
    return run


def test_runs_by_other_versions_or_devices_are_told_apart_by_them(made: Path, runs, tmp_path: Path, memrec):
    [own] = makers_of(runs["a"].rates())
    folder = shutil.copytree(made / "b", tmp_path / "b")
    others = [("0.0.8", own.torch, own.device), ("0.0.9", "2.0", "cuda (NVIDIA H100)")]
    for makers in (others[:1], others):
        found = compare([runs["a"], made_by(folder, *makers), runs["c"]])
        by = " and ".join(f"memrec {version}, torch {torch}, on {device}" for version, torch, device in makers)
        said = f"A was made by {own}, B by {by}; last bits, and what a method does, may differ."
        assert [remark for remark in found.remarks if "was made by" in remark] == [said]
        assert said in memrec("compare", made / "a", folder).out
        swapped = compare([open_run(folder), runs["a"]]).remarks
        assert f"A was made by {by}, B by {own}; last bits, and what a method does, may differ." in swapped
    assert not any("was made by" in remark for remark in compare([runs["a"], made_by(folder)]).remarks)


def test_several_runs_are_each_held_to_the_first(runs, pair: Comparison):
    found = compare([runs["a"], runs["b"], runs["c"]])
    assert list(found.runs) == ["A", "B", "C"]
    of_b = found.differences[found.differences["run"] == "B"].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_b, pair.differences, check_dtype=False)


def test_documents_and_the_terminal_say_the_same(made: Path, runs, pair: Comparison, tmp_path: Path, memrec):
    files = [tmp_path / name for name in ("a.json", "a.csv", "changed.csv", "a.html")]
    options = [part for pair_ in zip(("--json", "--csv", "--changed", "--page"), files, strict=True) for part in pair_]
    called = memrec("compare", made / "a", made / "b", *options)
    assert called.status == 0
    assert "Only in A, not in B: degradation random_80." in called.out
    document = json.loads(files[0].read_text())
    table = pd.read_csv(files[1])
    assert len(document["differences"]) == len(table) == len(pair.differences)
    np.testing.assert_array_equal(table["difference"], pair.differences["difference"])
    assert [row["difference"] for row in document["differences"]] == table["difference"].tolist()
    assert len(pd.read_csv(files[2])) == len(document["changed"]) == len(pair.changed)
    row = pair.differences[pair.differences["kind"] == "accurate"].iloc[0]
    said = f"{row['count']}/{row['images']}"
    assert said in called.out
    assert said in files[3].read_text()
    printed = memrec("compare", made / "a", made / "b", "--csv", "-")
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(printed.out)), table)


def test_summary_counts_the_differences_that_are_told_from_0(pair: Comparison):
    signs = [(0.2, 0.6), (-0.9, -0.6), (-0.5, -0.1), (-0.1, 0.2)]
    rows = pair.differences.query("kind == 'accurate' and split == 'train' and method != 'biharmonic'").head(4)
    low, high = zip(*signs, strict=True)
    rows = rows.assign(difference_low=low, difference_high=high, difference=[(a + b) / 2 for a, b in signs])
    said = summary_of(pair, rows)
    assert said.startswith(
        "Of 4 rates of training images, B has 1 higher than A and 2 lower; of 1 the difference may be 0."
    )
    second = rows.to_dict("records")[1]
    where = f"{pair.titles[second['method']]}, center, training loss {loss_words(second['target_loss'])}"
    assert said.endswith(f"The largest difference, in points: -75 (-90 to -60), {where}.")
    assert "largest" not in summary_of(pair, rows.tail(1))


@pytest.fixture(scope="module")
def of_two(pair: Comparison) -> Comparison:
    """The same of two data sets, each with a network and a method without one."""

    def doubled(rows: pd.DataFrame) -> pd.DataFrame:
        model = rows["model"].replace("fc10-leaky_relu", "fc10-other")
        return pd.concat([rows, rows.assign(data_set="other", model=model)], ignore_index=True)

    return pair._replace(differences=doubled(pair.differences), changed=doubled(pair.changed))


def test_methods_without_a_network_are_named_with_their_data_set_where_there_are_several(
    pair: Comparison, of_two: Comparison, capsys: pytest.CaptureFixture[str]
):
    networks = ["fc10-leaky_relu", "generic, same", "fc10-other", "generic, other"]
    for comparison, expected in ((pair, ["fc10-leaky_relu", "generic"]), (of_two, networks)):
        print_comparison(comparison)
        titles = [line for line in capsys.readouterr().out.splitlines() if line.endswith("(95 % interval)")]
        assert titles == [f"{network}: accurate recovery, % of the images (95 % interval)" for network in expected]
        page = page_of(comparison)
        assert all(page.count(f'<th scope="row">{network}</th>') > 1 for network in expected)
        [*moved] = groups_of(comparison._replace(changed=comparison.changed.assign(model="generic")), "approximate")
        assert {*(group.title.partition(", 1e-")[0] for group in moved)} == {
            network for network in expected if "generic" in network
        }


def test_summary_names_the_network_where_several_have_the_method(pair: Comparison, of_two: Comparison):
    for comparison, model, network in (
        (of_two, "fc10-other", "fc10-other, "),
        (pair, "fc10-leaky_relu", ""),
        (pair, "generic", ""),
    ):
        rows = comparison.differences.query("kind == 'accurate'").assign(difference_low=-0.5, difference=-0.4)
        rows.loc[rows["model"] == model, "difference"] = -0.9
        rows = rows.assign(difference_high=-0.1)
        largest = rows[(rows["split"] == "train") & (rows["model"] == model)].iloc[0]
        said = summary_of(comparison, rows).partition("-90 (-50 to -10), ")[2]
        assert said.startswith(f"{network}{comparison.titles[largest['method']]}, center")
    generic = of_two.differences.query("kind == 'accurate' and model == 'generic'")
    generic = generic.assign(difference=0.4, difference_low=0.1, difference_high=0.5)
    generic.loc[generic["data_set"] == "other", "difference"] = 0.45
    assert "+45 (+10 to +50), generic, other, " in summary_of(of_two, generic)


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("href", "src", "action")]


def test_page_stands_alone_and_hostile_names_stay_text(pair: Comparison):
    hostile = "<script>alert(1)</script>\"'>"
    differences = pair.differences.assign(degradation=hostile)
    changed = pair.changed.assign(image_id=hostile, image_id_other=hostile)
    page = page_of(
        pair._replace(differences=differences, changed=changed, remarks=[hostile], runs={"A": hostile, "B": "b"})
    )
    tags = Tags(page)
    assert "script" not in tags.tags
    assert tags.links == []
    assert "http" not in page
    assert page.count("&lt;script&gt;") > 5
    assert tags.tags.count("svg") > 5


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with a_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def page(pair: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("page") / "page.html"
    page.write_text(page_of(pair), encoding="utf-8")
    return page


@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_the_window_and_asks_for_nothing(browser: Browser, page: Path, width: int):
    browser.open(page, width=width)
    assert not browser.is_wider_than_the_window()
    assert browser.complaints() == []
    assert browser.requests() == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_serious_barrier(browser: Browser, page: Path, width: int, scheme: str):
    browser.open(page, width=width, scheme=scheme)
    assert browser.violations() == []


def test_full_disk_is_no_mistake_of_the_users(made: Path, memrec):
    called = memrec("compare", made / "a", made / "b", "--json", "/dev/full")
    assert (called.status, called.err.count("\n")) == (1, 1)
    assert "/dev/full can't be written (No space left on device); free the disk, or give another --json" in called.err


def test_mistakes_are_answered_in_a_sentence(made: Path, tmp_path: Path, memrec):
    a, b = made / "a", made / "b"
    other = shutil.copytree(a, tmp_path / "empty", ignore=shutil.ignore_patterns("recovery", "results"))
    for arguments in (
        [a],
        [a, a],
        [a, f"{a}/"],
        [a, made / "nowhere"],
        [a, other],
        [a, b, "--json", "-", "--csv", "-"],
        [a, b, "--json", tmp_path / "nowhere" / "a.json"],
        [a, b, "--page", ""],
        [a, b, "--page", tmp_path],
    ):
        called = memrec("compare", *arguments)
        assert (called.status, called.out, called.err.count("\n")) == (2, "", 1), arguments


def test_runs_that_share_nothing_are_refused(made: Path, runs, tmp_path: Path):
    apart = EXPERIMENT.replace("ROOT", str(made / "same")).replace("ACTIVATION", "leaky_relu").replace("MASK", "border")
    apart = apart.replace("NAME", "d").replace("SEED", "42").replace("LABEL", "same").replace("{mask: center}, ", "")
    make_run(experiments.parse(apart, "d"), tmp_path / "d", lambda kind: Size(20, 8))
    with pytest.raises(InputError, match="have no rates in common"):
        compare([runs["a"], open_run(tmp_path / "d")])
