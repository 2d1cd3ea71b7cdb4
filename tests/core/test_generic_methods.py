"""Inpainting without the autoencoder: the biharmonic equation and DDNM with a diffusion prior."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from memrec_core import degradations, diffusers_model, diffusion_prior, metrics, recovery
from memrec_core.diffusion_prior import DiffusionPrior
from memrec_core.errors import InputError
from memrec_core.torchvision_import import import_torchvision

SHAPE = (3, 8, 8)
MASK = degradations.mask("checkerboard", (3, 16, 16))[:, :8, :8]


def ramps() -> Tensor:
    """Two smooth images."""
    line = torch.linspace(0.1, 0.9, 8)
    return torch.stack([line.expand(3, 8, 8), line[:, None].expand(3, 8, 8)])


@pytest.mark.parametrize("own", [False, True])
def test_biharmonic_fills_what_is_smooth_and_keeps_what_is_known(own: bool):
    images = ramps()
    mask = degradations.mask("random_40", SHAPE)
    mask = torch.stack([mask, degradations.mask("random_40", SHAPE, seed=1)]) if own else mask
    degraded = degradations.degrade(images, mask)
    found = recovery.inpaint_biharmonic(degraded, mask)
    kept = (mask > 0).expand_as(images)
    assert torch.equal(found.images[kept], images[kept])
    assert (metrics.mse(found.images, images) < 1e-3).all()
    assert (metrics.mse(found.images, images) < metrics.mse(degraded, images) / 50).all()


class Oracle(torch.nn.Module):
    """Knows that all images are one and the same, so that the noise in any x follows."""

    def __init__(self, image: Tensor, abar: Tensor) -> None:
        super().__init__()
        self.image, self.abar = 2 * image - 1, abar

    def forward(self, x: Tensor, time: int):
        eps = (x - self.abar[time].sqrt() * self.image) / (1 - self.abar[time]).sqrt()
        return type("Output", (), {"sample": eps})


def oracle(image: Tensor) -> DiffusionPrior:
    abar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)
    return DiffusionPrior(Oracle(image, abar), abar, 3, image.shape[-1], "digest", "oracle")


def test_ddnm_with_a_prior_that_knows_the_image_finds_it():
    image = ramps()[:1]
    degraded = degradations.degrade(image, degradations.mask("center", SHAPE))
    found = recovery.recover_ddnm(oracle(image), degraded, degradations.mask("center", SHAPE))
    assert metrics.mse(found.images, image).item() < 1e-8


class Nothing(torch.nn.Module):
    """Sees no noise anywhere."""

    def forward(self, x: Tensor, time: int):
        return type("Output", (), {"sample": torch.zeros_like(x)})


def test_ddnm_follows_its_equations():
    """Two steps, worked out by hand, of a model that sees no noise."""
    abar = torch.tensor([0.81, 0.25])
    prior = DiffusionPrior(Nothing(), abar, 1, 2, "digest", "nothing")
    degraded, mask = torch.full((1, 1, 2, 2), 0.75), torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    found = recovery.recover_ddnm(prior, degraded * mask, mask, ids=["a"], seed=3, steps=2, eta=0.6)
    from memrec_core.seeding import generator

    source = generator(3, "ddnm", "a")
    x1, z = (torch.randn(1, 2, 2, generator=source) for _ in range(2))
    x0 = 0.9 * (x1 / 0.5) + (1 - 0.81) ** 0.5 * 0.6 * z
    expected = torch.where(mask > 0, degraded, (x0 / 0.9 + 1) / 2)
    assert torch.allclose(found.images, expected, atol=1e-5)


def test_ddnm_keeps_known_pixels_and_enlarges_small_images():
    image = ramps()[:1]
    large = image.repeat_interleave(4, 2).repeat_interleave(4, 3)
    degraded = degradations.degrade(image, MASK)
    found = recovery.recover_ddnm(oracle(large), degraded, MASK)
    assert torch.equal(found.images * MASK, degraded)
    assert metrics.mse(found.images, image).item() < 1e-8


def test_ddnm_depends_on_the_image_and_not_on_its_batch():
    images = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(0))
    prior, degraded = oracle(ramps()[:1]), degradations.degrade(images, MASK)
    prior.model = Nothing()
    whole = recovery.recover_ddnm(prior, degraded, MASK, ids=["a", "b", "c"])
    alone = recovery.recover_ddnm(prior, degraded[1:2], MASK, ids=["b"])
    other = recovery.recover_ddnm(prior, degraded[1:2], MASK, ids=["c"])
    assert torch.allclose(whole.images[1], alone.images[0], atol=1e-6)
    assert not torch.allclose(alone.images, other.images, atol=1e-2)


# The prior's folder

CONFIG = {
    "sample_size": 8,
    "block_out_channels": (8, 8),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "down_block_types": ("DownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "UpBlock2D"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny prior in the layout of diffusers' pipelines."""
    pytest.importorskip("diffusers.configuration_utils", reason="diffusers is not installed")
    import_torchvision()
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    DDPMPipeline(UNet2DModel(**CONFIG), DDPMScheduler(beta_start=1e-3)).save_pretrained(tmp_path / "prior")
    return tmp_path / "prior"


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(words: str, folder: Path) -> None:
    with pytest.raises(InputError, match=words) as error:
        diffusion_prior.load(folder)
    assert "\n" not in str(error.value)


