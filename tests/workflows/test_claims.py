"""What a method believes of its results: from its Recovery to the rows, claims.parquet, the terminal and the page."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import workflows
from memrec_core.errors import InputError
from memrec_core.metrics import clopper_pearson
from tests.conftest import SMALL, make_run, results
from workflows.experiment import loading as experiments
from workflows.report import write_report
from workflows.report.tables import print_claims
from workflows.run.opened import OpenRun
from workflows.run.planning import Size
from workflows.run.rates import aggregate
from workflows.run.rates_schema import CLAIMS_SCHEMA
from workflows.terminal import console
from workflows.words import percent

WHOLE = Path(__file__).parent / "run_of_fixed_schema"
BELIEFS = ["claimed", "confidence", "kept_share"]
TEXT = f"imports: [tests.workflows.outside]\n{SMALL}methods: [claimant, known_mask]\n"
GROUP = ["model", "target_loss", "degradation", "method"]


pytestmark = pytest.mark.usefixtures("added_here_alone")


@pytest.fixture(scope="module")
def recovered(tmp_path_factory: pytest.TempPathFactory, added_here_alone: None) -> Path:
    """A run of a method that claims and of one that does not; nothing is aggregated yet."""
    folder = tmp_path_factory.mktemp("claiming") / "run"
    make_run(experiments.parse(TEXT, "claiming"), folder, lambda kind: Size(12, 512))
    return folder


@pytest.fixture
def run(recovered: Path, tmp_path: Path) -> OpenRun:
    return workflows.open_run(shutil.copytree(recovered, tmp_path / "run"))


def folder_of(run: OpenRun) -> Path:
    return Path(run.store.root)


def test_beliefs_of_a_method_are_in_its_rows_and_of_no_others(run: OpenRun):
    rows = results(folder_of(run))
    claimant, known = (rows[rows["method"] == method] for method in ("claimant", "known_mask"))
    assert known[BELIEFS].isna().all(axis=None)
    assert claimant[BELIEFS].notna().all(axis=None)
    # The method claims what it is sure of, and is told the mask.
    assert claimant["claimed"].tolist() == (claimant["confidence"] > 1 / (1 + 1e-4)).tolist()
    assert set(claimant["claimed"]) == {True, False}
    np.testing.assert_allclose(claimant["kept_share"], 1 - claimant["fraction_missing"], rtol=1e-6)
    schema = pq.read_schema(next(folder_of(run).glob("recovery/**/claimant/*.parquet")))
    assert [schema.field(name).type for name in BELIEFS] == [pa.bool_(), pa.float64(), pa.float64()]
    assert run.results(["claimed"], claimed=True)["claimed"].all()


def test_compacted_rows_keep_what_a_method_believes(run: OpenRun):
    aggregate(run)
    pd.testing.assert_frame_equal(results(folder_of(run), "results")[BELIEFS], results(folder_of(run))[BELIEFS])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("too few claims", "claimed as None or a tensor of 12 booleans"),
        ("claims of numbers", "claimed as None or a tensor of 12 booleans"),
        ("a list of claims", "claimed as None or a tensor of 12 booleans"),
        ("confidence over 1", "confidence as None or a tensor of 12 numbers from 0 to 1"),
        ("confidence of no number", "confidence as None or a tensor of 12 numbers from 0 to 1"),
        ("confidence of whole numbers", "confidence as None or a tensor of 12 numbers from 0 to 1"),
        ("a share for each pixel", "kept_share as None or a tensor of 12 numbers from 0 to 1"),
        ("a share below 0", "kept_share as None or a tensor of 12 numbers from 0 to 1"),
    ],
)
def test_belief_that_is_not_of_each_image_is_refused_in_a_sentence(tmp_path: Path, wrong: str, said: str):
    text = re.sub(
        "targets: .*?]", "targets: [1.0]", re.sub("degradations: .*", "degradations: [{mask: center}]", SMALL)
    )
    text = f"imports: [tests.workflows.outside_wrong]\n{text}methods: [{{name: presumptuous, wrong: {wrong}}}]\n"
    with pytest.raises(InputError, match=f"method presumptuous must return {said}; mend it"):
        make_run(experiments.parse(text, "wrong"), tmp_path / "run", lambda kind: Size(12, 512))


def with_claims(run: Path, claims: Callable[[pa.Table, np.random.Generator], list[bool | None]]) -> None:
    """Write the unit's files anew, with errors around both thresholds and with claims."""
    source = np.random.default_rng(7)
    for path in sorted(run.glob("recovery/**/*.parquet")):
        table = pq.read_table(path)
        errors = source.choice([1e-9, 1e-6, 1e-2], len(table))
        changed = table.set_column(table.column_names.index("mse"), "mse", pa.array(errors))
        changed = changed.append_column("claimed", pa.array(claims(changed, source), pa.bool_()))
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)


