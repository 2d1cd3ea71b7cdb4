"""A run with the methods that use no autoencoder: their rows, their place in the rates and on the page."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import safetensors.torch
import yaml

from memrec_core.errors import InputError
from memrec_core.torchvision_import import import_torchvision
from tests.conftest import SMALL, make_run
from workflows.experiment import loading as experiments
from workflows.experiment.loading import parse
from workflows.report.sections.terms import prior_words
from workflows.run.audit_set import load_audit_set
from workflows.run.planning import Size, make_plan
from workflows.work.priors import check_priors, priors_here, read_prior


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny untrained diffusion model."""
    import_torchvision()
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    folder = tmp_path_factory.mktemp("priors") / "tiny"
    blocks = {"down_block_types": ["DownBlock2D"] * 2, "up_block_types": ["UpBlock2D"] * 2}
    model = UNet2DModel(16, block_out_channels=[8, 8], layers_per_block=1, norm_num_groups=4, **blocks)
    DDPMPipeline(model, DDPMScheduler()).save_pretrained(folder)
    return folder


def described(prior: Path, **changes: object) -> str:
    tree = yaml.safe_load(SMALL) | {
        "methods": ["unknown_mask", "ddnm", "biharmonic"],
        "ddnm": {"prior": str(prior), "may_have_seen": "no, untrained", "steps": 4},
        "degradations": [{"mask": "center"}, {"mask": "random_40", "per_image": True}],
    }
    return yaml.safe_dump(tree | changes)


@pytest.fixture(scope="module")
def file(prior: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("generic") / "generic.yaml"
    path.write_text(described(prior))
    return path


@pytest.mark.long
def test_generic_methods_run_once_and_stand_beside_every_checkpoint(memrec, cluster: str, file: Path, tmp_path: Path):
    run = tmp_path / "run"
    called = memrec("run", file, "--run", run, "--actors", 1, "--address", cluster)
    assert called.status == 0, called.err
    assert "generic inpainting of photos, without the autoencoder" in called.out
    results = pd.read_parquet(run / "recovery")
    generic = results[results["model"] == "generic"]
    assert len(generic) == 2 * 2 * 12  # methods, degradations, images: not once a checkpoint
    assert generic["target_loss"].isna().all()
    assert generic["train_loss"].isna().all()
    assert (results[results["model"] != "generic"]["target_loss"].notna()).all()
    biharmonic, ddnm = (generic[generic["method"] == method] for method in ("biharmonic", "ddnm"))
    assert biharmonic["mse"].mean() < ddnm["mse"].mean()  # of an untrained prior
    assert set(ddnm["evaluations"]) == {4}

    own = results[results["degradation"] == "random_40-per_image"]
    assert own["fraction_missing"].between(0.39, 0.41).all()

    rates = pd.read_parquet(run / "rates.parquet")
    trained = rates[rates["split"] == "train"]
    assert trained["accurate_excess"].notna().all()
    assert (trained["accurate_excess_low"] <= trained["accurate_excess"]).all()
    assert rates[rates["split"] == "control"]["accurate_excess"].isna().all()
    for rate in rates.itertuples():
        same = results[
            (results["model"] == rate.model)
            & (results["target_loss"].eq(rate.target_loss) | (rate.model == "generic"))
            & (results["degradation"] == rate.degradation)
            & (results["method"] == rate.method)
            & (results["split"] == rate.split)
        ]
        assert rate.images == len(same)
        assert rate.mean_mse_missing == pytest.approx(same["mse_missing"].mean())

    thresholds = pd.read_parquet(run / "thresholds.parquet")
    assert len(thresholds) == 16 * len(rates)
    one = thresholds[(thresholds["method"] == "biharmonic") & (thresholds["degradation"] == "center")]
    one = one[one["split"] == "train"]
    errors = biharmonic[(biharmonic["degradation"] == "center") & (biharmonic["split"] == "train")]["mse"]
    assert one["recovered"].tolist() == [int((errors < threshold).sum()) for threshold in one["threshold"]]

    page = (run / "report" / "index.html").read_text()
    assert "May it have seen the audited images? no, untrained" in page
    assert "Rates against the threshold" in page

    called = memrec("picture", run, "--image", 1, "--degradation", "random_40-per_image")
    assert called.status == 0, called.err
    pictures = sorted(path.name for path in (run / "report").glob("*.png"))
    assert pictures == [f"{kind}-fc10-leaky_relu-random_40-per_image-1.png" for kind in ("iterates", "mask")]
    assert memrec("picture", run, "--image", 12).status == 2
    assert "unknown degradation" in memrec("picture", run, "--degradation", "centre").err


@pytest.fixture
def own(prior: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prior, tmp_path / "prior"))


def train_on(prior: Path) -> None:
    """Change its weights."""
    path = prior / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load(path.read_bytes())
    tensors["conv_in.bias"] = tensors["conv_in.bias"] + 1e-3
    safetensors.torch.save_file(tensors, path, {"format": "pt"})


def test_prior_that_was_replaced_is_not_the_one_of_the_units_before(own: Path):
    experiment = parse(described(own), "x")
    audit = load_audit_set(experiment.data[0], experiment.seed)
    priors = priors_here(experiment)
    assert priors == {str(own): read_prior(str(own))}
    units = make_plan(experiment, {"photos": audit.catalogue}, lambda kind: Size(4, 4), priors)
    check_priors(experiment, units, priors)
    train_on(own)
    with pytest.raises(InputError, match="is not the one that this run's method ddnm was planned with; restore it"):
        check_priors(experiment, units, priors_here(experiment))


@pytest.mark.long
def test_run_goes_on_with_the_prior_that_it_was_begun_with_and_no_other(run_small, own: Path, tmp_path: Path):
    (file := tmp_path / "own.yaml").write_text(described(own, methods=["ddnm"], degradations=[{"mask": "center"}]))
    (grown := tmp_path / "grown.yaml").write_text(described(own, methods=["ddnm"]))
    make_run(experiments.load(str(file)), tmp_path / "run", lambda kind: Size(4, 4))
    assert "units are done already" in run_small(tmp_path / "run", experiment=file).out
    before = pd.read_parquet(tmp_path / "run" / "recovery")
    train_on(own)
    for experiment in (file, grown):
        called = run_small(tmp_path / "run", experiment=experiment)
        assert (called.status, called.err.count("\n")) == (2, 1), called
        assert "is not the one that this run's method ddnm was planned with" in called.err
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "run" / "recovery"), before)


def test_ddnm_without_a_prior_is_refused(prior: Path):
    with pytest.raises(experiments.InputError, match=r"ddnm needs ddnm\.prior"):
        parse(described(prior, ddnm=None), "x")


def test_prior_of_another_size_is_found_before_any_work(memrec, file: Path, tmp_path: Path):
    called = memrec("run", file, "--run", tmp_path / "run", "--set", "data.size=24")
    assert called.status == 2
    assert "16 x 16" in called.err
    assert not (tmp_path / "run").exists()


def test_report_names_the_prior_only_where_there_is_one(prior: Path, small):
    assert str(prior) in prior_words(parse(described(prior), "x"))
    assert prior_words(small) == ""


def test_own_mask_for_each_image_is_for_random_masks(prior: Path):
    with pytest.raises(experiments.InputError, match="per_image is for random masks"):
        parse(described(prior, degradations=[{"mask": "center", "per_image": True}]), "x")