def test_prior_is_the_same_in_all_three_layouts(folder: Path, tmp_path: Path):
    flat, bare = tmp_path / "flat", tmp_path / "bare"
    for other in (flat, bare):
        other.mkdir()
        for file in (folder / "unet").iterdir():
            (other / file.name).write_bytes(file.read_bytes())
    (flat / "scheduler_config.json").write_bytes((folder / "scheduler" / "scheduler_config.json").read_bytes())
    x = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        expected = diffusion_prior.load(folder).noise(x, 500)
        for other in (flat, bare):
            assert torch.equal(diffusion_prior.load(other).noise(x, 500), expected)
    betas = torch.linspace(1e-3, 0.02, 1000)
    assert torch.allclose(diffusion_prior.load(flat).abar, torch.cumprod(1 - betas, 0))
    assert torch.allclose(diffusion_prior.load(bare).abar, torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0))


@pytest.mark.parametrize(
    ("file", "changes", "word"),
    [
        ("scheduler/scheduler_config.json", {"prediction_type": "v_prediction"}, "v_prediction"),
        ("scheduler/scheduler_config.json", {"predict_epsilon": False}, "predicts sample"),
        ("scheduler/scheduler_config.json", {"_class_name": "ScoreSdeVeScheduler"}, "is a ScoreSdeVeScheduler"),
        ("scheduler/scheduler_config.json", {"_class_name": "FlowMatchEulerDiscreteScheduler"}, "is a FlowMatchEuler"),
        ("scheduler/scheduler_config.json", {"_class_name": None}, "is a None"),
        ("scheduler/scheduler_config.json", {"rescale_betas_zero_snr": True}, "ends without a signal"),
        (
            "scheduler/scheduler_config.json",
            {"_class_name": "UniPCMultistepScheduler", "rescale_betas_zero_snr": True},
            "ends without a signal",
        ),
        ("scheduler/scheduler_config.json", {"beta_schedule": "none such"}, "scheduler of .* can't be loaded"),
        ("unet/config.json", {"_class_name": "UNet2DConditionModel"}, "conditional"),
        ("unet/config.json", {"num_class_embeds": 10}, "conditional"),
        ("unet/config.json", {"out_channels": 6}, "6 outputs"),
        ("unet/config.json", {"sample_size": None}, "size None"),
        ("unet/config.json", {"block_out_channels": [16, 16]}, "can't be loaded"),
        ("unet/config.json", {"quantization_config": {"quant_method": "torchao"}}, "quantised"),
        ("model_index.json", {"vae": ["diffusers", "AutoencoderKL"]}, "pipeline has a vae"),
        ("model_index.json", {"vqvae": ["diffusers", "VQModel"]}, "pipeline has a vqvae"),
    ],
)
def test_prior_of_another_kind_gets_one_sentence(folder: Path, file: str, changes: dict, word: str):
    edit(folder / file, **changes)
    refused(word, folder)