def expected(rows: pd.DataFrame) -> pd.Series:
    """Precision and recall of the claims of one group, by hand."""
    rows = rows[rows["claimed"].notna()].assign(claimed=lambda rows: rows["claimed"].astype(bool))
    found: dict[str, float] = {
        "images": len(rows),
        "control": (rows["split"] == "control").sum(),
        "claimed": rows["claimed"].sum(),
        "claimed_control": (rows["claimed"] & (rows["split"] == "control")).sum(),
    }
    for kind, threshold in (("accurate", 1e-7), ("approximate", 5e-4)):
        back = (rows["split"] == "train") & (rows["mse"] < threshold)
        right = int((back & rows["claimed"]).sum())
        found |= {f"{kind}_count": back.sum(), f"{kind}_right": right}
        for share, total in (("precision", rows["claimed"].sum()), ("recall", back.sum())):
            low, high = clopper_pearson(right, total) if total else (np.nan, np.nan)
            found |= {
                f"{kind}_{share}": right / total if total else np.nan,
                f"{kind}_{share}_low": float(low),
                f"{kind}_{share}_high": float(high),
            }
    return pd.Series(found, dtype="float64")


def half(table: pa.Table, source: np.random.Generator) -> list[bool | None]:
    """Of AE iterations nothing is claimed, and of the known mask nothing is said."""
    method = table["method"][0].as_py()
    if method == "known_mask":
        return [None] * len(table)
    return (source.random(len(table)) < (0.5 if method == "unknown_mask" else 0)).tolist()


def test_precision_and_recall_are_over_train_and_control_images_together(tmp_path: Path):
    folder = Path(shutil.copytree(WHOLE, tmp_path / "run"))
    with_claims(folder, half)
    aggregate(workflows.open_run(folder))
    claims = pd.read_parquet(folder / "claims.parquet")
    by_hand = results(folder).groupby(GROUP).apply(expected, include_groups=False)
    by_hand = by_hand[by_hand["images"] > 0]
    assert set(claims["method"]) == {"unknown_mask", "autoencoder_iterations"}
    found = claims.set_index(GROUP).sort_index()[list(by_hand)]
    pd.testing.assert_frame_equal(found, by_hand.sort_index(), check_dtype=False)
    assert found["claimed_control"].sum() > 0
    silent = claims[claims["method"] == "autoencoder_iterations"]
    assert silent[["accurate_precision", "accurate_precision_low", "accurate_precision_high"]].isna().all(axis=None)
    assert set(silent["approximate_recall"]) == {0.0}
    assert pq.read_schema(folder / "claims.parquet").equals(CLAIMS_SCHEMA)
    assert all(CLAIMS_SCHEMA.field(name).metadata[b"description"] for name in CLAIMS_SCHEMA.names)