@pytest.mark.parametrize("content", [None, b"", b"\x80\x04\x95pickle"])
def test_prior_without_safetensors_is_refused(folder: Path, content: bytes | None):
    weights = folder / "unet" / diffusers_model.WEIGHTS
    weights.unlink()
    if content is not None:
        weights.write_bytes(content)
    with pytest.raises(InputError, match="prior"):
        diffusion_prior.load(folder)


def test_prior_whose_weights_have_other_names_is_refused(folder: Path):
    """diffusers would draw those that it misses."""
    path = folder / "unet" / diffusers_model.WEIGHTS
    state = load_file(path)
    save_file({f"module.{key}": tensor for key, tensor in state.items()}, path)
    refused("not those of its UNet2DModel.*missing", folder)
    save_file({key: tensor for key, tensor in state.items() if key != "conv_in.bias"}, path)
    refused("not those of its UNet2DModel.*missing", folder)
    save_file({**state, "more": torch.zeros(1)}, path)
    refused("not those of its UNet2DModel.*unexpected", folder)


@pytest.mark.parametrize("suffix", ["bin", "safetensors"])
def test_prior_whose_index_names_other_files_is_refused(folder: Path, suffix: str):
    """diffusers would take the weights from those, whatever the digest is of."""
    state = load_file(folder / "unet" / diffusers_model.WEIGHTS)
    others, name = {key: torch.zeros_like(tensor) for key, tensor in state.items()}, f"others.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(others, folder / "unet" / name)
    index = {"metadata": {}, "weight_map": dict.fromkeys(others, name)}
    (folder / "unet" / diffusers_model.INDEX).write_text(json.dumps(index))
    refused("weights are in several files", folder)


def test_absent_part_of_a_pipeline_is_none(folder: Path):
    edit(folder / "model_index.json", safety_checker=[None, None], requires_safety_checker=True)
    assert diffusion_prior.load(folder).side == 8


def test_model_inside_a_pipeline_is_not_taken_without_its_schedule(folder: Path):
    refused("is part of a pipeline.*give .*prior$", folder / "unet")


@pytest.mark.parametrize("name", diffusion_prior.SCHEDULERS)
def test_schedule_is_that_of_the_pipelines_scheduler(folder: Path, name: str):
    import diffusers

    settings = {"beta_start": 2e-3, "beta_schedule": "scaled_linear", "num_train_timesteps": 500}
    getattr(diffusers, name)(**settings).save_pretrained(folder / "scheduler")
    abar = diffusion_prior.load(folder).abar
    assert torch.allclose(abar, torch.cumprod(1 - torch.linspace(2e-3**0.5, 0.02**0.5, 500) ** 2, 0))


def test_shipped_priors_are_read():
    pytest.importorskip("diffusers.configuration_utils", reason="diffusers is not installed")
    shipped = [place for place in (Path(__file__).parents[2] / "workflows" / "priors").iterdir() if place.is_dir()]
    assert shipped
    for place in shipped:
        assert len(diffusion_prior.load(place).abar) == 1000


def test_prior_of_another_size_names_both(folder: Path):
    with pytest.raises(InputError, match=r"3 x 8 x 8.*3 x 16 x 16"):
        recovery.recover_ddnm(diffusion_prior.load(folder), torch.zeros(1, 3, 16, 16), torch.zeros(3, 16, 16))


def test_folder_that_is_none_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere is not a folder"):
        diffusion_prior.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"config\.json does not exist"):
        diffusion_prior.load(tmp_path)


def test_prior_of_diffusers_gives_finite_images_that_keep_what_is_known(folder: Path):
    images = torch.rand(2, 3, 8, 8)
    found = recovery.recover_ddnm(diffusion_prior.load(folder), images * MASK, MASK, steps=5)
    assert set(found.status) == {"converged"}
    assert torch.equal(found.images * MASK, images * MASK)
    assert np.isfinite(found.images.numpy()).all()