def test_units_without_claims_are_left_out_of_the_counts(tmp_path: Path):
    """Some of a method's units may have been done before it judged its results."""
    folder = Path(shutil.copytree(WHOLE, tmp_path / "run"))
    with_claims(folder, lambda table, source: [None if place % 2 else True for place in range(len(table))])
    aggregate(workflows.open_run(folder))
    claims = workflows.open_run(folder).claims()
    rates = workflows.open_run(folder).rates().groupby(GROUP, sort=False)["images"].sum()
    assert claims["images"].tolist() == [(images + 1) // 2 for images in rates]
    assert (claims["accurate_right"] == claims["accurate_count"]).all()


def test_claims_are_those_of_what_is_there_and_asking_writes_nothing(run: OpenRun):
    before = sorted(folder_of(run).rglob("*"))
    first = run.claims()
    assert sorted(folder_of(run).rglob("*")) == before
    assert first["images"].tolist() == [12] * 4  # checkpoints and degradations
    aggregate(run)
    pd.testing.assert_frame_equal(run.claims(), first)
    next(folder_of(run).glob("recovery/**/claimant/*.parquet")).unlink()
    assert run.claims()["images"].sum() == 12 * 3


def test_claims_of_a_method_that_is_taken_away_go_with_it(run: OpenRun, memrec, tmp_path: Path):
    folder = folder_of(run)
    assert "precision" in memrec("aggregate", folder).out
    assert (folder / "claims.parquet").exists()
    (tmp_path / "mine.yaml").write_text(TEXT.replace("[claimant, known_mask]", "[known_mask]"))
    assert memrec("plan", tmp_path / "mine.yaml", "--run", folder).status == 0
    for path in folder.glob("recovery/**/claimant/*.parquet"):
        path.unlink()
    called = memrec("aggregate", folder)
    assert called.status == 0, called
    assert "precision" not in called.out
    assert not (folder / "claims.parquet").exists()
    assert run.claims().empty
    memrec("report", folder)
    assert "What the method believed" not in (folder / "report" / "index.html").read_text()


def test_page_says_how_right_the_claims_are(run: OpenRun):
    aggregate(run)
    write_report(run)
    page = (folder_of(run) / "report" / "index.html").read_text()
    assert "What the method believed" in page
    [table] = re.findall(r'<table id="claims-table".*?</table>', page, re.S)
    assert "<caption>Claims, claimant, fc10-leaky_relu, photos</caption>" in table  # all rows have these in common
    rows = re.findall(r"<tr>(<th.*?)</tr>", table.partition("<tbody>")[2], re.S)
    claims = run.claims().to_dict("records")
    assert len(rows) == len(claims) == 4
    for row, claim in zip(rows, claims, strict=True):
        cells = [cell.strip() for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.S)]
        trained = claim["claimed"] - claim["claimed_control"]
        assert cells[1:4] == [claim["degradation"], f"{trained}/6", f"{claim['claimed_control']}/6"]
        right, total = claim["approximate_right"], claim["claimed"]
        shown = cells[6]
        assert (shown == "") == (total == 0)
        if total:
            assert shown.startswith(f"{percent(right / total)}\u00a0% (")
            assert shown.endswith(f"),\u00a0{right}/{total}")


def test_folder_of_which_one_may_only_read_shows_the_claims_too(run: OpenRun, memrec, monkeypatch):
    aggregate(run)
    (folder_of(run) / "report").write_text("in the way")
    called = memrec("report", folder_of(run))
    assert called.status != 0
    assert "precision" in called.out


CLAIM = {"data_set": "photos", "model": "fc10", "images": 96, "claimed": 47}
SHARES = {f"{kind}_{share}": 1.0 for kind in ("accurate", "approximate") for share in ("precision", "recall")}
BOUNDS = {f"{name}_{end}": value for name in SHARES for end, value in (("low", 0.93), ("high", 1.0))}


@pytest.mark.parametrize("width", [30, 80, 200])
def test_table_of_the_claims_is_whole_at_any_width(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], width: int
):
    monkeypatch.setattr(console, "width", width)
    labels = ["center", "random_80-per_image-fill_colour_0.8_0.3_0.1-noise_0.02"]
    rows = [
        {**CLAIM, **SHARES, **BOUNDS, "target_loss": loss, "degradation": label, "method": method}
        for method in ("adaptive", "other")
        for loss in (1e-4, 1e-8)
        for label in labels
    ]
    claims = pd.DataFrame(rows)
    claims.loc[0, ["accurate_precision", "accurate_precision_low", "accurate_precision_high"]] = np.nan
    print_claims(claims, {"adaptive": "adaptive", "other": "the other one"})
    out = capfd.readouterr().out
    assert "…" not in out
    assert out.count("100 (93-100)") == 8 * 4 - 1
    assert out.count("47/96") == 8
    assert "fc10: what the other one claims" in out
    folded = re.sub(r"(1e-0\d|47/96|100 \(93-100\)|\s)", "", out)
    assert folded.count(labels[1]) == 4
    assert max(len(line.rstrip()) for line in out.splitlines() if "claims" not in line) <= max(width, 78)


def test_run_without_claims_prints_nothing_of_them(capfd: pytest.CaptureFixture[str]):
    print_claims(CLAIMS_SCHEMA.empty_table().to_pandas(), {})
    assert capfd.readouterr().out == ""
